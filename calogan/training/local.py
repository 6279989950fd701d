"""Training showers in their local frames, prepared once and kept on the device."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from calogan.models.generator import Generator
from calogan.physics.kinematics import momentum

__all__ = ["LocalShowers"]

CHUNK = 4096


@dataclass(frozen=True)
class LocalShowers:
    """Reference showers as the networks see them.

    Attributes:
        features: Of the particles in their frames, shape ``(showers, features)``.
        momentum: |p| [GeV], shape ``(showers, 1)``.
        layer_energy: Energies [GeV], shape ``(showers, layers)``.
        u: Transformed cells, shape ``(showers, cells)``.
    """

    features: Tensor
    momentum: Tensor
    layer_energy: Tensor
    u: Tensor

    def __len__(self) -> int:
        return len(self.u)

    def __getitem__(self, index: Tensor) -> LocalShowers:
        """Some of the showers."""
        return LocalShowers(*(getattr(self, one.name)[index] for one in fields(self)))

    @classmethod
    @torch.no_grad()
    def of(cls, generator: Generator, incident: Tensor, cell_energy: Tensor) -> LocalShowers:
        """Put showers into their frames.

        Args:
            generator: Whose frame and transform are used, on the showers' device.
            incident: Incident particles, shape ``(showers, 5)``.
            cell_energy: Cells [GeV], cut at the threshold, shape ``(showers, cells)``.
        """
        u = torch.empty_like(cell_energy)
        choice = torch.randn(len(incident), generator.frame.choices, generator=torch.Generator().manual_seed(0))
        choice = choice.to(incident.device)
        features = []
        for start in range(0, len(incident), CHUNK):
            chosen = slice(start, start + CHUNK)
            view = generator.frame(incident[chosen], choice[chosen])
            features.append(view.features)
            u[chosen] = generator.transform.encode(view.to_local(cell_energy[chosen]))
        layer_energy = cell_energy @ generator.membership
        return cls(torch.cat(features), momentum(incident).unsqueeze(1), layer_energy, u)
