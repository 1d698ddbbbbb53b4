"""``frostline check``: everything that is wrong with a study, at once."""

from contextlib import suppress
from dataclasses import asdict

import typer

from frostline.cli._options import JsonOption, SetOption, StudyArgument, print_json, remark
from frostline.quantities import format_number_of

__all__ = ["check"]


def check(study: StudyArgument, overrides: SetOption = None, as_json: JsonOption = False) -> None:
    """Report everything that is wrong with a study, at once.

    Each problem is shown with file, line, column, key, what is allowed and the closest name; a backbone, stage or
    weights file that doesn't exist, or a weights file of another network, with the arm that uses it. A data path that
    leads nowhere, or to a file instead of a folder, is a problem too. Exits with 1 if there are any. Nothing is
    trained, and no images are read.
    """
    import frostline

    problems = frostline.check_study(study, overrides or (), look_for_images=True)
    asked = None
    with suppress(frostline.FrostlineError):  # which says again what is among the problems
        asked = frostline.load_study(study, overrides or ())
    if asked is not None:
        # Only arms that can be told can be looked up, and only this may have to import torch.
        problems += frostline.check_networks(asked, listener=remark)
    if as_json:
        print_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            typer.echo(str(problem))
        if asked is not None and not problems:
            typer.echo(f"{study}: {format_number_of(len(asked.expand()), 'arm')}, no problems")
        else:
            typer.echo(format_number_of(len(problems), "problem"), err=True)
    if problems:
        raise typer.Exit(1)
