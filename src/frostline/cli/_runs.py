"""``frostline runs``: the runs of a workspace."""

from frostline.cli._options import JsonOption, WorkspaceOption, choose_workspace, print_json

__all__ = ["runs"]


def runs(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the runs, newest first."""
    import frostline
    from frostline import report

    place = choose_workspace(workspace)
    with frostline.Ledger(place, create=False) as ledger:
        rows = ledger.runs()
    if as_json:
        print_json([row.to_json() for row in rows])
    else:
        report.draw(report.runs_table(rows, title=f"runs in {place}"), report.make_console())
