"""Sections as a self-contained page."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import calogan
from calogan.validation.criteria import Outcome
from calogan.validation.figures import Picture, file_name
from calogan.validation.page import Section

__all__ = ["Headline", "render"]

_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
_JOINT = re.compile(r"([_/])(?=\w)")
_LONG_TABLE = 24  # rows, above which a table scrolls in a box on the screen; the verdicts never do
_MOST_COLUMNS = 10  # that fit a sheet of paper at the usual size of letters


@dataclass(frozen=True)
class Headline:
    """The top of a page.

    Attributes:
        kind: What sort of page it is.
        title: What it is about.
        sentence: What a reader should take home.
        details: Short facts, shown in a line: tally, sizes.
        outcome: Verdict shown as a badge, if there is one.
        numbers: File beside the page that holds every number.
        in_pairs: Whether the key figures come in pairs.
        obstacles: Outcome and the names of the criteria that have it, a line each.
    """

    kind: str
    title: str
    sentence: str
    details: tuple[str, ...] = ()
    outcome: Outcome | None = None
    numbers: str = "report.json"
    in_pairs: bool = False
    obstacles: tuple[tuple[Outcome, str], ...] = ()


def render(headline: Headline, sections: Sequence[Section], pictures: Sequence[Picture], digest: str) -> str:
    """The page as a string; every text is escaped, nothing is loaded from elsewhere.

    Args:
        headline: Top of the page.
        sections: All sections in their order; what matters most, the verdicts, comes first.
        pictures: Figures of the sections, drawn; the key ones are shown below the first section.
        digest: Names what the page was made of.
    """
    environment = Environment(
        loader=PackageLoader("calogan.validation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(base64=_base64, broken=_broken, cited=_cited, anchor=file_name)
    return environment.get_template("page.html.j2").render(
        headline=headline,
        sections=sections,
        key_pictures=[picture for picture in pictures if picture.key],
        pictures=pictures,
        digest=digest,
        version=calogan.__version__,
        outcomes=[outcome.value for outcome in Outcome],
        long_table=_LONG_TABLE,
        most_columns=_MOST_COLUMNS,
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _broken(text: str) -> Markup:
    """Escape a text and allow its lines to break after underscores and slashes, as in names and paths."""
    return Markup(_JOINT.sub(r"\1<wbr>", str(escape(text))))


def _cited(text: str) -> Markup:
    """Escape a text and turn arXiv ids into links."""
    link = r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>'
    return Markup(_ARXIV.sub(link, str(escape(text))))
