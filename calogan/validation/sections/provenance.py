"""Where the samples come from, and what the report's words mean."""

from __future__ import annotations

from collections.abc import Mapping

from calogan.validation.definitions import DEFINITIONS
from calogan.validation.page import Section, Table

__all__ = ["definitions_section", "provenance_section"]


def provenance_section(provenance: Mapping[str, str]) -> Section:
    """Files, digests, seeds and versions."""
    table = Table(("what", "value"), tuple(provenance.items()), "What this report was made of", left=(0, 1))
    return Section("provenance", "Provenance", (), (table,))


def definitions_section() -> Section:
    """Formulas and sources of what the report prints."""
    rows = tuple((one.name, one.text, one.source or "–") for one in DEFINITIONS)
    table = Table(
        ("name", "meaning", "source"), rows, "What the words of this report mean", left=(0, 1, 2), folded=True
    )
    return Section("definitions", "Definitions", (), (table,))
