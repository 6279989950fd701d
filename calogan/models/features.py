"""Physics of a shower that gradients pass through, for the critic."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from calogan.geometry import Geometry
from calogan.models.preprocessing import CellTransform
from calogan.physics.kinematics import momentum, slopes

__all__ = ["ShowerFeatures"]

SOFT_LEVELS = (0.3, 1.0, 2.0, 3.5, 5.0)
"""Levels of u at which cells are counted."""


class ShowerFeatures(nn.Module):
    """Per layer: log response, centre to the projected track, widths, hottest fraction, soft counts of lit cells.

    Everything is scaled to about unit size by the geometry alone, so that no statistics are kept.
    """

    moments: Tensor
    membership: Tensor
    depth: Tensor

    def __init__(self, geometry: Geometry, transform: CellTransform) -> None:
        super().__init__()
        self.transform = transform
        self.n_layers = geometry.n_layers
        x, y = (torch.from_numpy(values).float() for values in (geometry.cell_x, geometry.cell_y))
        self.unit = float(torch.stack([x.abs().max(), y.abs().max()]).max()) / 6.0
        x, y = x / self.unit, y / self.unit
        member = nn.functional.one_hot(torch.from_numpy(geometry.cell_layer), self.n_layers).float()
        powers = torch.stack([torch.ones_like(x), x, y, x * x, y * y, x * y], dim=1)
        moments = (member.unsqueeze(2) * powers.unsqueeze(1)).reshape(geometry.n_cells, -1)
        self.register_buffer("moments", moments, persistent=False)
        self.register_buffer("membership", member, persistent=False)
        self.register_buffer("depth", torch.tensor([layer.depth for layer in geometry.layers]), persistent=False)

    @property
    def size(self) -> int:
        """Number of features."""
        return self.n_layers * (7 + len(SOFT_LEVELS))

    def forward(self, u: Tensor, energy: Tensor, incident: Tensor) -> Tensor:
        """Features of showers.

        Args:
            u: Transformed cell energies, shape ``(showers, cells)``.
            energy: The same cells' energies above the threshold [GeV], shape ``(showers, cells)``.
            incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.

        Returns:
            Features, shape ``(showers, size)``.
        """
        raw = (energy @ self.moments).reshape(-1, self.n_layers, 6)
        total = raw[:, :, 0].clamp_min(1e-9)
        x, y, xx, yy, xy = (raw[:, :, power] / total for power in range(1, 6))
        slope_x, slope_y = slopes(incident)
        track_x = (incident[:, 3:4] + self.depth * slope_x.unsqueeze(1)) / self.unit
        track_y = (incident[:, 4:5] + self.depth * slope_y.unsqueeze(1)) / self.unit
        features = [
            10.0 * torch.log(total / momentum(incident).unsqueeze(1) + 1e-5),
            4.0 * (x - track_x),
            4.0 * (y - track_y),
            4.0 * ((xx - x * x).clamp_min(0.0) + 1e-3).sqrt(),
            4.0 * ((yy - y * y).clamp_min(0.0) + 1e-3).sqrt(),
            4.0 * (xy - x * y),
            4.0 * self._hottest(energy) / total,
        ]
        return torch.cat([*features, *self._counts(u)], dim=1)

    def _hottest(self, energy: Tensor) -> Tensor:
        masked = energy.unsqueeze(2) * self.membership if self.n_layers > 1 else energy.unsqueeze(2)
        return masked.amax(dim=1)

    def _counts(self, u: Tensor) -> list[Tensor]:
        return [
            torch.log1p(torch.sigmoid(4.0 * (u - level)) @ self.membership) for level in SOFT_LEVELS
        ]
