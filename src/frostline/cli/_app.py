"""The application: its commands, ``--version``, and the way in."""

import sys
from typing import Annotated

import typer

from frostline._version import __version__
from frostline.cli._backbones import backbones
from frostline.cli._began import begin
from frostline.cli._cache import cache_app
from frostline.cli._check import check
from frostline.cli._doctor import doctor
from frostline.cli._group import FrostlineGroup, epilog
from frostline.cli._plan import plan
from frostline.cli._run import run
from frostline.cli._runs import runs
from frostline.cli._show import show
from frostline.cli._stages import stages

__all__ = ["app", "main"]

app = typer.Typer(
    name="frostline",
    cls=FrostlineGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    epilog=epilog("frostline run starter", "frostline show --pivot epochs,train_from"),
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"frostline {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Find out how much of a pretrained image network to retrain, with which optimizer, for how long, at what cost.

    A study (a TOML file, or the name of a built-in one) asks the question. Work that its arms share is done once, and
    the answer is a table.
    """


app.command("run", epilog=epilog("frostline run starter", "frostline run study.toml --set data.train=2000"))(run)
app.command("check", epilog=epilog("frostline check study.toml"))(check)
app.command("plan", epilog=epilog("frostline plan starter", "frostline plan study.toml --json"))(plan)
app.command("stages", epilog=epilog("frostline stages resnet18", "frostline stages timm:vit_tiny_patch16_224"))(stages)
app.command(
    "backbones", epilog=epilog("frostline backbones resnet18", "frostline backbones 'timm:convnext*' --measure")
)(backbones)
app.command("runs", epilog=epilog("frostline runs"))(runs)
app.command(
    "show",
    epilog=epilog(
        "frostline show --pivot epochs,train_from",
        "frostline show --pivot epochs,optimizer",
        "frostline show starter",
        "frostline show 20261124-034216 --csv results.csv",
    ),
)(show)
app.add_typer(cache_app, name="cache")
app.command("doctor", epilog=epilog("frostline doctor", "frostline doctor --measure resnet18"))(doctor)


def main() -> None:
    """Run the command line, and exit with 0, 1 for a failure, 2 for wrong usage, or 130 after Ctrl-C."""
    begin()
    try:
        app()
    except UnicodeEncodeError as error:
        typer.echo(f"the output could not be written as {error.encoding}: set PYTHONIOENCODING=utf-8", err=True)
        sys.exit(1)
    except OSError as error:
        # What commands read and write has its own messages; this is the output itself.
        typer.echo(f"the output could not be written: {error.strerror or error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        # Ctrl-C outside any command, e.g. while a module is being imported.
        typer.echo("interrupted", err=True)
        sys.exit(130)
