"""The two samples of a comparison with all that its studies share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.config import ValidationConfig
from calogan.data.showers import Showers
from calogan.metrics.resampling import Resampling
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

    def rng(self, piece: str) -> np.random.Generator:
        """A random stream of its own for each piece of the work, so that no piece changes another's figures."""
        return np.random.default_rng([self.settings.seed, *piece.encode()])

    def resampling(self, piece: str, repeats: int | None = None) -> Resampling:
        """Draws for errors and floors; `repeats` are ``settings.bootstrap`` if left out."""
        seed = int(self.rng(piece).integers(2**63))
        number = self.settings.bootstrap if repeats is None else repeats
        return Resampling(len(self.reference), len(self.generated), self.paired, number, seed)
