"""The incident particle as the networks see it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from calogan.physics.kinematics import Domain, momentum

__all__ = ["Conditioning"]


class Conditioning(nn.Module):
    """What the networks are told of an incident particle: log|p|, and its direction and entry point if they are known.

    Args:
        names: Conditions out of momentum, direction and entry_point.
        domain: Domain of the surrogate.
    """

    def __init__(self, names: Sequence[str], domain: Domain) -> None:
        super().__init__()
        self.names, self.domain = tuple(names), domain
        low, high = (math.log(bound) for bound in domain.momentum)
        self.centre, self.half_width = (low + high) / 2, (high - low) / 2 or 1.0
        self.largest_slope = math.tan(domain.max_angle) or 1.0

    def told(self, incident: Tensor) -> Tensor:
        """Incident particles as far as the condition tells of them: else along the axis, in the middle of the window.

        Args:
            incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        """
        direction, point = incident[:, :3], incident[:, 3:]
        if "direction" not in self.names:
            size = momentum(incident).unsqueeze(1)
            direction = torch.cat([torch.zeros_like(size), torch.zeros_like(size), size], dim=1)
        if "entry_point" not in self.names:
            point = torch.zeros_like(point) + torch.tensor(self.domain.entry_centre).to(point)
        return torch.cat([direction, point], dim=1)

    def momentum(self, incident: Tensor) -> Tensor:
        """Log|p| as a number between -1 and 1 over the domain, shape ``(showers, 1)``."""
        return (momentum(incident).unsqueeze(1).log() - self.centre) / self.half_width
