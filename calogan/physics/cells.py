"""Single cells of a shower: lit cells and hottest cells.

Each function takes a `ShowerView` and returns one number per shower, shape ``(showers,)``; NaN where a shower has no
such number, mostly because it is empty.
"""

from __future__ import annotations

from typing import Any

from calogan.physics.arrays import ratio
from calogan.physics.view import ShowerView

__all__ = ["hottest_fraction", "hottest_ratio", "occupancy"]


def occupancy(view: ShowerView, *, minimum: float = 0.0) -> Any:
    """Number of lit cells: energy above 0 and at least `minimum` [GeV]; integers."""
    return view.count(view.energy >= minimum)


def hottest_fraction(view: ShowerView, *, rank: int) -> Any:
    """Energy of the hottest (rank 0) or second-hottest (rank 1) cell over the total; NaN for an empty shower."""
    return ratio(view.hottest[rank], view.total)


def hottest_ratio(view: ShowerView) -> Any:
    """Energy of the second-hottest over that of the hottest cell; NaN for an empty shower."""
    return ratio(view.hottest[1], view.hottest[0])
