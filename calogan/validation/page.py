"""What a page of the report is made of: sections with texts, tables and drawings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

__all__ = ["Drawing", "Section", "Table"]


@dataclass(frozen=True)
class Table:
    """A table of texts.

    A cell that is nothing but ``pass``, ``fail`` or ``undecided`` is shown as a badge.

    Attributes:
        header: Heads of the columns.
        rows: Cells, as many a row as the header has; a row of a single cell is a heading of the rows below it.
        caption: What the table shows; the title of its section if left out.
        left: Columns, counted from 0, that are aligned to the left and may break their lines; the others hold numbers.
        folded: Whether it is shown only when asked for, and on paper.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    left: tuple[int, ...] = (0,)
    folded: bool = False


@dataclass(frozen=True)
class Drawing:
    """A figure that is drawn when it is asked for.

    Attributes:
        name: File name without its ending; what is no letter, digit or underscore in it becomes an underscore.
        title: What it shows, for those who do not see it.
        make: Draws it.
        caption: What its own title and labels do not say.
        key: Whether it is among the few that are shown right below the verdicts.
        folded: Whether it is shown only when asked for, and on paper.
    """

    name: str
    title: str
    make: Callable[[], Figure]
    caption: str = ""
    key: bool = False
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        id: Name of the link to it.
        title: Heading.
        text: Paragraphs; plain text, in which ``arXiv:2410.21611`` and the like become links.
        tables: Tables.
        drawings: Figures.
        warning: What a reader must know before any number; shown above everything else, with a link to the section.
        finding: What the section comes to, in a sentence or two; shown before its text.
    """

    id: str
    title: str
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    warning: str = ""
    finding: str = ""
