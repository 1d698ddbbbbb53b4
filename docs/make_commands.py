"""Prints docs/commands.md, made from the --help of every command: python docs/make_commands.py > docs/commands.md."""

from __future__ import annotations

from typer.main import get_command
from typer.testing import CliRunner

from frostline.cli import app

WIDTH = 100


def main() -> None:
    """Print the page."""
    print("# Commands\n")
    print("Made from `--help` by `python docs/make_commands.py > docs/commands.md`; a test compares the two.")
    for words in [[], *_commands()]:
        print(f"\n## {' '.join(['frostline', *words])}\n")
        # A name in the usage line that doesn't depend on how this script was started.
        result = CliRunner().invoke(app, [*words, "--help"], prog_name="frostline", terminal_width=WIDTH)
        print(f"```text\n{result.output.strip()}\n```")


def _commands() -> list[list[str]]:
    commands: list[list[str]] = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        commands.append([name])
        commands += [[name, inner] for inner in getattr(command, "commands", {})]
    return commands


if __name__ == "__main__":
    main()
