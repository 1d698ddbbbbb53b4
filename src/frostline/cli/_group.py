"""Where a command's failure becomes one clear message and an exit code."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from frostline.errors import FrostlineError

__all__ = ["FrostlineGroup", "epilog"]


class FrostlineGroup(TyperGroup):
    """Commands whose expected failures are one message on standard error: exit code 1, or 130 after Ctrl-C."""

    def invoke(self, ctx: Any) -> Any:
        """Invoke the command that was asked for."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            # pydantic's words, which typer passes on, say nothing to whoever typed the value
            error.message = error.message.replace("Value error, ", "")
            raise
        except FrostlineError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from error
        except OSError as error:
            if error.filename is None:  # the output itself: see main
                raise
            typer.echo(f"error: {error.filename}: {error.strerror}", err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            typer.echo("interrupted", err=True)
            raise typer.Exit(130) from error


def epilog(*commands: str) -> str:
    """Return the examples that close a help text, one a line."""
    # \b keeps the lines of a paragraph apart.
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)
