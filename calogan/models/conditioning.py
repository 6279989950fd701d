"""The incident particle as the networks see it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from calogan.physics.kinematics import Domain, momentum

__all__ = ["Conditioning"]


class Conditioning(nn.Module):
    """What the networks are told of an incident particle: log|p|, its direction, entry point and type if known.

    The type is told as a number for each that there is, 1 for the particle's own and 0 for the others. The layer of a
    network that takes these numbers in has a vector for each type, learnt with the rest: an embedding. What a particle
    looks like in its frame so stays the same throughout a training, and is computed once.

    Args:
        names: Conditions out of momentum, direction, entry_point and particle.
        domain: Domain of the surrogate.
        n_types: Particle types; 0 where the type is no condition.
    """

    def __init__(self, names: Sequence[str], domain: Domain, n_types: int = 0) -> None:
        super().__init__()
        self.names, self.domain, self.n_types = tuple(names), domain, n_types
        low, high = (math.log(bound) for bound in domain.momentum)
        self.centre, self.half_width = (low + high) / 2, (high - low) / 2 or 1.0
        self.largest_slope = math.tan(domain.max_angle) or 1.0

    def told(self, incident: Tensor) -> Tensor:
        """Incident particles as far as the condition tells of them: else along the axis, in the middle of the window.

        Args:
            incident: px, py, pz [GeV], x, y [mm], and the type's number if that is told, shape ``(showers, 5 or 6)``.

        Returns:
            The same without the number, shape ``(showers, 5)``.
        """
        direction, point = incident[:, :3], incident[:, 3:5]
        if "direction" not in self.names:
            size = momentum(incident).unsqueeze(1)
            direction = torch.cat([torch.zeros_like(size), torch.zeros_like(size), size], dim=1)
        if "entry_point" not in self.names:
            point = torch.zeros_like(point) + torch.tensor(self.domain.entry_centre).to(point)
        return torch.cat([direction, point], dim=1)

    def momentum(self, incident: Tensor) -> Tensor:
        """Log|p| as a number between -1 and 1 over the domain, shape ``(showers, 1)``."""
        return (momentum(incident).unsqueeze(1).log() - self.centre) / self.half_width

    def particle(self, incident: Tensor) -> Tensor:
        """1 for each particle's own type and 0 for all others, shape ``(showers, n_types)``."""
        number = torch.arange(self.n_types, device=incident.device, dtype=incident.dtype)
        return (incident[:, 5:6] == number).to(incident.dtype)
