"""``frostline.run``: a run of a study that shows its progress to whoever looks on."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frostline.execution.events import Event, Listener
    from frostline.ledger import RunRecord
    from frostline.plan import CachePolicy, Precision
    from frostline.study import Study

__all__ = ["run"]


def run(
    study: Study | str | Path,
    *,
    plain: bool = False,
    workspace: Path | str | None = None,
    resume: bool | None = None,
    again: bool = False,
    device: str = "auto",
    engine: str = "auto",
    precision: Precision = "ieee",
    cache: CachePolicy = "auto",
    disk: int | str | None = None,
    memory: int | str | None = None,
    device_memory: int | str | None = None,
    progress: bool | None = None,
    listener: Listener | None = None,
    began: float | None = None,
) -> RunRecord:
    """Run a study and return what the ledger has of it.

    A run of the same study that was interrupted is continued where it stopped; every number is then the one that the
    uninterrupted run would have had. Of a study that has been run, on the same images with the same versions, the
    finished run is returned. A run that another thread of the process has under way is waited for.

    Example::

        record = frostline.run("starter")
        record.arm(record.chosen[0]).test_accuracy

    Args:
        study: what is asked: a Study, a study file, or the name of a built-in study.
        plain: train each arm alone and uncut by the plain loop, the oracle.
        workspace: the directory of results; ``runs`` in the working directory when left out.
        resume: True insists on an interrupted run to continue, False starts a new one, None continues one if there is
            one.
        again: whether to train a study anew that has been run.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        engine: of feature passes: ``auto``, ``openvino`` or ``torch``.
        precision: how exactly products are computed, by the whole run: ``ieee`` (float32), ``tf32`` (NVIDIA GPUs) or
            ``bf16``.
        cache: whether activations are stored: ``auto`` where that is predicted cheaper, ``always``, ``never``.
        disk: the most that the study's stored activations may take together, in bytes or as text such as ``10GB``;
            what doesn't fit is recomputed. An interrupted run keeps to what it had chosen.
        memory: the most that the process may take of memory, likewise; heads are trained in smaller groups to keep it.
        device_memory: the most that the run may take of an accelerator's own memory, likewise; no limit but what is
            free there when left out.
        progress: whether to show on standard error what is going on and the time left: as bars in a terminal or
            notebook, as lines elsewhere. None shows it in a terminal or notebook where no listener is given.
        listener: told each event as it happens; random numbers that it draws change none of the run's.
        began: when whoever waits for the answer began to, in seconds since 1970; the call, when left out. What the run
            took counts from there.

    Raises:
        FrostlineError: anything a user can cause; what was finished before is kept.
        KeyboardInterrupt: the run was stopped, is marked so, and can be resumed.
    """
    began = time.time() if began is None else began  # before torch is imported, which takes a while
    from frostline.cli._listener import make_progress
    from frostline.execution.events import Preparing
    from frostline.places import workspace_directory

    place = workspace_directory() if workspace is None else Path(workspace)
    shown = make_progress(place, progress) if progress or (progress is None and listener is None) else None

    def tell(event: Event) -> None:
        for each in (shown, listener):
            if each is not None:
                each(event)

    with nullcontext() if shown is None else shown:
        tell(Preparing("loading PyTorch"))
        from frostline.execution import run as carry_out

        return carry_out(
            study,
            plain=plain,
            workspace=place,
            resume=resume,
            again=again,
            device=device,
            engine=engine,
            precision=precision,
            cache=cache,
            disk=disk,
            memory=memory,
            device_memory=device_memory,
            listener=tell,
            began=began,
        )
