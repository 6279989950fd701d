"""MLflow's model registry -> a table of the versions that are there."""

from __future__ import annotations

from dataclasses import dataclass

from calogan.registry import Registry, Version, list_versions, open_registry
from calogan.stages.register import FIGURE, KEY_FIGURES

__all__ = ["Models", "list_models"]


@dataclass(frozen=True)
class Models:
    """Registered bundles as a table of texts.

    Attributes:
        header: Heads of the columns.
        rows: A row a version, the newest of each model first.
        left: Columns, counted from 0, that are words.
        note: What is to be said besides; empty if nothing is.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...]
    note: str


def list_models(name: str | None = None) -> Models:
    """List the bundles of MLflow's model registry.

    Args:
        name: Registered model; all if left out.

    Raises:
        BundleError: There is no such model.
        CaloganError: MLflow is not installed, or fails.
    """
    registry = open_registry()
    versions = list_versions(registry, name)
    ours = [version for version in versions if version.bundle is not None]
    figures = [figure for figure in KEY_FIGURES if any(f"{FIGURE}{figure}" in version.tags for version in ours)]
    header = ("model/version", "aliases", "bundle", "registered\n[UTC]", *map(_head, figures), "verdict")
    rows = tuple(_row(version, figures) for version in ours)
    words = (0, 1, 2, len(header) - 1)
    return Models(header, rows, words, _note(registry, name, len(ours), len(versions) - len(ours)))


def _note(registry: Registry, name: str | None, ours: int, others: int) -> str:
    of = f" of {name!r}" if name else ""
    none = f"no bundle{of} is registered in MLflow at {registry.uri}; `calogan register CONFIG` registers one"
    left_out = f"left out, as they are not calogan's: {others} version{'s' if others > 1 else ''}"
    return "; ".join([none] * (not ours) + [left_out] * bool(others))


def _head(figure: str) -> str:
    """Name of a figure as in the report, on two lines, since its numbers are narrow."""
    level, _, measure = figure.rpartition("_")
    return f"{level.replace('_', '-')}\n{measure.upper()}".strip()


def _row(version: Version, figures: list[str]) -> tuple[str, ...]:
    tags = version.tags
    counts = [count for count in tags.get("calogan.verdict.tally", "").split(", ") if not count.startswith("0 ")]
    return (
        f"{version.name}/{version.number}",
        ", ".join(version.aliases),
        version.bundle or "",
        f"{version.created:%Y-%m-%d %H:%M}",
        *(tags.get(f"{FIGURE}{figure}", "") for figure in figures),
        ", ".join(filter(None, [tags.get("calogan.verdict", ""), *counts])),
    )
