"""``frostline cache``: stored activations, which can always be made again."""

import typer

__all__ = ["cache_app"]

cache_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Stored activations: what can be made again.")
