"""Noise of cells whose layer is known to have a lit one."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from scipy.stats import truncnorm

from calogan.models.lighting import given_some_lit

THRESHOLD = torch.tensor([0.5, 1.2, 2.0, -3.0, 0.0, 4.5, 5.0])
SIZES = (3, 2, 2)
"""The first layer is often dark, the second hardly ever, the third nearly always."""


@pytest.fixture(scope="module")
def drawn():
    noise = torch.randn(200_000, len(THRESHOLD), generator=torch.Generator().manual_seed(1))
    threshold = THRESHOLD.expand_as(noise)
    return noise, *given_some_lit(noise, threshold, SIZES)


def test_every_layer_has_a_lit_cell_and_those_that_had_one_are_unchanged(drawn):
    before, after, chosen = drawn
    start = 0
    for size in SIZES:
        cells = slice(start, start := start + size)
        had = (before[:, cells] > THRESHOLD[cells]).any(dim=1)
        assert torch.equal(after[had, cells], before[had, cells])
        assert not chosen[had, cells].any()
        lit = (after[:, cells] > THRESHOLD[cells]) | chosen[:, cells]
        assert lit.any(dim=1).all()
        assert torch.equal(after[:, cells][~lit], before[:, cells][~lit])


def test_sets_of_lit_cells_are_as_often_as_given_that_one_is_lit(drawn):
    _, after, chosen = drawn
    lit = (after > THRESHOLD) | chosen
    chance = 1.0 - torch.distributions.Normal(0.0, 1.0).cdf(THRESHOLD.double())
    for cells in (slice(0, 3), slice(5, 7)):
        some = 1.0 - float((1.0 - chance[cells]).prod())
        for which in product((True, False), repeat=len(chance[cells])):
            if not any(which):
                continue
            wanted = torch.tensor(which)
            expected = float(torch.where(wanted, chance[cells], 1.0 - chance[cells]).prod()) / some
            found = float((lit[:, cells] == wanted).all(dim=1).float().mean())
            assert found == pytest.approx(expected, abs=4 * (expected / len(lit)) ** 0.5 + 1e-5)


@pytest.mark.parametrize("cell", [0, 2, 5])
def test_noise_of_a_lit_cell_is_a_cut_normal(drawn, cell):
    _, after, chosen = drawn
    found = after[chosen[:, cell], cell]
    wanted = truncnorm(float(THRESHOLD[cell]), float("inf"))
    assert float(found.min()) >= float(THRESHOLD[cell])
    assert float(found.mean()) == pytest.approx(wanted.mean(), abs=4 * wanted.std() / len(found) ** 0.5 + 1e-3)
    assert float(found.std()) == pytest.approx(
        wanted.std(), rel=0.08
    )  # the last of many draws is not known to the last digit


def test_cells_that_are_all_but_never_lit():
    noise, threshold = torch.zeros(1, 2), torch.tensor([[30.0, 12.0]])
    after, chosen = given_some_lit(noise, threshold, (2,))
    assert torch.isfinite(after).all()
    assert chosen.tolist() == [[False, True]]
