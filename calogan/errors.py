"""Exceptions: one tree, each also the built-in that a caller would catch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BundleError",
    "BusyError",
    "CaloganError",
    "ConfigError",
    "DataError",
    "DivergenceError",
    "DomainError",
    "GeometryError",
    "MissingDependencyError",
    "ProcessLostError",
    "SchemaError",
    "ShapeError",
    "StoreError",
    "TrainingError",
    "TrainingInterrupted",
    "WorkerError",
    "near_miss",
]


class CaloganError(Exception):
    """Anything that calogan refuses: the message says what, where, and what to do.

    Attributes:
        agreed: Whether all processes of a training raise it, at the same place.
        said: Whether another process says it.
    """

    agreed = False
    said = False


class ConfigError(CaloganError, ValueError):
    """A configuration that is unreadable, has an unknown key or a value out of bounds."""


class GeometryError(CaloganError, ValueError):
    """Cells or layers that do not make a calorimeter, or an index outside of it."""


class SchemaError(CaloganError, ValueError):
    """A file that is not laid out as the configuration says (tree, branch, type, shape)."""


class DataError(CaloganError, ValueError):
    """A file whose content is impossible (NaN, negative energy, duplicate event)."""


class ShapeError(CaloganError, ValueError):
    """Array arguments whose shapes do not go together."""


class DomainError(CaloganError, ValueError):
    """An incident particle outside the domain that a surrogate was trained for."""


class StoreError(CaloganError, RuntimeError):
    """A prepared folder that is missing, damaged or made for something else."""


class BusyError(StoreError):
    """A folder that another process works in."""


class BundleError(CaloganError, RuntimeError):
    """A trained model that is missing, damaged or of an unknown format."""


class TrainingError(CaloganError, RuntimeError):
    """A training that cannot start or go on."""


class DivergenceError(TrainingError):
    """A training whose losses or weights are no longer finite."""


class TrainingInterrupted(CaloganError):  # noqa: N818 - a stop that was asked for, not a fault
    """A training that a signal stopped after saving its state; the same command goes on."""


class WorkerError(CaloganError, RuntimeError):
    """A process of a job that ended before its work was done."""


class ProcessLostError(CaloganError, RuntimeError):
    """A process of a training that cannot go on since another one has gone."""


class MissingDependencyError(CaloganError, ImportError):
    """An optional library that is not installed; the message names the extra."""


def near_miss(name: str, known: Iterable[str]) -> str:
    """Say what exists instead of `name`, nearest spellings first.

    Example:
        >>> near_miss("cell_E", ["cell_energy", "px"])
        "did you mean 'cell_energy'? There are: 'cell_energy', 'px'"
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    listed = ", ".join(repr(known_name) for known_name in names[:12]) or "none"
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return f"{hint}There are: {listed}{more}"
