"""Names of criteria and metrics that are of one particle type."""

from __future__ import annotations

__all__ = ["of_type", "split_type"]

_BETWEEN = " · "


def of_type(name: str, text: str) -> str:
    """A text with the name of a particle type before it.

    Example:
        >>> of_type("gamma", "low-level AUC")
        'gamma · low-level AUC'
    """
    return f"{name}{_BETWEEN}{text}"


def split_type(text: str) -> tuple[str, str]:
    """Name of the particle type, empty for all types together, and the text without it.

    Example:
        >>> split_type("gamma · low-level AUC"), split_type("low-level AUC")
        (('gamma', 'low-level AUC'), ('', 'low-level AUC'))
    """
    name, between, rest = text.partition(_BETWEEN)
    return (name, rest) if between else ("", text)
