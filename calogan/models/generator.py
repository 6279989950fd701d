"""The generator: incident particle and noise in, cell energies out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from calogan.geometry import Geometry
from calogan.models.blocks import mlp
from calogan.models.conditioning import Conditioning
from calogan.models.energy import LayerEnergyHead
from calogan.models.frame import LocalFrame, LocalView
from calogan.models.lighting import given_some_lit
from calogan.models.mixing import NoiseMixing
from calogan.models.preprocessing import CellTransform
from calogan.models.shape import CellShape
from calogan.models.shared import SharedNoise
from calogan.physics.kinematics import Domain, momentum

__all__ = ["Architecture", "Generator", "build_generator"]

LEAST_WIDTH, WIDEST = 1e-3, 20.0
"""Range of the width of v."""
BARELY_LIT = 0.05
"""Least v of a cell that is lit because its layer has energy."""
FAINTEST = 1e-3
"""In u, where a lit cell counts as one when its layer is scaled; with a scale of 1 MeV, 1 keV above the threshold."""


@dataclass(frozen=True)
class Architecture:
    """What is needed, beside the weights, to rebuild a generator.

    Attributes:
        latent_size: Numbers of noise that all cells of a shower share.
        hidden: Widths of the hidden layers.
        symmetries: Mirror images that the calorimeter and its particles have, see `LocalFrame`.
        particles: PDG ids of the types that are told apart, in ascending order: the networks know a type by its place.
    """

    latent_size: int
    hidden: tuple[int, ...]
    symmetries: tuple[str, ...] = ()
    particles: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `particles` only where there are any."""
        values = {"latent_size": self.latent_size, "hidden": list(self.hidden), "symmetries": list(self.symmetries)}
        return values | {"particles": list(self.particles)} if self.particles else values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Architecture:
        """Architecture from the plain values of `to_dict`."""
        hidden = tuple(int(width) for width in values["hidden"])
        symmetries = tuple(str(name) for name in values["symmetries"])
        particles = tuple(int(pdg) for pdg in values.get("particles", ()))
        return cls(int(values["latent_size"]), hidden, symmetries, particles)


class Generator(nn.Module):
    r"""Showers from noise, in two parts that are trained by what suits each.

    The layer energies come from a likelihood head (`LayerEnergyHead`). A trunk maps the particle in its local frame,
    the layer energies' residuals and the shared noise (`SharedNoise`) to a mean :math:`m_c` and a width :math:`w_c`
    for each cell. With noise that goes together with that of the neighbours (`NoiseMixing`),
    :math:`v_c = m_c + w_c \epsilon_c`; a cell is dark where :math:`v_c \le 0`, and else has an energy given by a
    rising function of its own (`CellShape`). Of several layers, one that has energy has at least one lit cell
    (`given_some_lit`). Then the cells of a layer are scaled to the layer's energy above their thresholds.

    The noise of a shower is one vector of standard normals: shared noise, layer energies, empty layers, cells, and the
    choice of the frame.
    """

    layer: Tensor
    membership: Tensor

    def __init__(
        self,
        architecture: Architecture,
        geometry: Geometry,
        conditioning: Conditioning,
        transform: CellTransform,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.n_layers, self.n_cells = geometry.n_layers, geometry.n_cells
        self.layer_sizes = [layer.n_cells for layer in geometry.layers]
        self.frame = LocalFrame(geometry, conditioning, architecture.symmetries)
        self.transform = transform
        self.energy_head = LayerEnergyHead(self.frame.size, geometry.n_layers, float(transform.threshold))
        inputs = self.frame.size + geometry.n_layers + architecture.latent_size
        self.shared = SharedNoise(self.frame.size + geometry.n_layers, architecture.latent_size)
        self.trunk = mlp([inputs, *architecture.hidden], nn.SiLU)
        self.cell_mean = nn.Linear(architecture.hidden[-1], self.n_cells)
        self.cell_width = nn.Linear(architecture.hidden[-1], self.n_cells)
        self.mixing = NoiseMixing(geometry, self.frame.size)
        self.shape = CellShape(geometry, self.frame)
        self.brightest = conditioning.domain.momentum[1]
        layer = torch.from_numpy(geometry.cell_layer)
        self.register_buffer("layer", layer, persistent=False)
        self.register_buffer("membership", nn.functional.one_hot(layer, self.n_layers).float(), persistent=False)

    @property
    def noise_size(self) -> int:
        """Standard normals that a shower needs."""
        return self.architecture.latent_size + 2 * self.n_layers + self.n_cells + self.frame.choices

    def cells(self, features: Tensor, residual: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and width of v in each cell of the frame.

        Args:
            features: Of the particle in its frame, shape ``(showers, features)``.
            residual: Standardised layer energies, shape ``(showers, layers)``.
            shared: Noise shared by all cells, shape ``(showers, latent_size)``.

        Returns:
            Two tensors of shape ``(showers, cells)``.
        """
        hidden = self.trunk(torch.cat([features, residual, shared], dim=1))
        return self.cell_mean(hidden), _softplus(self.cell_width(hidden)) + LEAST_WIDTH

    def forward(self, incident: Tensor, noise: Tensor) -> Tensor:
        """Cell energies of showers.

        Args:
            incident: px, py, pz [GeV], x, y [mm], and the type's number if the condition has it, see
                `calogan.physics.particles.network_input`, shape ``(showers, 5 or 6)``.
            noise: Standard normals, shape ``(showers, noise_size)``.

        Returns:
            Energies [GeV], each 0 or above the threshold, shape ``(showers, cells)``.
        """
        view: LocalView = self.frame(incident, noise[:, noise.shape[1] - self.frame.choices :])
        v, layer_energy = self._draw(view.features, momentum(incident).unsqueeze(1), noise)
        # On a GPU to ask which cells are lit costs more than to work on all.
        energy = self._scaled_everywhere(v, layer_energy) if v.is_cuda else self._scaled_where_lit(v, layer_energy)
        return view.to_calorimeter(energy)

    def local(self, features: Tensor, size: Tensor, noise: Tensor) -> Tensor:
        """Cell energies in the local frame.

        Args:
            features: Of the particles in their frames, shape ``(showers, features)``.
            size: |p| [GeV], shape ``(showers, 1)``.
            noise: Standard normals, shape ``(showers, noise_size)``.

        Returns:
            Energies [GeV], each 0 or above the threshold, shape ``(showers, cells)``.
        """
        return self._scaled_everywhere(*self._draw(features, size, noise))

    def _draw(self, features: Tensor, size: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers v of all cells in the local frame, and layer energies [GeV]."""
        latent = self.architecture.latent_size
        sizes = [latent, self.n_layers, self.n_layers, self.n_cells, self.frame.choices]
        shared, residual, gate, cell, _ = torch.split(noise, sizes, dim=1)
        with torch.no_grad():
            layer_energy, residual = self.energy_head.layer_energy(features, residual, gate, size)
        centre, log_width = self.shared(features, residual)
        mean, width = self.cells(features, residual, centre + log_width.exp() * shared)
        mixed = self.mixing(features, cell)
        if self.n_layers == 1:
            return mean + width * mixed, layer_energy
        with torch.no_grad():
            drawn, lit = given_some_lit(mixed, -mean / width, self.layer_sizes)
        v = mean + width * torch.where(lit, drawn, mixed)  # the mixing has a gradient where its noise is kept
        return torch.where(lit, v.clamp_min(BARELY_LIT), v), layer_energy

    def _scaled_everywhere(self, v: Tensor, layer_energy: Tensor) -> Tensor:
        return self.scaled(self.shape(v), layer_energy)

    def _scaled_where_lit(self, v: Tensor, layer_energy: Tensor) -> Tensor:
        """As `_scaled_everywhere`; nine cells in ten are dark, and cost nothing here."""
        v = v.flatten()
        place = (v > 0).nonzero().squeeze(1)
        shower, cell = place // self.n_cells, place % self.n_cells
        layer = shower * self.n_layers + self.layer.index_select(0, cell) if self.n_layers > 1 else shower
        u = self.shape.of_cells(v.index_select(0, place), cell).clamp_max(self._brightest_u())
        energies = layer_energy.flatten()
        excess = self.transform.excess(u)
        found, thresholds = (torch.zeros_like(energies).scatter_add(0, layer, part) for part in (excess, _counted(u)))
        factor = self._factor(energies, found, thresholds).index_select(0, layer)
        energy = excess * factor + self.transform.threshold * (factor > 0)
        return torch.zeros_like(v).scatter(0, place, energy).reshape(-1, self.n_cells)

    def scaled(self, u: Tensor, layer_energy: Tensor) -> Tensor:
        """Decode u and scale the energies above threshold so that each layer holds its energy.

        Args:
            u: Any numbers, shape ``(showers, cells)``.
            layer_energy: Energies [GeV], shape ``(showers, layers)``.

        Returns:
            Energies [GeV], shape ``(showers, cells)``; an empty layer has no lit cell. A layer whose lit cells hold
            more than its energy by their thresholds alone keeps 1% of what they had above; a layer without a lit cell
            stays empty. Before it is scaled no cell has more than the domain's largest momentum.
        """
        u = u.clamp_max(self._brightest_u())
        alive = (layer_energy > 0).to(u.dtype) @ self.membership.T
        excess = self.transform.excess(u) * alive
        factor = self._factor(layer_energy, excess @ self.membership, (_counted(u) * alive) @ self.membership)
        return excess * (factor @ self.membership.T) + self.transform.threshold * (u > 0) * alive

    def _brightest_u(self) -> Tensor:
        return (2.0 * self.brightest / self.transform.scale).log()

    def _factor(self, layer_energy: Tensor, found: Tensor, lit: Tensor) -> Tensor:
        """What brings the energy found above the thresholds of so many lit cells to that of the layer."""
        above = layer_energy - self.transform.threshold * lit
        factor = torch.maximum(above / found.clamp_min(1e-9), torch.full_like(above, 0.01))
        return factor * (layer_energy > 0)


def _counted(u: Tensor) -> Tensor:
    """1 for a lit cell and 0 for a dark one, but for a cell so near its threshold that rounding may put it out.

    Were that cell counted as a whole, rounding in it would change all others of its layer. It has no gradient, as if
    it were a count.
    """
    return (u.detach() / FAINTEST).clamp(0.0, 1.0)


def _softplus(x: Tensor) -> Tensor:
    """ln(1 + exp(x)), as operations that ONNX Runtime vectorises."""
    return torch.log1p(x.clamp_max(WIDEST).exp())


def build_generator(
    architecture: Architecture,
    geometry: Geometry,
    domain: Domain,
    condition: Sequence[str],
    threshold: float,
    energy_scale: float = 1e-3,
) -> Generator:
    """Generator with fresh weights.

    Args:
        architecture: Sizes of the network.
        geometry: Cells to fill.
        domain: Incident particles to be asked for.
        condition: What the generator is told of them.
        threshold: Read-out threshold [GeV].
        energy_scale: See `CellTransform` [GeV].
    """
    conditioning = Conditioning(condition, domain, len(architecture.particles))
    return Generator(architecture, geometry, conditioning, CellTransform(threshold, energy_scale))
