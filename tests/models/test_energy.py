import pytest
import torch

from calogan.models.energy import LayerEnergyHead

P = 10.0  # [GeV]


def momenta(count):
    return torch.full((count, 1), P)


def fitted_head(layer_energy, steps=300):
    torch.manual_seed(1)
    head = LayerEnergyHead(1, layer_energy.shape[1])
    head.fit_scale(layer_energy, momenta(len(layer_energy)))
    optimiser = torch.optim.Adam(head.parameters(), 1e-2)
    features, momentum = torch.zeros(200, 1), momenta(200)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 1e-2 * (1.0 - step / steps)
        some = layer_energy[torch.randint(len(layer_energy), (200,))]
        optimiser.zero_grad()
        head.negative_log_likelihood(features, some, momentum).mean().backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimiser.step()
    return head


@torch.no_grad()
def drawn_by(head, count=4000):
    noise = torch.randn(2, count, head.n_layers, generator=torch.Generator().manual_seed(2))
    return head.layer_energy(torch.zeros(count, 1), noise[0], noise[1], momenta(count))[0]


def shared(total, share):
    """Two layers of a total."""
    return torch.stack([total * share, total * (1.0 - share)], dim=1)


def random_head(n_layers=3, threshold=0.01):
    """A head whose laws differ from shower to shower."""
    torch.manual_seed(3)
    head = LayerEnergyHead(2, n_layers, threshold)
    for weight in head.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    head.can_be_empty.fill_(1.0)
    return head.double()


def test_one_layer_is_a_log_normal():
    torch.manual_seed(0)
    layer_energy = P * torch.exp(-1.7 + 0.1 * torch.randn(4000, 1))
    head = fitted_head(layer_energy)
    found = drawn_by(head).log()
    assert found.mean().item() == pytest.approx(layer_energy.log().mean().item(), abs=0.01)
    assert found.std().item() == pytest.approx(0.1, rel=0.05)


def test_total_energy_may_fluctuate_far_less_than_its_layers():
    torch.manual_seed(0)
    total = P * (1.0 - 0.01 * torch.randn(4000).abs())  # skewed: some energy leaks, none comes in
    layer_energy = shared(total, torch.sigmoid(0.5 * torch.randn(4000)))
    found = drawn_by(fitted_head(layer_energy))
    for wanted, made in ((total, found.sum(dim=1)), *zip(layer_energy.T, found.T, strict=True)):
        assert made.mean().item() == pytest.approx(wanted.mean().item(), rel=0.02)
        assert made.std().item() == pytest.approx(wanted.std().item(), rel=0.1)

    def skewness(values):
        return ((values - values.mean()) / values.std()).pow(3).mean().item()

    assert skewness(found.sum(dim=1)) == pytest.approx(skewness(total), abs=0.3)


def test_shares_may_go_with_the_total():
    torch.manual_seed(0)
    noise = torch.randn(4000)
    total = P * torch.exp(0.05 * noise)
    layer_energy = shared(total, torch.sigmoid(0.4 * noise.square() + 0.1 * torch.randn(4000)))
    found = drawn_by(fitted_head(layer_energy, steps=500))

    def share_far_out(energy):
        """Mean share of the first layer where the total is far from its mean, and where it is near."""
        off = (energy.sum(dim=1).log() - energy.sum(dim=1).log().mean()).abs()
        share = energy[:, 0] / energy.sum(dim=1)
        return share[off > 0.08].mean().item(), share[off < 0.02].mean().item()

    assert share_far_out(found) == pytest.approx(share_far_out(layer_energy), abs=0.03)


def test_emptiness_of_layers_goes_together():
    """Layer 1 is empty in 20 % of the showers, and layer 2 in those alone, and in half of them."""
    torch.manual_seed(0)
    layer_energy = P * torch.exp(torch.tensor([-2.0, -4.0, -5.0]) + 0.1 * torch.randn(4000, 3))
    empty = torch.rand(4000) < 0.2
    layer_energy[empty, 1] = 0.0
    layer_energy[empty & (torch.rand(4000) < 0.5), 2] = 0.0
    found = drawn_by(fitted_head(layer_energy, steps=600))
    lit = found > 0
    assert lit[:, 0].all()
    assert lit[:, 1].float().mean().item() == pytest.approx(0.8, abs=0.03)
    together, alone = (lit[some, 2].float().mean().item() for some in (lit[:, 1], ~lit[:, 1]))
    assert together > 0.94
    assert alone < 0.75  # both are 0.9 if they are drawn one by one
    for number in range(3):
        wanted, made = (energy[energy[:, number] > 0, number].log() for energy in (layer_energy, found))
        assert made.mean().item() == pytest.approx(wanted.mean().item(), abs=0.03)
        assert made.std().item() == pytest.approx(wanted.std().item(), rel=0.15)


def test_a_lit_layer_has_at_least_the_threshold():
    head = random_head(threshold=0.01)
    with torch.no_grad():
        noise = torch.randn(2, 500, 3, dtype=torch.float64)
        energy, _ = head.layer_energy(torch.randn(500, 2, dtype=torch.float64), *noise, momenta(500).double())
    lit = energy > 0
    assert 0.2 < lit.double().mean() < 0.9
    assert (energy[lit] >= 0.01).all()


def test_residuals_give_the_energies_back():
    head = random_head(threshold=0.0)
    features, momentum = torch.randn(500, 2, dtype=torch.float64), momenta(500).double()
    noise = torch.randn(2, 500, 3, dtype=torch.float64).clamp(-2.0, 2.0)
    with torch.no_grad():
        energy, residual = head.layer_energy(features, *noise, momentum)
        found = head.residual(features, energy, momentum)
    assert (residual == 0).any()
    assert torch.equal(residual == 0, found == 0)
    torch.testing.assert_close(found, residual, rtol=1e-6, atol=1e-6)


def test_likelihood_is_that_of_a_change_of_variables():
    """Density of the numbers t = density of the residuals x determinant of their Jacobian, found by autograd."""
    head = random_head(threshold=0.0)
    head.can_be_empty.zero_()
    features, momentum = torch.randn(1, 2, dtype=torch.float64), momenta(1).double()
    energy = torch.tensor([[2.0, 1.0, 0.3]], dtype=torch.float64)

    def residual(log_energy):
        return head.residual(features, log_energy.exp(), momentum)[0]

    def numbers(log_energy):
        return head._numbers(log_energy.exp(), momentum)[0][0]

    log_energy = energy.log()
    volumes = [
        torch.linalg.slogdet(torch.autograd.functional.jacobian(function, log_energy)[:, 0]).logabsdet
        for function in (residual, numbers)
    ]
    expected = 0.5 * residual(log_energy).square().sum() - (volumes[0] - volumes[1])
    found = head.negative_log_likelihood(features, energy, momentum)[0]
    torch.testing.assert_close(found, expected)


def test_shower_without_energy():
    head = random_head()
    features, momentum = torch.zeros(2, 2, dtype=torch.float64), momenta(2).double()
    energy = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    likelihood = head.negative_log_likelihood(features, energy, momentum)
    likelihood.sum().backward()
    assert torch.isfinite(likelihood).all()
    assert all(torch.isfinite(weight.grad).all() for weight in head.parameters())
    assert (head.residual(features, energy, momentum)[0] == 0).all()
