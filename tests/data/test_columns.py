import numpy as np
import pytest

from calogan.data.columns import SparseCells, choose_storage, column_types, open_columns
from calogan.data.npy import NpyWriter
from calogan.errors import StoreError
from calogan.geometry import Geometry, Layer


def line(cells):
    """A calorimeter of one row of cells."""
    return Geometry((Layer((0.0, 1.0), tuple(float(edge) for edge in range(cells + 1)), depth=1.0),))


def write_sparse(folder, cell_energy, geometry):
    """The columns of the cells of a shard, as `prepare` writes them."""
    cells = SparseCells.of(cell_energy)
    offset = np.concatenate([[0], np.cumsum(cells.counts)])
    columns = {"cell_offset": offset, "cell_index": cells.index, "cell_value": cells.value}
    for name, values in columns.items():
        with NpyWriter(folder / f"{name}.npy", column_types(geometry, "sparse")[name][0]) as writer:
            writer.append(values)
    return cell_energy


def sample(rng, showers, cells, share):
    """Energies of which a share is not 0: large ones, and the smallest that there is; the first shower is dark."""
    energy = np.where(rng.random((showers, cells)) < share, rng.random((showers, cells)), 0).astype(np.float32)
    energy[1, -1], energy[1, 0] = np.finfo(np.float32).smallest_subnormal, -0.0
    energy[0] = 0
    return energy


@pytest.mark.parametrize(("cells", "index"), [(80, np.uint16), (65536, np.uint16), (65537, np.uint32)])
def test_sparse_cells_come_back_bit_for_bit(tmp_path, cells, index):
    geometry = line(cells)
    written = write_sparse(tmp_path, sample(np.random.default_rng(0), 70, cells, 0.05), geometry)

    shard = open_columns(tmp_path, 70, geometry, "sparse", ("cell_energy",))

    assert shard["cell_index"].dtype == index
    for rows in (np.arange(70), np.arange(1, 70, 3), np.array([0]), np.arange(0)):
        assert shard.read_cells(rows).tobytes() == written[rows].tobytes()


def test_cells_are_written_over_what_was_there(tmp_path):
    written = write_sparse(tmp_path, sample(np.random.default_rng(0), 9, 40, 0.1), line(40))
    out = np.full((2, 40), 7, dtype=np.float32)
    open_columns(tmp_path, 9, line(40), "sparse", ("cell_energy",)).read_cells(np.array([3, 8]), out)
    assert np.array_equal(out, written[[3, 8]])


@pytest.mark.parametrize(("share", "storage"), [(0.0, "sparse"), (0.25, "sparse"), (0.4, "dense"), (1.0, "dense")])
def test_what_takes_clearly_less_disk_is_chosen(tmp_path, share, storage):
    written = write_sparse(tmp_path, sample(np.random.default_rng(0), 300, 80, share), line(80))

    assert choose_storage(tmp_path, 300, line(80)) == storage

    left = {"sparse": ["cell_index.npy", "cell_offset.npy", "cell_value.npy"], "dense": ["cell_energy.npy"]}
    assert sorted(path.name for path in tmp_path.iterdir()) == left[storage]
    shard = open_columns(tmp_path, 300, line(80), storage, ("cell_energy",))
    assert shard.read_cells(np.arange(300)).tobytes() == written.tobytes()


def test_a_shard_without_showers(tmp_path):
    write_sparse(tmp_path, np.empty((0, 80), dtype=np.float32), line(80))
    storage = choose_storage(tmp_path, 0, line(80))
    assert open_columns(tmp_path, 0, line(80), storage, ("cell_energy",)).read_cells(np.arange(0)).shape == (0, 80)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "cell_value.npy").unlink(), r"cell_value\.npy: cannot be read"),
        (lambda folder: np.save(folder / "cell_offset.npy", np.arange(9)), r"cell_offset\.npy: has shape \(9,\)"),
        (lambda folder: np.save(folder / "cell_index.npy", np.arange(3)), r"cell_index\.npy: has shape \(3,\), expect"),
        (lambda folder: _move(folder / "cell_index.npy"), "a shard has cell 80 of 80: it is damaged"),
    ],
)
def test_damaged_columns_are_refused(tmp_path, damage, message):
    write_sparse(tmp_path, sample(np.random.default_rng(0), 20, 80, 0.05), line(80))
    damage(tmp_path)
    with pytest.raises(StoreError, match=message):
        open_columns(tmp_path, 20, line(80), "sparse", ("cell_energy",)).read_cells(np.arange(20))


def _move(path):
    index = np.load(path)
    index[-1] = 80
    np.save(path, index)
