"""The figures of a page as PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context

from calogan.progress import Reporter
from calogan.validation.page import Drawing, Section
from calogan.validation.plots.style import STYLE

__all__ = ["Picture", "draw", "file_name"]

_DPI = 144
_HEADER = 8 + 8  # bytes of a PNG before its width: signature, length and type of the first chunk


@dataclass(frozen=True)
class Picture:
    """A drawn figure.

    Attributes:
        name: File name without its ending.
        section: Id of the section that it belongs to.
        title: What it shows, for those who do not see it.
        png: The picture.
        caption: What its own title and labels do not say.
        key: Whether it is among the few that are shown right below the verdicts.
        folded: Whether it is shown only when asked for, and on paper.
    """

    name: str
    section: str
    title: str
    png: bytes
    caption: str = ""
    key: bool = False
    folded: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as the PNG itself says."""
        width, height = (int.from_bytes(self.png[_HEADER + at : _HEADER + at + 4], "big") for at in (0, 4))
        return width, height


def draw(sections: Sequence[Section], reporter: Reporter) -> tuple[Picture, ...]:
    """Draw all figures of all sections, in their order; no two get one name."""
    plans = [(section.id, drawing) for section in sections for drawing in section.drawings]
    pictures: list[Picture] = []
    taken: set[str] = set()
    with reporter.task("draw", total=len(plans), unit="figures") as task, rc_context(STYLE):
        for section, drawing in plans:
            name = file_name(drawing.name, taken)
            taken.add(name)
            shown = drawing.caption, drawing.key, drawing.folded
            pictures.append(Picture(name, section, drawing.title, _png(drawing), *shown))
            task.advance(note=name)
    return tuple(pictures)


def file_name(name: str, taken: set[str] | frozenset[str] = frozenset()) -> str:
    """Make a name of letters, digits and underscores that is not taken, whatever an observable may be called.

    Example:
        >>> file_name("../E / p"), file_name("energy", {"energy", "energy_2"})
        ('E_p', 'energy_3')
    """
    plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "figure"
    unique, number = plain, 1
    while unique in taken:
        number += 1
        unique = f"{plain}_{number}"
    return unique


def _png(drawing: Drawing) -> bytes:
    buffer = io.BytesIO()
    drawing.make().savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()
