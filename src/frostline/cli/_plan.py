"""``frostline plan``: what a study's arms share, why, and what that should cost."""

from frostline.cli._options import (
    CacheOption,
    CachePolicy,
    DiskOption,
    JsonOption,
    MemoryOption,
    SetOption,
    StudyArgument,
    print_json,
    remark,
)

__all__ = ["plan"]


def plan(
    study: StudyArgument,
    overrides: SetOption = None,
    cache: CacheOption = CachePolicy.auto,
    disk: DiskOption = None,
    memory: MemoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a study's arms share, why, and the predicted cost.

    Each arm's time alone and time added, bytes on disk, and the totals. Nothing is trained. Times are predictions for
    this machine with nothing stored yet.
    """
    import frostline

    asked = frostline.load_study(study, overrides or ())
    planned = frostline.plan_study(asked, cache=cache.value, disk=disk, memory=memory, listener=remark).to_json()
    if as_json:
        print_json(planned)
        return
    from frostline import report

    console = report.make_console()
    for table in report.plan_tables(planned):
        report.draw(table, console)
