"""``frostline check``: everything that is wrong with a study, at once."""

from dataclasses import asdict

import typer

from frostline.cli._options import JsonOption, SetOption, StudyArgument, print_json
from frostline.quantities import format_number_of

__all__ = ["check"]


def check(study: StudyArgument, overrides: SetOption = None, as_json: JsonOption = False) -> None:
    """Report everything that is wrong with a study, at once.

    Each problem comes with file, line, column, key, what is allowed and the closest name. Exits with 1 when there are
    any. Nothing is trained, and no images are read.
    """
    import frostline

    problems = frostline.check_study(study, overrides or ())
    if as_json:
        print_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            typer.echo(str(problem))
        if problems:
            typer.echo(format_number_of(len(problems), "problem"), err=True)
        else:
            n_arms = len(frostline.load_study(study, overrides or ()).expand())
            typer.echo(f"{study}: {format_number_of(n_arms, 'arm')}, no problems")
    if problems:
        raise typer.Exit(1)
