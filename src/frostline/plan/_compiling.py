"""What compiling prefixes takes: each once in a run, where it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.plan._costs import CostModel

__all__ = ["Compiling"]


class Network(Protocol):
    """What says which pretrained network is meant: a recipe or a source."""

    @property
    def backbone(self) -> str: ...
    @property
    def weights(self) -> str: ...
    @property
    def image_size(self) -> int: ...
    @property
    def weights_key(self) -> str | None: ...


class Compiling:
    """Counts compiling each prefix, a network up to some cuts, for the first that needs it.

    What was compiled for measuring, and is kept for the run, costs nothing more.
    """

    def __init__(self) -> None:
        self._counted: set[tuple[str, int, str, str | None, tuple[str, ...]]] = set()

    def count(self, costs: CostModel, network: Network, cuts: Sequence[str]) -> float:
        """Return the seconds to compile a prefix to some cuts, none the next time; images need none."""
        seconds = self.ahead(costs, network, cuts)
        self._counted.add(_key(network, cuts))
        return seconds

    def ahead(self, costs: CostModel, network: Network, cuts: Sequence[str]) -> float:
        """Return the same without counting it."""
        key = _key(network, cuts)
        _, _, weights, weights_key, compiled = key
        is_there = key in self._counted or (weights, weights_key, compiled) in costs.compiled
        return costs.rates.setup if compiled and not is_there else 0.0


def _key(network: Network, cuts: Sequence[str]) -> tuple[str, int, str, str | None, tuple[str, ...]]:
    compiled = tuple(cut for cut in cuts if cut != "input")
    return network.backbone, network.image_size, network.weights, network.weights_key, compiled
