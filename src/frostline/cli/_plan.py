"""``frostline plan``: what a study's arms share, why, and what that should cost."""

from typing import TYPE_CHECKING

from frostline.cli._options import (
    CacheOption,
    CachePolicy,
    DeviceMemoryOption,
    DeviceOption,
    DiskOption,
    JsonOption,
    MemoryOption,
    Precision,
    PrecisionOption,
    SetOption,
    StudyArgument,
    print_json,
    remark,
)

if TYPE_CHECKING:
    from frostline.data import DataSummary
    from frostline.execution.events import Event

__all__ = ["plan"]


def plan(
    study: StudyArgument,
    overrides: SetOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precision.ieee,
    cache: CacheOption = CachePolicy.auto,
    disk: DiskOption = None,
    memory: MemoryOption = None,
    device_memory: DeviceMemoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a study's arms share, why, and the predicted cost.

    First the images by split and class; then each arm's time alone and time added, bytes on disk, and the totals.
    Nothing is trained. Times are predictions for this machine with nothing stored yet.
    """
    import frostline

    asked = frostline.load_study(study, overrides or ())
    listener = _Listener()
    planned = frostline.plan_study(
        asked,
        device=device,
        precision=precision.value,
        cache=cache.value,
        disk=disk,
        memory=memory,
        device_memory=device_memory,
        listener=listener,
    ).to_json()
    if as_json:
        print_json(planned if listener.data is None else {**planned, "data": listener.data.to_json()})
        return
    from frostline import report

    console = report.make_console()
    tables = report.plan_tables(planned)
    for table in tables if listener.data is None else (report.data_table(listener.data), *tables):
        report.draw(table, console)


class _Listener:
    """Keeps what is used of the data, and says on standard error the rest, such as that this machine is measured."""

    def __init__(self) -> None:
        self.data: DataSummary | None = None

    def __call__(self, event: "Event") -> None:
        from frostline.execution.events import DataRead

        if isinstance(event, DataRead):
            self.data = event.summary
        else:
            remark(event)
