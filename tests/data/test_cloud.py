from __future__ import annotations

import numpy as np
import pytest

from calogan.data.cloud import read_cloud
from calogan.data.reading import read_showers
from calogan.errors import DataError


def test_hits_are_where_the_showers_have_their_energy(toy):
    cloud = read_cloud([str(toy.file("positions"))], toy.schema("positions"), 1000)
    assert cloud.n_showers == 200
    assert len(cloud.x) == np.count_nonzero(toy.showers.cell_energy)
    assert np.bincount(cloud.shower, weights=cloud.energy) == pytest.approx(toy.showers.total_energy, rel=1e-5)
    showers, cells = np.nonzero(toy.showers.cell_energy)
    assert np.array_equal(cloud.shower, showers)
    assert np.array_equal(toy.geometry.locate(cloud.x, cloud.y, cloud.z), cells)


@pytest.mark.parametrize("most", [1, 64, 200])
def test_the_first_showers_are_read(toy, most):
    path = str(toy.file("positions"))
    cloud = read_cloud([path, path], toy.schema("positions"), most)
    first = read_showers([path], toy.schema("positions"), toy.geometry, max_showers=most)
    assert cloud.n_showers == most
    assert cloud.energy.sum() == pytest.approx(first.total_energy.sum(), rel=1e-5)


def test_memory_is_bounded(toy, monkeypatch):
    monkeypatch.setattr("calogan.data.cloud._MOST_HITS", 100)
    cloud = read_cloud([str(toy.file("positions"))], toy.schema("positions"), 1000)
    assert 50 < len(cloud.x) <= 100


def test_files_without_hits_are_refused(toy, tmp_path):
    path = toy.write(tmp_path / "a.root", "positions", toy.showers[:0])
    with pytest.raises(DataError, match=r"a\.root: no hits with energy"):
        read_cloud([str(path)], toy.schema("positions"), 10)
