"""The sampler on a tiny, untrained generator: what does not depend on how well it was trained."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import awkward as ak
import h5py
import numpy as np
import pytest
import torch
import uproot
import vector

from calogan.data.reading import read_provenance, read_showers
from calogan.errors import BundleError, ConfigError, DataError, DomainError, MissingDependencyError, ShapeError
from calogan.noise import standard_normal
from calogan.physics.kinematics import Domain
from calogan.sampler import GeneratedShowers, OutsideDomainWarning, ShowerSampler, load_sampler
from calogan.sampler.network import OnnxNetwork, TorchNetwork, load_network


@pytest.fixture
def sampler(make_bundle):
    return ShowerSampler(make_bundle(), threads=1)


@pytest.fixture
def electrons():
    rng = np.random.default_rng(5)
    count = 37
    return {
        "px": rng.normal(0, 0.5, count),
        "py": rng.normal(0, 0.5, count),
        "pz": rng.uniform(5, 50, count),
        "x": rng.uniform(-5, 5, count),
        "y": rng.uniform(-5, 5, count),
    }


def assert_same(found, expected):
    scale = expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found / scale, expected / scale, rtol=1e-5, atol=1e-7)


def test_is_the_generator_with_keyed_noise(sampler, electrons):
    showers = sampler.sample(**electrons, seed=9)
    incident = np.stack(list(electrons.values()), axis=1).astype(np.float32)
    noise = standard_normal(9, np.arange(37), sampler.bundle.info.noise_size)
    with torch.no_grad():
        expected = sampler.bundle.load_generator()(torch.from_numpy(incident), torch.from_numpy(noise)).numpy()
    assert isinstance(showers, GeneratedShowers)
    assert len(showers) == 37
    assert showers.cell_energy.dtype == np.float32
    np.testing.assert_array_equal(showers.incident, incident)
    assert_same(showers.cell_energy, expected)
    lit = showers.cell_energy[showers.cell_energy > 0]
    assert lit.size > 0
    assert lit.min() >= sampler.threshold * (1 - 1e-6)


def test_layers_add_up_to_the_total(make_bundle, electrons):
    showers = ShowerSampler(make_bundle.three_layers()).sample(**electrons, seed=9)
    assert showers.layer_energy.shape == (37, 3)
    np.testing.assert_allclose(showers.layer_energy[:, 1], showers.cell_energy[:, 12:16].sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(showers.layer_energy.sum(axis=1), showers.total_energy, rtol=1e-6)


def test_attributes_are_the_bundle_s(sampler):
    info = sampler.bundle.info
    assert sampler.domain == info.domain
    assert sampler.geometry == info.geometry
    assert sampler.version == info.id
    assert sampler.validation == {"passed": True}
    assert sampler.threshold == 3e-4
    assert sampler.condition == ("momentum", "direction", "entry_point")
    assert info.id in repr(sampler)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size_changes_nothing(make_bundle, sampler, electrons, batch_size):
    expected = sampler.sample(**electrons, seed=3).cell_energy
    batched = load_sampler(make_bundle("other").path, batch_size=batch_size, threads=1)
    assert_same(batched.sample(**electrons, seed=3).cell_energy, expected)


def test_order_and_company_change_nothing(sampler, electrons):
    ids = np.arange(100, 137)
    expected = sampler.sample(**electrons, seed=3, shower_id=ids).cell_energy
    order = np.random.default_rng(1).permutation(37)[:20]
    chosen = {name: values[order] for name, values in electrons.items()}
    assert_same(sampler.sample(**chosen, seed=3, shower_id=ids[order]).cell_energy, expected[order])


@pytest.mark.parametrize("count", [0, 16, 17, 40])
def test_blocks_that_fit_the_cache_change_nothing(sampler, monkeypatch, count):
    incident, ids = np.tile(np.float32([0.1, -0.2, 20.0, 1.0, 2.0]), (count, 1)), np.arange(count)
    whole = sampler.cell_energy(incident, 3, ids)
    monkeypatch.setattr("calogan.sampler.network._CACHED", 1)  # blocks of 16 showers, the least
    small = ShowerSampler(sampler.bundle, threads=1)
    assert small.network.block == 16 < sampler.network.block
    pieces = small.cell_energy(incident, 3, ids)
    assert pieces.shape == (count, sampler.geometry.n_cells)
    np.testing.assert_allclose(pieces, whole, rtol=1e-5, atol=1e-9)


def test_torch_makes_the_same_showers(make_bundle, sampler, electrons):
    without_graph = make_bundle.without_graph()
    assert without_graph.info.id == sampler.version
    plain = ShowerSampler(without_graph)
    assert isinstance(load_network(plain.bundle), TorchNetwork)
    assert isinstance(load_network(sampler.bundle), OnnxNetwork)
    assert isinstance(load_network(sampler.bundle, "cpu"), OnnxNetwork)
    assert_same(plain.sample(**electrons, seed=3).cell_energy, sampler.sample(**electrons, seed=3).cell_energy)


def test_seed_is_fresh_and_kept(sampler, electrons):
    first, second = sampler.sample(**electrons), sampler.sample(**electrons)
    assert first.seed != second.seed
    assert not np.array_equal(first.cell_energy, second.cell_energy)
    np.testing.assert_array_equal(sampler.sample(**electrons, seed=first.seed).cell_energy, first.cell_energy)


def test_default_ids_count_from_zero(sampler, electrons):
    np.testing.assert_array_equal(sampler.sample(**electrons, seed=1).shower_id, np.arange(37))


def test_ragged_in_ragged_out(sampler, electrons):
    counts = [2, 0, 1, 30, 4]
    events = {name: ak.unflatten(values, counts) for name, values in electrons.items()}
    showers = sampler.sample(**events, seed=3, shower_id=[10, 11, 12, 13, 14])
    np.testing.assert_array_equal(showers.shower_id, np.repeat([10, 11, 12, 13, 14], counts))
    records = showers.to_awkward()
    assert ak.num(records).tolist() == counts
    np.testing.assert_array_equal(ak.to_numpy(ak.flatten(records.total_energy)), showers.total_energy)
    alone = sampler.sample(**{name: values[3:] for name, values in events.items()}, seed=3, shower_id=[13, 14])
    assert_same(alone.cell_energy, showers.cell_energy[3:])
    first = {name: values[:1] for name, values in electrons.items()}
    assert_same(sampler.sample(**first, seed=3, shower_id=[10]).cell_energy, showers.cell_energy[:1])


def test_awkward_records_hold_the_cells(make_bundle, electrons):
    sampler = ShowerSampler(make_bundle.three_layers())
    showers = sampler.sample(**electrons, seed=3)
    records = showers.to_awkward()
    assert records.fields == ["shower_id", "px", "py", "pz", "x", "y", "total_energy", "hits"]
    hits = records.hits
    shower = np.repeat(np.arange(37), ak.num(hits))
    layer, row, column, energy = (ak.to_numpy(ak.flatten(hits[name])) for name in ("layer", "row", "column", "energy"))
    filled = np.zeros_like(showers.cell_energy)
    filled[shower, sampler.geometry.flat_index(layer, row, column)] = energy
    np.testing.assert_array_equal(filled, showers.cell_energy)
    np.testing.assert_allclose(ak.to_numpy(records.px), electrons["px"], rtol=1e-6)


def test_some_of_the_showers(sampler, electrons):
    pairs = {name: ak.unflatten(values[:36], [2] * 18) for name, values in electrons.items()}
    showers = sampler.sample(**pairs, seed=3)
    chosen = showers[np.array([4, 7])]
    np.testing.assert_array_equal(chosen.cell_energy, showers.cell_energy[[4, 7]])
    np.testing.assert_array_equal(chosen.particle, [0, 1])
    assert chosen.counts is None
    assert chosen.seed == 3
    assert len(chosen.to_awkward()) == 2


@pytest.mark.parametrize("layout", ["hits", "dense"])
def test_root_file_is_laid_out_as_the_training_data(make_bundle, electrons, tmp_path, layout):
    sampler = ShowerSampler(make_bundle.three_layers(layout=layout))
    showers = sampler.sample(**electrons, seed=3, shower_id=np.arange(50, 87))
    showers.to_root(tmp_path / "out.root")
    found = read_showers([str(tmp_path / "out.root")], sampler.bundle.info.schema, sampler.geometry)
    np.testing.assert_array_equal(found.event, showers.shower_id)
    np.testing.assert_array_equal(found.incident, showers.incident)
    np.testing.assert_allclose(found.cell_energy, showers.cell_energy, rtol=1e-6)
    record = read_provenance(tmp_path / "out.root")
    assert (record["seed"], record["bundle"]) == ("3", sampler.version)


def test_root_file_of_another_layout(make_bundle, electrons, tmp_path):
    showers = ShowerSampler(make_bundle.three_layers()).sample(**electrons, seed=3)
    showers.to_root(tmp_path / "out.root", layout="dense", tree="showers")
    with uproot.open(tmp_path / "out.root") as file:
        images = file["showers"].arrays(library="np")
    np.testing.assert_allclose(images["energy_layer1"].reshape(37, -1), showers.cell_energy[:, 12:16] * 1e3, rtol=1e-6)


def test_iteration_gives_the_same_showers(sampler, electrons):
    expected = sampler.sample(**electrons, seed=3)
    chunks = list(sampler.sample_iter(**electrons, seed=3, chunk=10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 10, 7]
    assert_same(np.concatenate([chunk.cell_energy for chunk in chunks]), expected.cell_energy)
    np.testing.assert_array_equal(np.concatenate([chunk.shower_id for chunk in chunks]), expected.shower_id)
    fresh = list(sampler.sample_iter(**electrons, chunk=10))
    assert len({chunk.seed for chunk in fresh}) == 1


def test_iteration_checks_before_it_starts(sampler):
    with pytest.raises(DomainError, match="number 3"):
        sampler.sample_iter(0.0, 0.0, [10.0, 10.0, 10.0, 80.0], 0.0, 0.0, chunk=2)


def test_nothing_asked_nothing_given(sampler):
    showers = sampler.sample([], [], [], [], [])
    assert showers.cell_energy.shape == (0, 900)
    assert len(showers.to_awkward()) == 0
    assert list(sampler.sample_iter([], [], [], [], [])) == []
    with pytest.raises(ConfigError, match="chunk must be at least 1, got 0"):
        sampler.sample_iter([], [], [], [], [], chunk=0)


def test_outside_the_domain(sampler):
    with pytest.raises(DomainError, match=r"\|p\| 1 to 64 GeV"):
        sampler.sample(0, 0, 80, 0, 0)
    with pytest.warns(OutsideDomainWarning) as record:
        assert sampler.sample(0, 0, 80, 0, 0, outside="warn").incident[0, 2] == 80
    assert record[0].filename == __file__
    assert sampler.sample(0, 0, 80, 0, 0, outside="clip").incident[0, 2] == pytest.approx(64)
    with pytest.raises(DomainError, match="pz of number 0 is nan"):
        sampler.sample(0, 0, np.nan, 0, 0)


def test_entry_point_is_asked_for(sampler):
    with pytest.raises(ShapeError, match=r"needs the entry point .* give x and y \[mm\]"):
        sampler.sample(0, 0, 10)
    with pytest.raises(ShapeError, match=r"give y \[mm\]"):
        sampler.sample(0, 0, 10, 1.0)


def test_entry_point_is_not_asked_for(make_bundle):
    sampler = ShowerSampler(make_bundle.three_layers(condition=("momentum", "direction")))
    np.testing.assert_array_equal(sampler.sample(0, 0, [10.0, 20.0]).incident[:, 3:], np.zeros((2, 2)))
    with pytest.raises(ShapeError, match="trained without an entry point; leave out x and y"):
        sampler.sample(0, 0, 10, 0, 0)


def test_energies_alone_are_asked_for_without_a_direction(make_bundle):
    along = Domain((1.0, 64.0), 0.0, (0.0, 0.0), (0.0, 0.0))
    sampler = ShowerSampler(make_bundle.three_layers(condition=("momentum",), domain=along))
    sizes = np.array([10.0, 20.0, 63.0])
    showers = sampler.sample(momentum=sizes, seed=3)
    assert showers.incident.tolist() == [[0, 0, size, 0, 0] for size in sizes]
    for other in (
        sampler.sample(pz=sizes, seed=3),
        sampler.sample(0, 0, sizes, seed=3),
        sampler.sample(vector.array({"px": 0 * sizes, "py": 0 * sizes, "pz": sizes}), seed=3),
        next(sampler.sample_iter(momentum=sizes, seed=3)),
    ):
        np.testing.assert_array_equal(other.cell_energy, showers.cell_energy)
    assert sampler.sample(momentum=5, seed=1).incident.shape == (1, 5)
    events = sampler.sample(momentum=ak.Array([[10.0, 20.0], [], [30.0]]), seed=3)
    assert events.counts.tolist() == [2, 0, 1]


def test_energies_that_do_not_go_are_refused(sampler, make_bundle):
    with pytest.raises(ShapeError, match="is told the direction; give px, py and pz"):
        sampler.sample(momentum=10, x=0, y=0)
    with pytest.raises(ShapeError, match=r"give px and py \[GeV\]"):
        sampler.sample(pz=10, x=0, y=0)
    along = ShowerSampler(make_bundle.three_layers(condition=("momentum",)))
    with pytest.raises(ShapeError, match="leave out px and pz, or momentum"):
        along.sample(1, pz=10, momentum=10)
    with pytest.raises(ShapeError, match=r"give momentum \[GeV\], or px and py and pz"):
        along.sample()
    with pytest.raises(ShapeError, match="momentum must be numbers"):
        along.sample(momentum=["a"])
    with pytest.raises(DomainError, match="does not fly towards the front face"):
        along.sample(momentum=-10, outside="warn")


def test_hdf5_file_of_the_showers(make_bundle, electrons, tmp_path):
    showers = ShowerSampler(make_bundle.three_layers()).sample(**electrons, seed=1)
    showers.to_hdf5(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file["showers"][:] == pytest.approx(showers.cell_energy * 1000)
        assert file["incident_energies"][:, 0] == pytest.approx(showers.momentum * 1000)
    assert read_provenance(tmp_path / "a.hdf5")["seed"] == "1"
    showers.to_hdf5(tmp_path / "b.hdf5", layout="calogan")
    with h5py.File(tmp_path / "b.hdf5") as file:
        assert file["layer_0"].shape == (37, 3, 4)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seed_out_of_range_is_refused(sampler, seed):
    with pytest.raises(ConfigError, match="seed"):
        sampler.sample(0, 0, 10, 0, 0, seed=seed)


@pytest.mark.parametrize("seed", [7.9, "7", "abc", np.array([7, 8])])
def test_a_seed_that_is_no_whole_number_is_refused(sampler, seed):
    with pytest.raises(ConfigError, match=r"^the seed must be a whole number from 0 to 2\*\*64 - 1, got [^\n]*$"):
        sampler.sample(0, 0, 10, 0, 0, seed=seed)


def test_a_numpy_integer_is_a_seed(sampler):
    assert sampler.sample(0, 0, 10, 0, 0, seed=np.uint64(2**64 - 1)).seed == 2**64 - 1


def test_an_entry_window_away_from_0_is_no_matter_where_it_is_not_told(make_bundle):
    domain = Domain((1.0, 64.0), 0.35, (10.0, 20.0), (-5.0, 5.0))
    bundle = make_bundle.three_layers(condition=("momentum", "direction"), domain=domain)
    showers = ShowerSampler(bundle).sample(0, 0, [10.0, 20.0])
    np.testing.assert_array_equal(showers.incident[:, 3:], [[15, 0], [15, 0]])


@pytest.mark.parametrize(("trained", "written"), [([11], 11), ([11, 22], 0), (None, 0)])
def test_the_one_particle_type_is_written(make_bundle, tmp_path, trained, written):
    bundle = make_bundle()
    provenance = {} if trained is None else {"pdg": trained}
    sampler = ShowerSampler(replace(bundle, info=replace(bundle.info, provenance=provenance)))
    sampler.sample(0, 0, [10.0, 20.0], 0, 0).to_root(tmp_path / "out.root")
    with uproot.open(tmp_path / "out.root") as file:
        assert file["hits"]["pdg"].array().tolist() == [written, written]


@pytest.mark.parametrize("device", ["cuda:99", "foo", "meta"])
def test_a_device_that_is_not_there_is_one_line(make_bundle, device):
    sampler = ShowerSampler(make_bundle(), device=device)
    with pytest.raises(ConfigError, match=rf"^device '{device}' cannot be used: [^\n]*expected auto, cpu, cuda[^\n]*$"):
        sampler.sample(0, 0, 10, 0, 0)


@pytest.mark.parametrize("option", ["threads", "batch_size"])
def test_options_are_checked(make_bundle, option):
    with pytest.raises(ConfigError, match=f"{option} must be at least 1, got 0"):
        ShowerSampler(make_bundle(), **{option: 0})


def test_pickles_by_path(sampler, electrons):
    expected = sampler.sample(**electrons, seed=3).cell_energy
    data = pickle.dumps(sampler)
    assert len(data) < 1000
    np.testing.assert_array_equal(pickle.loads(data).sample(**electrons, seed=3).cell_energy, expected)  # noqa: S301


def test_pickle_notices_another_model(make_bundle, sampler):
    data = pickle.dumps(sampler)
    other = make_bundle.three_layers()
    assert other.path == sampler.bundle.path
    with pytest.raises(BundleError, match=f"holds model {other.info.id}, but .* {sampler.version}"):
        pickle.loads(data)  # noqa: S301


@pytest.mark.multiprocess
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_works_in_a_process_pool(sampler, electrons, method):
    expected = sampler.sample(**electrons, seed=3)
    parts = [slice(0, 20), slice(20, 37)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        futures = [
            pool.submit(sampler.cell_energy, expected.incident[part], 3, expected.shower_id[part]) for part in parts
        ]
        assert_same(np.concatenate([future.result(timeout=100) for future in futures]), expected.cell_energy)


def test_needs_no_torch(make_bundle):
    with_graph, without = make_bundle(), make_bundle.without_graph()
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import calogan, json\n"
        f"showers = calogan.load_sampler({str(with_graph.path)!r}, threads=1).sample(0, 0, 10, 0, 0, seed=3)\n"
        "from calogan.errors import MissingDependencyError\n"
        "try:\n"
        f"    calogan.load_sampler({str(without.path)!r}).sample(0, 0, 10, 0, 0)\n"
        "except MissingDependencyError as error:\n"
        "    message = str(error)\n"
        "heavy = {'mlflow', 'matplotlib', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "print(json.dumps([showers.cell_energy.tolist(), message, sorted(heavy)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cells, message, heavy = json.loads(done.stdout)
    assert_same(np.array(cells), ShowerSampler(with_graph).sample(0, 0, 10, 0, 0, seed=3).cell_energy)
    assert "pip install 'calogan[train]'" in message
    assert heavy == []


def test_missing_torch_is_named(make_bundle, monkeypatch):
    bundle = make_bundle()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match="torch is needed"):
        load_network(bundle, "cuda")


def test_momenta_come_as_vectors_tensors_or_columns(sampler, electrons):
    expected = sampler.sample(**electrons, seed=3)
    place = {"x": electrons["x"], "y": electrons["y"]}
    components = {name: electrons[name] for name in ("px", "py", "pz")}
    energy = np.sqrt(sum(value**2 for value in components.values()))
    arrays = vector.array({**components, "E": energy})
    assert np.array_equal(sampler.sample(arrays, **place, seed=3).cell_energy, expected.cell_energy)
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in electrons.items()}
    assert np.array_equal(sampler.sample(**tensors, seed=3).cell_energy, expected.cell_energy)
    one = vector.obj(**{name: float(value[0]) for name, value in components.items()}, E=float(energy[0]))
    assert np.array_equal(
        sampler.sample(one, x=electrons["x"][0], y=electrons["y"][0], seed=3).cell_energy, expected.cell_energy[:1]
    )


def test_ragged_vectors_come_back_ragged(sampler, electrons):
    events = ak.unflatten(ak.zip(electrons | {"mass": np.full(37, 5.11e-4)}), [30, 0, 7])
    particles = vector.zip({name: events[name] for name in ("px", "py", "pz", "mass")})
    showers = sampler.sample(particles, x=events.x, y=events.y, pdg=11 * ak.ones_like(events.x, dtype=int), seed=3)
    plain = sampler.sample(events.px, events.py, events.pz, events.x, events.y, seed=3)
    assert np.array_equal(showers.cell_energy, plain.cell_energy)
    assert ak.num(showers.to_awkward(), axis=1).tolist() == [30, 0, 7]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"px": 1.0}, "give py and pz"),
        ({"px": 1.0, "pz": 9.0}, "give py"),
        ({"px": vector.obj(px=1.0, py=0.0, pz=9.0, E=10.0), "pz": 9.0}, "holds a whole momentum; leave out pz"),
        ({"px": 0.0, "py": 0.0, "pz": 9.0, "pdg": 11.5}, "pdg must be whole numbers"),
        ({"px": 0.0, "py": 0.0, "pz": [9.0, 8.0], "pdg": [11, 11, 11]}, "do not go together"),
    ],
)
def test_momenta_that_are_not_whole_are_refused(sampler, arguments, message):
    with pytest.raises(ShapeError, match=message):
        sampler.sample(**arguments, x=0.0, y=0.0)


def test_other_particles_than_the_trained_ones_are_refused(make_bundle):
    bundle = make_bundle()
    sampler = ShowerSampler(replace(bundle, info=replace(bundle.info, provenance={"pdg": [11, -11]})))
    particles = {"px": 0.0, "py": 0.0, "pz": [9.0, 8.0, 7.0], "x": 0.0, "y": 0.0, "seed": 1}
    message = r"1 of 3 incident particles are of another type .*pdg 11( \(e-\))?, -11.*number 1 with pdg 22"
    for outside in ("raise", "clip"):
        with pytest.raises(DomainError, match=message):
            sampler.sample(**particles, pdg=[11, 22, -11], outside=outside)
    with pytest.warns(OutsideDomainWarning, match=message):
        showers = sampler.sample(**particles, pdg=[11, 22, -11], outside="warn")
    assert showers.pdg.tolist() == [11, 22, -11]
    pieces = list(sampler.sample_iter(**particles, pdg=[-11, 11, 11], chunk=2))
    assert [piece.pdg.tolist() for piece in pieces] == [[-11, 11], [11]]


def test_backend_is_the_caller_s_choice(make_bundle, electrons):
    bundle = make_bundle()
    networks = {name: ShowerSampler(bundle, backend=name).network for name in ("auto", "onnx", "torch")}
    assert isinstance(networks["auto"], OnnxNetwork)
    assert isinstance(networks["onnx"], OnnxNetwork)
    assert isinstance(networks["torch"], TorchNetwork)
    copy = pickle.loads(pickle.dumps(ShowerSampler(bundle, backend="torch")))  # noqa: S301
    assert isinstance(copy.network, TorchNetwork)
    with pytest.raises(ConfigError, match="backend must be one of 'auto', 'torch', 'onnx', got 'tf'"):
        ShowerSampler(bundle, backend="tf")
    with pytest.raises(ConfigError, match="backend 'onnx' runs on the CPU, not on 'cuda'"):
        load_network(bundle, "cuda", "onnx")
    with pytest.raises(BundleError, match=r"has no generator\.onnx; choose backend='torch'"):
        load_network(make_bundle.without_graph(), backend="onnx")


def test_sampling_with_the_graph_takes_neither_torch_nor_awkward_nor_mlflow(make_bundle):
    code = (
        "import sys; from calogan import load_sampler; sampler = load_sampler(sys.argv[1]); "
        "assert sampler.sample(0, 0, [9.0, 20.0], 0, 0).total_energy.min() > 0; "
        "print(*sorted({'torch', 'awkward', 'uproot', 'mlflow', 'scipy', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code, make_bundle().path], capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr


def _energy_in_a_fork(queue):
    queue.put(float(_INHERITED[0].sample(0.0, 0.0, 20.0, 0.0, 0.0, seed=1).total_energy[0]))


_INHERITED = []


@pytest.mark.multiprocess
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_sampler_that_has_run_goes_through_a_fork(make_bundle):
    """Threads of ONNX Runtime do not come along, and nothing waits for them."""
    sampler = ShowerSampler(make_bundle(), threads=2)
    expected = sampler.sample(0.0, 0.0, 20.0, 0.0, 0.0, seed=1).total_energy[0]
    _INHERITED[:] = [sampler]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_energy_in_a_fork, args=(queue,))
    child.start()
    try:
        assert queue.get(timeout=60) == pytest.approx(expected, rel=1e-5)
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
        _INHERITED.clear()


def test_one_shower_is_a_sample_of_one(sampler, electrons):
    showers = sampler.sample(**electrons, seed=3)
    assert np.array_equal(showers[-1].cell_energy, showers.cell_energy[-1:])
    assert [len(shower) for shower in showers] == [1] * 37
    with pytest.raises(IndexError):
        showers[37]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threads": "2"}, "threads must be a whole number of at least 1, got '2'"),
        ({"batch_size": 1.5}, "batch_size must be a whole number of at least 1, got 1.5"),
    ],
)
def test_settings_are_whole_numbers(make_bundle, arguments, message):
    with pytest.raises(ConfigError, match=message):
        ShowerSampler(make_bundle(), **arguments)


def test_a_seed_out_of_range_is_seen_before_the_first_piece(sampler):
    with pytest.raises(ConfigError, match=r"from 0 to 2\*\*64 - 1, got -3"):
        sampler.sample_iter(0.0, 0.0, 20.0, 0.0, 0.0, seed=-3)


def test_a_folder_is_no_file_to_write(sampler, tmp_path):
    with pytest.raises(DataError, match="is a folder; name a file in it"):
        sampler.sample(0.0, 0.0, 20.0, 0.0, 0.0).to_root(tmp_path)
