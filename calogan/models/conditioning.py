"""The incident particle as the networks see it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from calogan.physics.kinematics import Domain

__all__ = ["Conditioning"]


class Conditioning(nn.Module):
    """Features of the incident particle, each about -1 to 1 over the domain.

    `momentum` becomes log|p|, `direction` the slopes px/pz and py/pz, `entry_point` x and y, scaled by the domain.

    Args:
        names: Conditions out of momentum, direction and entry_point.
        domain: Domain of the surrogate.
    """

    centre: Tensor
    half_width: Tensor

    def __init__(self, names: Sequence[str], domain: Domain) -> None:
        super().__init__()
        self.names = tuple(names)
        low, high = (math.log(bound) for bound in domain.momentum)
        slope = math.tan(domain.max_angle)
        ranges = {
            "momentum": [(low, high)],
            "direction": [(-slope, slope), (-slope, slope)],
            "entry_point": [domain.entry_x, domain.entry_y],
        }
        bounds = [bound for name in self.names for bound in ranges[name]]
        self.register_buffer("centre", torch.tensor([(low + high) / 2 for low, high in bounds]))
        widths = [(high - low) / 2 for low, high in bounds]
        self.register_buffer("half_width", torch.tensor([width if width > 0 else 1.0 for width in widths]))

    @property
    def size(self) -> int:
        """Number of features."""
        return len(self.centre)

    def told(self, incident: Tensor) -> Tensor:
        """Incident particles as far as the condition tells of them: else along the axis, and at the centre.

        Args:
            incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        """
        momentum, point = incident[:, :3], incident[:, 3:]
        if "direction" not in self.names:
            size = momentum.square().sum(dim=1, keepdim=True).sqrt()
            momentum = torch.cat([torch.zeros_like(size), torch.zeros_like(size), size], dim=1)
        if "entry_point" not in self.names:
            point = torch.zeros_like(point)
        return torch.cat([momentum, point], dim=1)

    def forward(self, incident: Tensor) -> Tensor:
        """Features of incident particles.

        Args:
            incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.

        Returns:
            Features, shape ``(showers, size)``.
        """
        columns = {
            "momentum": 0.5 * incident[:, :3].square().sum(dim=1, keepdim=True).log(),
            "direction": incident[:, :2] / incident[:, 2:3],
            "entry_point": incident[:, 3:5],
        }
        features = torch.cat([columns[name] for name in self.names], dim=1)
        return (features - self.centre) / self.half_width
