"""What is minimised: the warm start's likelihood and the Wasserstein objective with gradient penalty."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from calogan.models.censored import censored_log_likelihood
from calogan.models.encoder import Encoder
from calogan.models.generator import Generator

__all__ = ["gradient_penalty", "warm_start_loss"]


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], reference: Tensor, generated: Tensor, mixing: Tensor
) -> Tensor:
    r"""Penalty that keeps the critic's slope at 1 between the samples.

    .. math:: \mathrm{mean}_i \big(\lVert \nabla_{\hat u_i} D(\hat u_i) \rVert_2 - 1\big)^2,\quad
              \hat u_i = t_i u_i + (1 - t_i) \tilde u_i

    The norm runs over all cells of one shower.

    Args:
        critic: Scores of shape ``(showers,)`` for cells.
        reference: Cells of the reference as the critic sees them, shape ``(showers, cells)``.
        generated: Cells generated for the same particles, same shape.
        mixing: t between 0 and 1, shape ``(showers, 1)``.

    Returns:
        The penalty, a scalar with a graph.

    Source:
        arXiv:1704.00028, eq. 3.
    """
    mixed = (mixing * reference + (1 - mixing) * generated).detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return ((slope.square().sum(dim=1) + 1e-12).sqrt() - 1.0).square().mean()


def warm_start_loss(
    generator: Generator,
    encoder: Encoder,
    cell_energy: Tensor,
    incident: Tensor,
    shared: Tensor,
    divergence_weight: float = 1.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Negative evidence bound of the cells and negative likelihood of the layer energies, per cell.

    Args:
        generator: Network that is warmed up.
        encoder: Its companion.
        cell_energy: Reference cells [GeV], cut at the threshold, shape ``(showers, cells)``.
        incident: Incident particles, shape ``(showers, 5)``.
        shared: Standard normals, shape ``(showers, latent_size)``.
        divergence_weight: Weight of the divergence between the encoder's and the generator's noise; raised from 0 to 1
            at the start, it keeps the shared noise in use (arXiv:1511.06349).

    Returns:
        The loss and its parts, scalars.
    """
    features = generator.conditioning(incident)
    momentum = incident[:, :3].square().sum(dim=1, keepdim=True).sqrt()
    layer_energy = cell_energy @ generator.membership
    energy_loss = generator.energy_head.negative_log_likelihood(features, layer_energy, momentum).mean()
    residual = generator.energy_head.residual(features, layer_energy, momentum).detach().clamp(-5.0, 5.0)
    u = generator.transform.encode(cell_energy)
    centre, log_width = encoder(u, torch.cat([features, residual], dim=1))
    mean, width = generator.cells(features, residual, centre + log_width.exp() * shared)
    cell_loss = -censored_log_likelihood(u, mean, width).mean()
    divergence = 0.5 * (centre.square() + (2 * log_width).exp() - 1.0 - 2 * log_width).sum(dim=1).mean()
    loss = (cell_loss + divergence_weight * divergence) / generator.n_cells + energy_loss
    return loss, {"cell_nll": cell_loss, "kl": divergence, "energy_nll": energy_loss}
