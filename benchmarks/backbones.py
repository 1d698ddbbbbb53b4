"""``python -m benchmarks.backbones``: which networks are cut, and whether a cut network is still the same network.

One small network of each of timm's families, usual frozen backbones, and all of torchvision's classifiers, each with
random weights: prefix and tail against the whole network at two or three cuts, and a step of training.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import timm
import torch
import torchvision
from torch import nn

from benchmarks.backbones_table import format_page
from benchmarks.families import FAMILIES, FROZEN_BACKBONES
from frostline.errors import FrostlineError
from frostline.models import backbone_facts, build_chain, freeze, frozen_digest, load_backbone
from frostline.study import Head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from frostline.models import BackboneFacts, Chain

__all__ = ["Outcome", "backbones", "try_backbone"]

SIZES = (64, 96, 128, 224, 256)
"""Pixels, tried in turn before a network's own size."""

K = 3


@dataclass(frozen=True)
class Outcome:
    """What became of a backbone.

    ``n_cuts`` counts the cuts after ``input``; 0 where it is trained uncut. ``problem`` is why it is trained uncut or
    can't be used, ``failure`` what went wrong with a network that is cut: there should be none.
    """

    backbone: str
    image_size: int
    n_cuts: int
    parameters: int
    problem: str | None
    failure: str | None
    seconds: float


def backbones() -> dict[str, str]:
    """Return the group of each backbone to try: a family of timm's, ``frozen backbones`` or ``torchvision``."""
    groups = {f"timm:{member}": family for family, member in FAMILIES.items()}
    groups |= {f"timm:{name}": "frozen backbones" for name in FROZEN_BACKBONES}
    return groups | dict.fromkeys(torchvision.models.list_models(module=torchvision.models), "torchvision")


def try_backbone(name: str) -> Outcome:
    """Return what becomes of a backbone at the smallest size that it takes."""
    started = time.perf_counter()
    size, facts, problem = _measure(name)
    if facts is None:
        return Outcome(name, size, 0, 0, problem, None, time.perf_counter() - started)
    failure = None
    try:
        chain = build_chain(load_backbone(name, "none", size), K, Head(), 0)
        failure = next(_failures(chain, size), None)
    except Exception as error:
        failure = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    n_cuts = len(facts.cuts) - 1 if facts.cuttable else 0
    return Outcome(name, size, n_cuts, facts.parameters, facts.why_not, failure, time.perf_counter() - started)


def _measure(name: str) -> tuple[int, BackboneFacts | None, str | None]:
    """Return the smallest size that a backbone takes with its facts, or the reason why it takes none."""
    own = None
    if name.startswith("timm:"):
        cfg = timm.get_pretrained_cfg(name.removeprefix("timm:"))
        own = cfg.input_size[-1] if cfg else None
    problem = None
    for size in dict.fromkeys((*SIZES, own or SIZES[-1])):
        try:
            return size, backbone_facts(name, size, "none"), None
        except FrostlineError as error:
            problem = str(error)
    return size, None, problem


def _failures(chain: Chain, size: int) -> Iterator[str]:
    """Yield what is wrong with a network: each of its sides against the whole, and a step of training."""
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = chain.model.eval()(images)
    if wanted.shape != (2, K):
        yield f"the network returns {list(wanted.shape)} for {K} classes"
    if not chain.facts.cuttable:
        yield from _training_failures(chain, chain.model, "head", (images,))
        return
    stages = chain.stages[1:]
    for place in dict.fromkeys((stages[len(stages) // 2], stages[max(len(stages) - 2, 0)], "head")):
        cut = chain.facts.resolve(place).name
        with torch.no_grad():
            rows = chain.prefix([cut])(images)
            logits = chain.tail(cut).eval()(*rows)
        if [tuple(row.shape[1:]) for row in rows] != list(chain.crossing(cut)):
            yield f"{place}: other shapes cross than were measured"
        if not torch.equal(logits, wanted):
            yield f"{place}: prefix and tail differ from the network by {float((logits - wanted).abs().max()):.1e}"
        yield from _training_failures(chain, chain.tail(cut), place, rows)


def _training_failures(
    chain: Chain, module: nn.Module, train_from: str, inputs: tuple[torch.Tensor, ...]
) -> Iterator[str]:
    """Yield what is wrong with a step of training; the network is left as it was."""
    state = {name: tensor.clone() for name, tensor in chain.model.state_dict().items()}
    module = freeze(module, chain, train_from).train()
    before = frozen_digest(module, chain, train_from)
    trained = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-3)
    loss = nn.functional.cross_entropy(module(*inputs), torch.tensor([0, 2]))
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    if not torch.isfinite(loss):
        yield f"{train_from}: the loss of a step is {float(loss)}"
    if frozen_digest(module, chain, train_from) != before:
        yield f"{train_from}: a step changed what is frozen"
    if all(p.grad is None for p in trained):
        yield f"{train_from}: nothing was trained"
    with torch.no_grad():
        for name, tensor in chain.model.state_dict().items():
            tensor.copy_(state[name])
    chain.model.zero_grad()


def main() -> None:
    """Try backbones, each kept as soon as it is known, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backbones", description=__doc__)
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="names or families to try")
    parser.add_argument("--again", action="store_true", help="try those again that the results have")
    parser.add_argument("--results", type=Path, default=Path(".benchmarks/backbones.json"))
    parser.add_argument("--output", type=Path, default=Path("docs/backbones.md"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    results = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    for name, group in backbones().items():
        wanted = any(fnmatch.fnmatchcase(text, pattern) for pattern in arguments.only for text in (name, group))
        if not wanted or (name in results and not arguments.again):
            continue
        outcome = try_backbone(name)
        results[name] = {"group": group, **asdict(outcome)}
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text(json.dumps(results, indent=1))
        text = outcome.failure or outcome.problem or f"{outcome.n_cuts} cuts"
        print(f"{name}: {text} ({outcome.seconds:.0f} s)", flush=True)
    arguments.output.write_text(format_page({name: results[name] for name in backbones() if name in results}))
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
