"""The two samples of a comparison with all that its studies share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calogan.config import ValidationConfig
from calogan.data.showers import Showers
from calogan.metrics.resampling import Resampling
from calogan.metrics.resolution import momentum_bin
from calogan.physics.observables import Observable

__all__ = ["Samples"]

_FAINT = 1e-4  # [GeV] where there is no threshold

Values = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Samples:
    """Reference and generated showers, cut at the threshold, with their observables.

    Attributes:
        reference: Full simulation.
        generated: Surrogate, in the same cells.
        threshold: Cells below it [GeV] were set to 0 in both.
        observables: Name to observable, those of the user among them.
        reference_values: Values of the observables by name, each of shape ``(n,)``; NaN where a shower has none.
        generated_values: The same of the generated showers, each of shape ``(m,)``.
        paired: Every generated shower has the very particle of the reference shower in the same place.
        reference_group: Groups that splits may not tear apart, shape ``(n,)``: showers of one incident particle,
            and showers that are the same in every cell, have one number in both samples.
        generated_group: The same, shape ``(m,)``.
        settings: How the comparison is made.
    """

    reference: Showers
    generated: Showers
    threshold: float
    observables: Mapping[str, Observable]
    reference_values: Values
    generated_values: Values
    paired: bool
    reference_group: NDArray[np.int64]
    generated_group: NDArray[np.int64]
    settings: ValidationConfig

    @property
    def faint(self) -> float:
        """Energy of a faint cell [GeV]: the threshold, where there is one."""
        return self.threshold or _FAINT

    @property
    def types(self) -> tuple[int, ...]:
        """PDG ids of the particles, ascending; none where all are of one type, or a sample does not know them."""
        known = [np.unique(showers.pdg) for showers in (self.reference, self.generated)]
        found = np.union1d(*known)
        return tuple(found.tolist()) if len(found) > 1 and 0 not in found else ()

    def of_type(self, pdg: int) -> Samples:
        """The showers of one particle type, whose momentum bins are those that the reference reaches."""
        rows = [showers.pdg == pdg for showers in (self.reference, self.generated)]
        bins, reference = self.settings.momentum_bins, self.reference[rows[0]]
        if bins is not None:
            bins = _reached(bins, reference.momentum)
        return replace(
            self,
            paired=self.paired and np.array_equal(*rows),
            reference=reference,
            generated=self.generated[rows[1]],
            reference_values={name: values[rows[0]] for name, values in self.reference_values.items()},
            generated_values={name: values[rows[1]] for name, values in self.generated_values.items()},
            reference_group=self.reference_group[rows[0]],
            generated_group=self.generated_group[rows[1]],
            settings=self.settings.model_copy(update={"momentum_bins": bins}),
        )

    def rng(self, piece: str) -> np.random.Generator:
        """A random stream of its own for each piece of the work, so that no piece changes another's figures."""
        return np.random.default_rng([self.settings.seed, *piece.encode()])

    def resampling(self, piece: str, repeats: int | None = None) -> Resampling:
        """Draws for errors and floors; `repeats` are ``settings.bootstrap`` if left out."""
        seed = int(self.rng(piece).integers(2**63))
        number = self.settings.bootstrap if repeats is None else repeats
        return Resampling(len(self.reference), len(self.generated), self.paired, number, seed)


def _reached(edges: Sequence[float], momentum: NDArray[np.float64]) -> list[float]:
    """Edges of the bins from that of the lowest to that of the highest momentum [GeV]."""
    place = momentum_bin(momentum, edges)
    inside = place[place >= 0]
    return list(edges[inside.min() : inside.max() + 2]) if inside.size else list(edges)
