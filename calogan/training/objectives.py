"""What is minimised: the warm start's likelihood and the Wasserstein objective with gradient penalty."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from calogan.models.censored import pair_log_ratio
from calogan.models.encoder import Encoder
from calogan.models.generator import Generator
from calogan.models.mixing import STEPS
from calogan.training.local import LocalShowers

__all__ = ["cell_log_likelihood", "gaussian_divergence", "gradient_penalty", "warm_start_loss"]

NEVER = 1e-6
"""Least probability that a layer with energy is taken to have a lit cell with."""


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


def cell_log_likelihood(
    generator: Generator, u: Tensor, mean: Tensor, width: Tensor, alive: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Log-likelihood of single cells, and their noise.

    A lit cell has the density of its noise, :math:`\log \varphi(\epsilon) + \log |d\epsilon / du|` with
    :math:`\epsilon = (h^{-1}(u) - m) / w`, a dark one the probability of all that lies below the threshold,
    :math:`\log \Phi(-m / w)`; up to a constant. Of several layers, one that has energy is known to have a lit cell, so
    that :math:`\log (1 - \prod_c \Phi(-m_c / w_c))` goes off.

    Args:
        generator: Whose shapes h of cells are used.
        u: Observed cells, at least 0, shape ``(showers, cells)``.
        mean: Mean m of v, same shape.
        width: Width w of v, same shape.
        alive: 1 where the cell's layer has energy, else 0, same shape; that a layer is empty is decided elsewhere
            (`LayerEnergyHead`), so that its dark cells say nothing.

    Returns:
        Sum over the cells, shape ``(showers,)``, and the noise of lit cells or the threshold of dark cells' noise,
        shape ``(showers, cells)``.

    Source:
        J. Tobin, Econometrica 26 (1958) 24.
    """
    threshold = -mean / width
    lit = u > 0
    shower, cell = torch.nonzero(lit, as_tuple=True)  # one in ten cells: far cheaper than all of them
    v, log_slope = generator.shape.inverse(u[shower, cell], cell)
    spread = width[shower, cell]
    noise = (v - mean[shower, cell]) / spread
    log_dark = alive * torch.special.log_ndtr(threshold)
    dark = torch.where(lit, torch.zeros_like(u), log_dark).sum(dim=1)
    if generator.n_layers > 1:
        all_dark = log_dark @ generator.membership
        some_lit = torch.where(all_dark < 0, -torch.expm1(all_dark.clamp_max(-NEVER)), torch.ones_like(all_dark))
        dark = dark - some_lit.log().sum(dim=1)
    total = dark.index_add(0, shower, log_slope - 0.5 * noise.square() - spread.log())
    return total, threshold.index_put((shower, cell), noise)


def gaussian_divergence(mean: Tensor, log_width: Tensor, other_mean: Tensor, other_log_width: Tensor) -> Tensor:
    r"""Divergence of Kullback and Leibler from one Gaussian to another, of the tensors' shape.

    .. math:: \ln\frac{\sigma_2}{\sigma_1} + \frac{\sigma_1^2 + (\mu_1 - \mu_2)^2}{2 \sigma_2^2} - \frac12
    """
    square = (2 * log_width).exp() + (mean - other_mean).square()
    return other_log_width - log_width + 0.5 * square * (-2 * other_log_width).exp() - 0.5


def warm_start_loss(
    generator: Generator,
    encoder: Encoder,
    showers: LocalShowers,
    shared: Tensor,
    step: int,
    divergence_weight: float = 1.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Negative evidence bound of the cells and negative likelihood of the layer energies, per cell.

    Neighbouring cells' noise is fitted to pairs of cells (`pair_log_ratio`), by turns to the pairs of one step; the
    pairs teach the correlation alone, what single cells look like is taken as it is.

    Args:
        generator: Network that is warmed up.
        encoder: Its companion.
        showers: Reference showers.
        shared: Standard normals, shape ``(showers, latent_size)``.
        step: Number of the training step.
        divergence_weight: Weight of the divergence between the encoder's and the generator's noise; raised from 0 to 1
            at the start, it keeps the shared noise in use (arXiv:1511.06349).

    Returns:
        The loss and its parts, scalars.
    """
    features, u = showers.features, showers.u
    head = generator.energy_head
    energy_loss = head.negative_log_likelihood(features, showers.layer_energy, showers.momentum).mean()
    residual = head.residual(features, showers.layer_energy, showers.momentum).detach().clamp(-5.0, 5.0)
    centre, log_width = encoder(u, torch.cat([features, residual], dim=1))
    mean, width = generator.cells(features, residual, centre + log_width.exp() * shared)
    alive = (showers.layer_energy > 0).to(u.dtype) @ generator.membership.T
    likelihood, noise = cell_log_likelihood(generator, u, mean, width, alive)
    divergence = gaussian_divergence(centre, log_width, *generator.shared(features, residual)).sum(dim=1).mean()
    (first, second), correlation = generator.mixing.correlation(features, step % len(STEPS))
    noise, lit = noise.detach(), u > 0
    pairs = pair_log_ratio(noise[:, first], noise[:, second], (lit[:, first], lit[:, second]), correlation)
    cell_loss, pair_loss = -likelihood.mean(), -len(STEPS) * (alive[:, first] * pairs).sum(dim=1).mean()
    loss = (cell_loss + pair_loss + divergence_weight * divergence) / generator.n_cells + energy_loss
    return loss, {"cell_nll": cell_loss, "kl": divergence, "energy_nll": energy_loss, "pair_nll": pair_loss}
