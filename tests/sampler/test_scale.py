"""The same showers however they are asked for: batches, orders, backends, pools of processes, dask and coffea."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import awkward as ak
import numpy as np
import pytest
import uproot

from calogan.export import compare_cells
from calogan.sampler import load_sampler

SEED = 7
COUNT = 2000


@pytest.fixture(scope="module")
def electrons():
    """Electrons all over the domain of the shipped surrogate, with event numbers of 63 bits."""
    rng = np.random.default_rng(5)
    momentum = np.exp(rng.uniform(np.log(1.01), np.log(63.9), COUNT))
    cosine, azimuth = rng.uniform(np.cos(np.radians(19.9)), 1, COUNT), rng.uniform(-np.pi, np.pi, COUNT)
    transverse = momentum * np.sqrt(1 - cosine**2)
    return ak.zip(
        {
            "px": transverse * np.cos(azimuth),
            "py": transverse * np.sin(azimuth),
            "pz": momentum * cosine,
            "x": rng.uniform(-20, 20, COUNT),
            "y": rng.uniform(-20, 20, COUNT),
            "event": rng.integers(0, 2**63, COUNT),
        }
    )


@pytest.fixture(scope="module")
def shipped_sampler():
    return load_sampler("ecal30-electron", threads=1)


@pytest.fixture(scope="module")
def expected(shipped_sampler, electrons):
    """Their cell energies, from one call in this process."""
    return sample(shipped_sampler, electrons).cell_energy


@pytest.fixture
def tiny_sampler(tiny_bundle):
    return load_sampler(tiny_bundle.path, threads=1)


@pytest.fixture
def files(ecal30_config):
    """Two files of 200 electrons, as `uproot` and coffea take them."""
    return dict.fromkeys(ecal30_config.data.sources[0].files, "hits")


@pytest.fixture(scope="module")
def dask_client(tmp_path_factory):
    """A client of two processes on this machine."""
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set({"temporary-directory": str(tmp_path_factory.mktemp("dask"))}),
        LocalCluster(2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def columns(particles):
    return [particles[name] for name in ("px", "py", "pz", "x", "y")]


def sample(sampler, particles):
    return sampler.sample(*columns(particles), seed=SEED, shower_id=particles.event)


def assert_same(found, expected, threshold):
    """Lit cells agree, and hardly any at the threshold is lit in one and dark in the other."""
    parity = compare_cells(expected, found, threshold)
    assert np.count_nonzero(expected) > len(expected)
    assert parity.apart == 0
    assert parity.flipped <= 1e-5 * parity.cells


def with_settings(count=COUNT, **settings):
    return lambda particles: sample(load_sampler("ecal30-electron", **settings), particles[:count]).cell_energy


def shuffled(particles):
    order = np.random.default_rng(1).permutation(COUNT)
    found = np.empty((COUNT, 900), dtype=np.float32)
    found[order] = sample(load_sampler("ecal30-electron", threads=1), particles[order]).cell_energy
    return found


def in_pieces(particles):
    sampler = load_sampler("ecal30-electron", threads=1)
    pieces = sampler.sample_iter(*columns(particles), seed=SEED, shower_id=particles.event, chunk=333)
    return np.concatenate([piece.cell_energy for piece in pieces])


def first_of_three(particles):
    """The first particles of events of three."""
    sampler = load_sampler("ecal30-electron", threads=1)
    events = ak.unflatten(particles[np.repeat(np.arange(COUNT), 3)], 3)
    showers = sampler.sample(*columns(events), seed=SEED, shower_id=particles.event)
    return showers.cell_energy[showers.particle == 0]


def in_threads(particles):
    """One sampler that threads share, as those of a dask worker do."""
    sampler = load_sampler("ecal30-electron", threads=1)
    parts = [particles[start : start + 100] for start in range(0, COUNT, 100)]
    with ThreadPoolExecutor(4) as pool:
        showers = pool.map(lambda part: sample(sampler, part), parts)
        return np.concatenate([part.cell_energy for part in showers])


WAYS = {
    "one by one": with_settings(200, threads=1, batch_size=1),
    "batches of 7": with_settings(threads=1, batch_size=7),
    "batches of 1000": with_settings(threads=1, batch_size=1000),
    "two threads": with_settings(threads=2, backend="onnx"),
    "torch": with_settings(threads=1, backend="torch"),
    "shuffled": shuffled,
    "in pieces": in_pieces,
    "first of three": first_of_three,
    "threads at once": in_threads,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_way_changes_no_shower(electrons, expected, shipped_sampler, way):
    found = way(electrons)
    assert_same(found, expected[: len(found)], shipped_sampler.threshold)


@pytest.mark.multiprocess
def test_a_pool_of_four_processes(electrons, expected, shipped_sampler):
    parts = [electrons[start : start + 250] for start in range(0, COUNT, 250)]
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(shipped_sampler.sample, *columns(part), seed=SEED, shower_id=part.event) for part in parts]
        showers = [job.result(timeout=100) for job in jobs]
    assert_same(np.concatenate([part.cell_energy for part in showers]), expected, shipped_sampler.threshold)


@pytest.mark.multiprocess
def test_dask_workers(dask_client, electrons, tiny_sampler):
    def cell_energy(part):
        showers = tiny_sampler.sample(part.px, part.py, part.pz, part.x, part.y, seed=SEED, shower_id=part.event)
        return showers.cell_energy

    parts = [electrons[start : start + 300] for start in range(0, COUNT, 300)]
    found = dask_client.gather(dask_client.map(cell_energy, parts))
    assert_same(np.concatenate(found), sample(tiny_sampler, electrons).cell_energy, tiny_sampler.threshold)


@pytest.mark.multiprocess
def test_dask_awkward_partitions(dask_client, files, tiny_sampler):
    def records(particles):
        # dask-awkward asks for the type first, without any particles
        part = ak.typetracer.length_zero_if_typetracer(particles)
        showers = tiny_sampler.sample(part.px, part.py, part.pz, part.x, part.y, seed=SEED, shower_id=part.event)
        return ak.to_backend(showers.to_awkward(), ak.backend(particles))

    hits = uproot.dask(files, open_files=False).map_partitions(records).hits.compute()
    expected = sample(tiny_sampler, uproot.concatenate(files)).cell_energy
    found = np.zeros_like(expected)
    shower = np.repeat(np.arange(len(hits)), ak.num(hits))
    found[shower, ak.flatten(hits.row * 30 + hits.column)] = ak.flatten(hits.energy)
    assert_same(found, expected, tiny_sampler.threshold)


@pytest.mark.multiprocess
@pytest.mark.parametrize(("executor", "options"), [("IterativeExecutor", {}), ("FuturesExecutor", {"workers": 2})])
def test_a_coffea_processor(files, tiny_sampler, executor, options):
    from coffea import processor
    from coffea.nanoevents import BaseSchema

    class Surrogate(processor.ProcessorABC):
        def process(self, events):
            showers = tiny_sampler.sample(
                events.px, events.py, events.pz, events.x, events.y, pdg=events.pdg, seed=SEED, shower_id=events.event
            )
            made = {"event": showers.shower_id, "cell_energy": showers.cell_energy}
            return {name: processor.column_accumulator(column) for name, column in made.items()}

        def postprocess(self, accumulator):
            return accumulator

    run = processor.Runner(getattr(processor, executor)(status=False, **options), schema=BaseSchema, chunksize=120)
    found = {name: made.value for name, made in run({"electrons": {"files": files}}, Surrogate()).items()}
    particles = uproot.concatenate(files)
    place = {event: row for row, event in enumerate(found["event"].tolist())}
    order = [place[event] for event in particles.event.tolist()]
    expected = sample(tiny_sampler, particles).cell_energy
    assert_same(found["cell_energy"][order], expected, tiny_sampler.threshold)
