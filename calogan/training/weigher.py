"""Weights of generated showers: a network that learns how much likelier the full simulation makes each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calogan.geometry import Geometry
from calogan.metrics.calibration import calibrate_logistic
from calogan.metrics.labelled import LabelledFeatures, area_under_curve
from calogan.metrics.metric import Estimate
from calogan.metrics.network import NetworkSettings, TrainedNetwork, fit_network
from calogan.metrics.weighting import DensityRatio, density_ratio
from calogan.models.features import ShowerFeatures
from calogan.models.generator import Generator
from calogan.physics.kinematics import momentum

__all__ = ["FittedWeigher", "Weigher", "WeigherFeatures", "fit_weigher"]

SETTINGS = NetworkSettings(input_dropout=0.0, dropout=0.2)
CHUNK = 2048
"""Showers whose features are computed at a time."""


class WeigherFeatures(nn.Module):
    r"""What the network sees of a shower.

    Its particle in the local frame; :math:`\ln((E + s) / |p|)` of each layer and of all, with the scale s of faint
    cells; and the physics features of the critic, which empty layers, where there are some, make coarse.

    Args:
        geometry: Cells of a shower.
        generator: Whose frame, threshold and scale are used.
    """

    membership: Tensor

    def __init__(self, geometry: Geometry, generator: Generator) -> None:
        super().__init__()
        self.frame, self.transform = generator.frame, generator.transform
        self.physics = ShowerFeatures(geometry, generator.frame, float(generator.transform.scale))
        self.register_buffer("membership", generator.membership, persistent=False)

    @torch.no_grad()
    def fit_scale(self, incident: NDArray[np.float32], cell_energy: NDArray[np.float32]) -> None:
        """Standardise the physics features by reference showers.

        Args:
            incident: Particles as the generator takes them, shape ``(showers, 5 or 6)``.
            cell_energy: Energies [GeV], shape ``(showers, cells)``.
        """
        self.physics.fit_scale(*self._local(torch.from_numpy(incident), torch.from_numpy(cell_energy)))

    def forward(self, incident: Tensor, cell_energy: Tensor) -> Tensor:
        """Features of showers, shape ``(showers, features)``.

        Args:
            incident: Particles as the generator takes them, shape ``(showers, 5 or 6)``.
            cell_energy: Energies [GeV], each 0 or above the threshold, shape ``(showers, cells)``.
        """
        u, above, particle = self._local(incident, cell_energy)
        layer = cell_energy @ self.membership
        energy = torch.cat([layer, layer.sum(dim=1, keepdim=True)], dim=1) + self.transform.scale
        response = torch.log(energy / momentum(incident).unsqueeze(1))
        return torch.cat([particle, response, self.physics(u, above, particle)], dim=1)

    @torch.no_grad()
    def of(self, incident: NDArray[np.float32], cell_energy: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same for arrays."""
        pieces = [
            self(*(torch.from_numpy(array[start : start + CHUNK]) for array in (incident, cell_energy)))
            for start in range(0, max(len(incident), 1), CHUNK)
        ]
        return torch.cat(pieces).numpy()

    def _local(self, incident: Tensor, cell_energy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Transformed cells and their energies above the threshold in the frame, and the particle's features."""
        view = self.frame(incident)
        cells = view.to_local(cell_energy)
        return self.transform.encode(cells), (cells - self.transform.threshold).clamp_min(0.0), view.features


class Weigher(nn.Module):
    r"""Density ratio of reference to generated showers, clipped and of mean 1.

    .. math:: w = \min(e^{-(a s + b)}, w_{max}) / N

    with the network's log odds s of being generated, calibrated by a and b.

    Args:
        features: What the network sees.
        network: Gives log odds.
        slope: The factor a.
        offset: The summand b.
        ratio: Limit and mean of the ratios as they are clipped.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, features: WeigherFeatures, network: TrainedNetwork, slope: float, offset: float, ratio: DensityRatio
    ) -> None:
        super().__init__()
        self.features, self.layers = features, network.layers
        self.register_buffer("mean", torch.as_tensor(network.mean))
        self.register_buffer("scale", torch.as_tensor(network.scale))
        self.slope, self.offset = slope, offset
        self.log_limit, self.log_mean = float(np.log(ratio.limit)), float(np.log(ratio.mean))

    def forward(self, incident: Tensor, cell_energy: Tensor) -> Tensor:
        """Weights, shape ``(showers,)``.

        Args:
            incident: Particles as the generator takes them, shape ``(showers, 5 or 6)``.
            cell_energy: Energies [GeV], each 0 or above the threshold, shape ``(showers, cells)``.
        """
        odds = self.layers((self.features(incident, cell_energy) - self.mean) * self.scale).squeeze(1)
        log_ratio: Tensor = -self.slope * odds - self.offset
        return (log_ratio.clamp_max(self.log_limit) - self.log_mean).exp()


@dataclass(frozen=True)
class FittedWeigher:
    """A weigher, and what it says of the validation showers.

    Attributes:
        weigher: Ready to be evaluated.
        ratio: Weights of the generated validation showers.
        before: Area under the curve of its score on the validation showers.
        after: The same with weights.
    """

    weigher: Weigher
    ratio: DensityRatio
    before: Estimate
    after: Estimate


def fit_weigher(
    features: WeigherFeatures,
    training: LabelledFeatures,
    validation: LabelledFeatures,
    group: NDArray[np.int64],
    seed: int,
    *,
    settings: NetworkSettings = SETTINGS,
) -> FittedWeigher:
    """Learn from training showers; stop and calibrate with validation showers.

    Args:
        features: Gave the features of both samples.
        training: Features and labels; either label may have more showers.
        validation: Of other showers.
        group: Groups of the validation showers, shape ``(showers,)``.
        seed: Seed of the network.
        settings: Sizes and lengths.
    """
    network = fit_network(training, validation, seed, settings=settings)
    scores = network(validation.features)
    calibration = calibrate_logistic(scores, validation.label)
    generated = validation.label == 1
    ratio = density_ratio(calibration(scores[generated]))
    weight = np.ones(len(scores))
    weight[generated] = ratio.weight
    return FittedWeigher(
        Weigher(features, network, calibration.slope, calibration.offset, ratio).eval(),
        ratio,
        *(area_under_curve(scores, validation.label, group, one) for one in (None, weight)),
    )
