"""Cells side by side: what a mean per cell, or cells drawn independently of each other, cannot show.

Each function takes a `ShowerView` and returns one number per shower, shape ``(showers,)``. Cells are neighbours if
they share a side in a layer.
"""

from __future__ import annotations

from typing import Any

from calogan.physics.arrays import count_by, like, nonzero, ratio, sum_by
from calogan.physics.view import ShowerView

__all__ = ["cluster_number", "isolated_cells", "largest_cluster", "lit_pairs", "neighbour_correlation"]

_FLAT = 1e-12  # sum of squares of log energies below which they are all the same but for rounding


def lit_pairs(view: ShowerView, *, minimum: float = 0.0) -> Any:
    """Number of pairs of neighbours that are both lit and hold at least `minimum` [GeV]; integers.

    Faint cells that a surrogate lights independently of one another make too few pairs.
    """
    return count_by(view.pair_shower[view.pair_minimum >= minimum], len(view))


def neighbour_correlation(view: ShowerView, *, minimum: float = 0.0) -> Any:
    r"""Correlation coefficient of the log energies of neighbours, after the mean of their ring is taken off.

    .. math:: r = \frac{\sum_{(i,j)} u_i u_j}{\tfrac12 \sum_{(i,j)} (u_i^2 + u_j^2)}, \quad
        u_i = \ln E_i - \langle \ln E \rangle_{\mathrm{ring}(i)}

    over pairs (i, j) of neighbours that are both lit and hold at least `minimum`. The mean is that of the shower's
    own cells of at least `minimum` in the same ring of the same layer, so that the fall of the energy with the
    distance from the track hardly counts as correlation. Energies that are dealt at random among the lit cells of
    their ring have coefficients a little below 0, about -1/(n - 1) with n cells in it, since the mean is the
    shower's own.

    Args:
        view: Showers.
        minimum: Least energy of both cells [GeV].

    Returns:
        Coefficients from -1 to 1, shape ``(showers,)``; NaN for a shower without such pairs, or where the cells of
        every pair are alone in their rings or have the energy of their ring's mean.

    Source:
        R. A. Fisher, Statistical Methods for Research Workers (1925), chapter 7: intraclass correlation, of pairs;
        P. A. P. Moran, Biometrika 37 (1950) 17: the same of neighbours on a map.
    """
    bright, chosen = nonzero(view.energy >= minimum), nonzero(view.pair_minimum >= minimum)
    group, logs = view.ring_group[bright], view.log_energy[bright]
    mean = sum_by(group, logs, view.ring_groups) / count_by(group, view.ring_groups).clip(1, None)
    rest = view.log_energy - mean[view.ring_group]
    first, second = (rest[place[chosen]] for place in view.pairs)
    shower = view.pair_shower[chosen]
    product = sum_by(shower, first * second, len(view))
    square = sum_by(shower, first * first + second * second, len(view)) / 2
    return ratio(product, square * (square > _FLAT))


def cluster_number(view: ShowerView, *, faint: bool) -> Any:
    """Number of clusters, i.e. of sets of lit cells that hang together by sides; integers.

    Args:
        view: Showers.
        faint: Whether only faint cells (lit, below 3 MeV) are looked at, as if all others were dark.
    """
    return like((view.faint_clusters if faint else view.lit_clusters).number, view.shower)


def largest_cluster(view: ShowerView, *, faint: bool) -> Any:
    """Cells in the largest cluster, 0 for an empty shower; integers. Arguments as of `cluster_number`."""
    return like((view.faint_clusters if faint else view.lit_clusters).largest, view.shower)


def isolated_cells(view: ShowerView) -> Any:
    """Number of lit cells without a lit neighbour; integers."""
    first, second = view.pairs
    neighbours = count_by(first, len(view.shower)) + count_by(second, len(view.shower))
    return view.count(neighbours == 0)
