"""Tables on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, JustifyMethod
from rich.table import Table

if TYPE_CHECKING:
    from calogan.stages.export import Exported
    from calogan.stages.sweep import Outcome
    from calogan.validation.summary import Verdicts

__all__ = ["print_parity", "print_sweep", "print_table", "print_verdicts"]

_WIDTH = 120  # in files and batch logs
_COLOURS = {"pass": "green", "fail": "red", "undecided": "yellow"}


def print_table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    left: Collection[int] = (0,),
    title: str = "",
    whole: Collection[int] = (),
) -> None:
    """Print a table; a row has the colour of its last cell that begins with a verdict.

    Args:
        header: Heads of the columns.
        rows: Cells.
        left: Columns, counted from 0, that are aligned to the left.
        title: What stands above the table.
        whole: Columns, counted from 0, whose cells stay on one line, such as what is to be copied.
    """
    table = Table(title=title or None, title_justify="left")
    for column, name in enumerate(header):
        justify: JustifyMethod = "left" if column in left else "right"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=column in whole)
    for row in rows:
        colours = [_COLOURS[word] for cell in row if (word := cell.partition(",")[0]) in _COLOURS]
        table.add_row(*row, style=colours[-1] if colours else None)
    Console(width=None if sys.stdout.isatty() else _WIDTH, markup=False, highlight=False).print(table)


def print_parity(exported: Iterable[Exported]) -> None:
    """Print how far exported files agree with the generator that they were made from."""
    rows = [
        (str(file.path), str(one.showers), str(one.cells), f"{one.difference:.1e}", str(one.apart), str(one.flipped))
        for file in exported
        for one in file.parity
    ]
    header = ("file", "showers", "cells", "largest relative difference", "above 1e-5", "lit in one alone")
    print_table(header, rows, title="Against the generator in torch")


def print_verdicts(verdicts: Verdicts) -> None:
    """Print the table of verdicts, what it leaves out, the verdict on the whole, and the path of the report."""
    header, *rows = verdicts.table()
    print_table(header, rows, left=(0, len(header) - 1))
    for line in (*verdicts.left_out(), *verdicts.types(), verdicts.sentence, verdicts.report):
        print(line)  # noqa: T201


def print_sweep(outcome: Outcome) -> None:
    """Print the table of trials, what is left to do, and where the best is."""
    header, *rows = outcome.table()
    print_table(header, rows, left=(0, 1))
    for trial in outcome.trials:
        if trial.reason is not None:
            print(f"trial {trial.folder} failed: {trial.reason}")  # noqa: T201
    for line in outcome.summary():
        print(line)  # noqa: T201
