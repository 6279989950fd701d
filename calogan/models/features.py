"""Physics of a shower that gradients pass through, for the critic."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from calogan.geometry import Geometry
from calogan.physics.kinematics import momentum, slopes

__all__ = ["ShowerFeatures", "Track"]

SOFT_LEVELS = (0.3, 1.5, 3.5)
"""Levels of u at which cells are counted."""
RADII = (20.0, 60.0, 120.0, 240.0)
"""Distances from the projected track beyond which energy is summed [mm]."""
HOTTEST = (1, 4)
"""Numbers of hottest cells whose energy is summed."""


@dataclass(frozen=True)
class Track:
    """What the features need of the incident particles, whatever the showers.

    Attributes:
        momentum: |p| [GeV], shape ``(showers, 1)``.
        x: Where the projected track meets each layer [mm], shape ``(showers, layers)``.
        y: Likewise.
        beyond: 1 where a cell is further from the track than a radius, shape ``(showers, cells, radii)``.
    """

    momentum: Tensor
    x: Tensor
    y: Tensor
    beyond: Tensor


class ShowerFeatures(nn.Module):
    """Numbers of a shower, standardised by the training showers.

    In each layer: log response, centre relative to the projected track, second moments, soft counts of cells above some
    levels; over all layers: roots of the energy fractions beyond some radii from the track and in the hottest cells.

    Args:
        geometry: Cells of a shower.
    """

    moments: Tensor
    membership: Tensor
    cell_x: Tensor
    cell_y: Tensor
    depth: Tensor
    squared_radii: Tensor
    location: Tensor
    spread: Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.n_layers = geometry.n_layers
        x, y = (torch.from_numpy(values).float() for values in (geometry.cell_x, geometry.cell_y))
        member = nn.functional.one_hot(torch.from_numpy(geometry.cell_layer), self.n_layers).float()
        powers = torch.stack([torch.ones_like(x), x, y, x * x, y * y, x * y], dim=1)
        constants = {
            "moments": (member.unsqueeze(2) * powers.unsqueeze(1)).reshape(geometry.n_cells, -1),
            "membership": member,
            "cell_x": x,
            "cell_y": y,
            "depth": torch.tensor([layer.depth for layer in geometry.layers]),
            "squared_radii": torch.tensor(RADII).square(),
        }
        for name, values in constants.items():
            self.register_buffer(name, values, persistent=False)
        self.register_buffer("location", torch.zeros(self.size))
        self.register_buffer("spread", torch.ones(self.size))

    @property
    def size(self) -> int:
        """Number of features."""
        return self.n_layers * (6 + len(SOFT_LEVELS)) + len(RADII) + len(HOTTEST)

    @torch.no_grad()
    def track(self, incident: Tensor) -> Track:
        """Projected tracks of incident particles, shape ``(showers, 5)``."""
        slope_x, slope_y = (slope.unsqueeze(1) for slope in slopes(incident))
        x, y = incident[:, 3:4] + self.depth * slope_x, incident[:, 4:5] + self.depth * slope_y
        to_cells = self.membership.T
        squared = (self.cell_x - x @ to_cells).square() + (self.cell_y - y @ to_cells).square()
        beyond = (squared.unsqueeze(2) >= self.squared_radii).to(squared.dtype)
        return Track(momentum(incident).unsqueeze(1), x, y, beyond)

    @torch.no_grad()
    def fit_scale(self, u: Tensor, energy: Tensor, incident: Tensor) -> None:
        """Take location and spread from training showers: u, energies above the threshold, incident particles."""
        raw = self._raw(u, energy, self.track(incident))
        self.location.copy_(raw.mean(dim=0))
        self.spread.copy_(raw.std(dim=0).clamp_min(1e-3))

    def forward(self, u: Tensor, energy: Tensor, track: Track) -> Tensor:
        """Features of showers.

        Args:
            u: Transformed cell energies, shape ``(showers, cells)``.
            energy: The same cells' energies above the threshold [GeV], shape ``(showers, cells)``.
            track: Projected tracks of the showers.

        Returns:
            Features of about unit size, shape ``(showers, size)``.
        """
        return (self._raw(u, energy, track) - self.location) / self.spread

    def _raw(self, u: Tensor, energy: Tensor, track: Track) -> Tensor:
        sums = (energy @ self.moments).reshape(-1, self.n_layers, 6)
        layer = sums[:, :, 0].clamp_min(1e-9)
        x, y, xx, yy, xy = (sums[:, :, power] / layer for power in range(1, 6))
        total = layer.sum(dim=1, keepdim=True)
        outside = (energy.unsqueeze(1) @ track.beyond).squeeze(1)
        hottest = energy.topk(min(max(HOTTEST), energy.shape[1]), dim=1).values
        in_hottest = torch.stack([hottest[:, :count].sum(dim=1) for count in HOTTEST], dim=1)
        features = [
            torch.log(layer / track.momentum + 1e-5),
            x - track.x,
            y - track.y,
            torch.log((xx - x * x).clamp_min(0.0) + 1.0),
            torch.log((yy - y * y).clamp_min(0.0) + 1.0),
            (xy - x * y) / 100.0,
            *(torch.sigmoid(4.0 * (u - level)) @ self.membership for level in SOFT_LEVELS),
            (torch.cat([outside, in_hottest], dim=1) / total + 1e-4).sqrt(),
        ]
        return torch.cat(features, dim=1)
