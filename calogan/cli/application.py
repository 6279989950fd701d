"""The application that the commands belong to, and the options that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import calogan
from calogan.endings import OrderlyGroup, ignore_signals

__all__ = ["FAILED", "Overrides", "Quiet", "Study", "app", "main"]

FAILED = 1

app = typer.Typer(
    cls=OrderlyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Calorimeter showers from a conditional WGAN-GP instead of Geant4.",
)

Study = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML configuration of the study.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Replace a value of the configuration; may be repeated."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results, warnings and errors only.")]


def main() -> None:
    """Run the command line."""
    ignore_signals()  # but in a command, which ends with an exit code of its own
    app(prog_name="calogan")


def _print_version(value: bool) -> None:
    if value:
        print(f"calogan {calogan.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
