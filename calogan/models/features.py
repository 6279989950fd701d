"""Physics of a shower that gradients pass through, for the critic."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from calogan.geometry import Geometry
from calogan.physics.kinematics import momentum, slopes

__all__ = ["ShowerFeatures"]

SOFT_LEVELS = (0.3, 1.0, 2.0, 3.5, 5.0)
"""Levels of u at which cells are counted."""
RINGS = (20.0, 60.0, 120.0, 240.0)
"""Radii about the projected track between which energy is summed [mm]."""
HOTTEST = (1, 4)
"""Numbers of hottest cells whose energy is summed."""


class ShowerFeatures(nn.Module):
    """Numbers of a shower, standardised by the training showers.

    In each layer: log response, centre relative to the projected track, second moments, roots of the energy fractions
    in rings about the track, soft counts of cells above some levels; over all layers the fractions of the hottest
    cells.

    Args:
        geometry: Cells of a shower.
    """

    moments: Tensor
    membership: Tensor
    cell_x: Tensor
    cell_y: Tensor
    depth: Tensor
    location: Tensor
    spread: Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.n_layers = geometry.n_layers
        x, y = (torch.from_numpy(values).float() for values in (geometry.cell_x, geometry.cell_y))
        member = nn.functional.one_hot(torch.from_numpy(geometry.cell_layer), self.n_layers).float()
        powers = torch.stack([torch.ones_like(x), x, y, x * x, y * y, x * y], dim=1)
        moments = (member.unsqueeze(2) * powers.unsqueeze(1)).reshape(geometry.n_cells, -1)
        depth = torch.tensor([layer.depth for layer in geometry.layers])
        for name, values in (
            ("moments", moments),
            ("membership", member),
            ("cell_x", x),
            ("cell_y", y),
            ("depth", depth),
        ):
            self.register_buffer(name, values, persistent=False)
        self.register_buffer("location", torch.zeros(self.size))
        self.register_buffer("spread", torch.ones(self.size))

    @property
    def size(self) -> int:
        """Number of features."""
        return self.n_layers * (6 + len(RINGS) + len(SOFT_LEVELS)) + len(HOTTEST)

    @torch.no_grad()
    def fit_scale(self, u: Tensor, energy: Tensor, incident: Tensor) -> None:
        """Take location and spread from training showers; arguments as of `forward`."""
        raw = self._raw(u, energy, incident)
        self.location.copy_(raw.mean(dim=0))
        self.spread.copy_(raw.std(dim=0).clamp_min(1e-3))

    def forward(self, u: Tensor, energy: Tensor, incident: Tensor) -> Tensor:
        """Features of showers.

        Args:
            u: Transformed cell energies, shape ``(showers, cells)``.
            energy: The same cells' energies above the threshold [GeV], shape ``(showers, cells)``.
            incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.

        Returns:
            Features of about unit size, shape ``(showers, size)``.
        """
        return (self._raw(u, energy, incident) - self.location) / self.spread

    def _raw(self, u: Tensor, energy: Tensor, incident: Tensor) -> Tensor:
        sums = (energy @ self.moments).reshape(-1, self.n_layers, 6)
        total = sums[:, :, 0].clamp_min(1e-9)
        x, y, xx, yy, xy = (sums[:, :, power] / total for power in range(1, 6))
        track_x, track_y = self._track(incident)
        features = [
            torch.log(total / momentum(incident).unsqueeze(1) + 1e-5),
            x - track_x,
            y - track_y,
            torch.log((xx - x * x).clamp_min(0.0) + 1.0),
            torch.log((yy - y * y).clamp_min(0.0) + 1.0),
            (xy - x * y) / 100.0,
            *self._rings(energy / total.sum(dim=1, keepdim=True), track_x, track_y),
            *(torch.sigmoid(4.0 * (u - level)) @ self.membership for level in SOFT_LEVELS),
        ]
        hottest = energy.topk(max(HOTTEST), dim=1).values / total.sum(dim=1, keepdim=True)
        return torch.cat([*features, *(hottest[:, :count].sum(dim=1, keepdim=True) for count in HOTTEST)], dim=1)

    def _track(self, incident: Tensor) -> tuple[Tensor, Tensor]:
        """Where the projected track meets each layer [mm], shapes ``(showers, layers)``."""
        slope_x, slope_y = (slope.unsqueeze(1) for slope in slopes(incident))
        return incident[:, 3:4] + self.depth * slope_x, incident[:, 4:5] + self.depth * slope_y

    def _rings(self, fraction: Tensor, track_x: Tensor, track_y: Tensor) -> list[Tensor]:
        to_cells = self.membership.T
        radius = torch.hypot(self.cell_x - track_x @ to_cells, self.cell_y - track_y @ to_cells)
        ring = torch.bucketize(radius.detach(), torch.tensor(RINGS, device=radius.device))
        rings = [(fraction * (ring == number)) @ self.membership for number in range(1, len(RINGS) + 1)]
        return [(energy + 1e-4).sqrt() for energy in rings]
