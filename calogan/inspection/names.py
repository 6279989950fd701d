"""What branches mean, as far as their names tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

__all__ = ["find_name", "find_vector", "readable", "stem", "words"]

# Words that say whose number it is, or its unit, and not which.
_QUALIFIERS = {
    *("mc", "gen", "true", "truth", "primary", "incident", "inc", "particle", "part", "beam", "init", "initial", "in"),
    *("sim", "cell", "cells", "hit", "hits", "gev", "mev", "kev", "mm", "cm"),
}
_FOUND_AT_END = 0.5


def readable(text: str) -> str:
    r"""A text on one line that commands no terminal: what is not printable is spelt out.

    Example:
        >>> readable("a\x1b[31m")
        'a\\x1b[31m'
    """
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def words(name: str) -> list[str]:
    """Lower-case words of a name.

    Example:
        >>> words("eventID"), words("MCParticles.momentum_x")
        (['event', 'id'], ['mcparticles', 'momentum', 'x'])
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return [word for word in re.split(r"[^a-z0-9]+", parted) if word]


def stem(name: str) -> str:
    """A name without the words that say whose number it is, or its unit.

    Example:
        >>> stem("true_px"), stem("cell_energy"), stem("hits")
        ('px', 'energy', 'hits')
    """
    told = words(name)
    return "".join(word for word in told if word not in _QUALIFIERS) or "".join(told)


def find_name(names: Iterable[str], known: Mapping[str, float]) -> str | None:
    """The name whose words, all or without the qualifiers, are known with the highest score; None if there is none.

    Example:
        >>> find_name(["px", "particle_id", "pdg"], {"pdg": 2.0, "particleid": 1.0})
        'pdg'
    """
    scores = {name: max(known.get("".join(words(name)), 0.0), known.get(stem(name), 0.0)) for name in names}
    best = max(scores, key=lambda name: scores[name], default=None)
    return best if best is not None and scores[best] > 0 else None


def find_vector(names: Iterable[str], known: Mapping[str, float], axes: str) -> tuple[str, ...] | None:
    """Names that differ by the axis at their end alone, of the quantity with the highest score.

    Args:
        names: Names of branches.
        known: Score of a name without the axis, such as ``{"p": 2.0, "momentum": 1.0}``.
        axes: Such as ``xyz``.

    Returns:
        A name an axis; None if there are none for all of them.

    Example:
        >>> find_vector(["x", "y", "gen_pz", "gen_px", "gen_py"], {"p": 1.0}, "xyz")
        ('gen_px', 'gen_py', 'gen_pz')
    """
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for name in names:
        core, whole = stem(name), "".join(words(name))
        if core[-1:] in axes and whole[-1:] == core[-1:]:
            groups.setdefault((core[:-1], whole[:-1]), {}).setdefault(core[-1:], name)
    scores = {
        key: _score(key[0], known) - 0.01 * len(key[1])
        for key, group in groups.items()
        if len(group) == len(axes) and _score(key[0], known) > 0
    }
    if not scores:
        return None
    group = groups[max(scores, key=lambda key: scores[key])]
    return tuple(group[axis] for axis in axes)


def _score(quantity: str, known: Mapping[str, float]) -> float:
    at_end = (_FOUND_AT_END for word in known if len(word) > 1 and quantity.endswith(word))
    return known.get(quantity) or next(at_end, 0.0)
