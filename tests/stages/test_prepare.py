from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import uproot

from calogan.config import Config
from calogan.data.simulation_time import SimulationTime
from calogan.data.split import SPLITS, assign_splits
from calogan.data.store import Store
from calogan.data.writing import ShowerWriter
from calogan.errors import DataError, SchemaError, StoreError
from calogan.progress import SilentReporter
from calogan.stages.prepare import prepare


@pytest.fixture(scope="module")
def templates(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    return [
        toy.write(folder / f"part{number}.root", "hits", toy.showers[50 * number : 50 * (number + 1)])
        for number in range(4)
    ]


@pytest.fixture
def parts(templates, tmp_path):
    """Four files of 50 showers, to be spoiled."""
    return [Path(shutil.copy(template, tmp_path)) for template in templates]


def config_of(toy, tmp_path, files, layout="hits", **data):
    return toy.config(tmp_path / "run", layout, files=[str(file) for file in files], **data)


def with_units(config, **units):
    values = config.model_dump()
    values["data"]["sources"][0]["units"] |= units
    return Config.model_validate(values)


def test_manifest_says_what_is_there(toy, tmp_path, parts, listener):
    store = prepare(config_of(toy, tmp_path, parts, chunk_showers=16), listener)
    written = json.loads((tmp_path / "run" / "prepared" / "manifest.json").read_text())
    expected = np.bincount(assign_splits(toy.showers.event), minlength=3)
    assert store.counts() == dict(zip(SPLITS, expected, strict=True))
    assert written["totals"] == {
        "files": 4,
        "showers": 200,
        **store.counts(),
        "outside_domain": 0,
        "hits_outside": 0,
        "skipped_files": 0,
        "pdg": {"11": 200},
    }
    assert store.manifest.pdg_counts() == {11: 200}
    assert written["units"] == {"energy": "GeV", "momentum": "GeV", "length": "mm"}
    first = store.manifest.shards[0]
    assert (first.source, first.tree, first.entries) == (str(parts[0]), "hits", 50)
    assert first.size == parts[0].stat().st_size
    assert first.response == pytest.approx(np.mean((toy.showers.total_energy / toy.showers.momentum)[:50]), rel=1e-5)
    assert first.momentum == pytest.approx((toy.showers.momentum[:50].min(), toy.showers.momentum[:50].max()))
    assert first.hits == np.count_nonzero(toy.showers.cell_energy[:50])
    assert listener.warnings == []
    assert Store.open(store.folder) == store


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("chunk_showers", [7, 1000])
def test_result_does_not_depend_on_workers_or_chunks(toy, tmp_path, parts, workers, chunk_showers):
    store = prepare(config_of(toy, tmp_path, parts, workers=workers, chunk_showers=chunk_showers), SilentReporter())
    test = toy.showers[assign_splits(toy.showers.event) == 2]
    assert np.array_equal(store.load("test").event, test.event)
    np.testing.assert_allclose(store.load("test").cell_energy, test.cell_energy, rtol=2e-7)


def test_layouts_give_the_same_showers(toy, tmp_path):
    stores = [
        prepare(toy.config(tmp_path / layout, layout), SilentReporter()) for layout in ("dense", "hits", "positions")
    ]
    loaded = [store.load("train") for store in stores]
    for other in loaded[1:]:
        assert np.array_equal(loaded[0].event, other.event)
        assert np.array_equal(loaded[0].cell_energy, other.cell_energy)
    assert len({store.digest for store in stores}) == 3


def test_second_run_does_nothing_and_says_so(toy, tmp_path, parts, listener):
    config = config_of(toy, tmp_path, parts)
    before = prepare(config, listener)
    stamps = {path: path.stat().st_mtime_ns for path in before.folder.rglob("*") if path.is_file()}
    after = prepare(config, listener)
    assert after == before
    assert {path: path.stat().st_mtime_ns for path in after.folder.rglob("*") if path.is_file()} == stamps
    assert listener.messages[0].startswith("prepared 4 files (0 unchanged)")
    assert "is up to date, nothing to do" in listener.messages[1]


def test_only_what_changed_is_done_again(toy, tmp_path, parts, listener):
    before = prepare(config_of(toy, tmp_path, parts[:3]), listener)
    toy.write(parts[1], "hits", toy.showers[50:90])
    parts[0].touch()
    after = prepare(config_of(toy, tmp_path, parts), listener)
    old = {record.source: record.folder for record in before.manifest.shards}
    new = {record.source: record.folder for record in after.manifest.shards}
    assert new[str(parts[0])] == old[str(parts[0])]
    assert new[str(parts[1])] != old[str(parts[1])]
    assert sorted(child.name for child in after.shards.iterdir()) == sorted(new.values())
    assert "(2 unchanged)" in listener.messages[1]
    assert sum(after.counts().values()) == 190
    events = np.delete(toy.showers.event, np.s_[90:100])
    assert np.array_equal(after.load("test").event, events[assign_splits(events) == 2])


def test_another_schema_geometry_or_domain_is_another_shard(toy, tmp_path, parts, listener):
    config = config_of(toy, tmp_path, parts)
    before = prepare(config, listener)
    after = prepare(with_units(config, energy="GeV"), listener)
    assert {record.folder for record in before.manifest.shards}.isdisjoint(
        record.folder for record in after.manifest.shards
    )
    assert len(list(after.shards.iterdir())) == 4


def test_damaged_shard_is_made_again(toy, tmp_path, parts):
    config = config_of(toy, tmp_path, parts)
    before = prepare(config, SilentReporter())
    (before.shards / before.manifest.shards[2].folder / "event.npy").unlink()
    after = prepare(config, SilentReporter())
    assert after == before
    assert np.array_equal(after.load("test").event, Store.open(after.folder).load("test").event)


def test_showers_outside_the_domain_are_left_out_and_counted(toy, tmp_path, listener):
    incident = toy.showers.incident.copy()
    incident[3, :3] *= 100
    incident[7, 3] = 6
    path = toy.write(tmp_path / "a.root", "hits", replace(toy.showers, incident=incident))
    store = prepare(config_of(toy, tmp_path, [path]), listener)
    events = np.concatenate([store.load(split).event for split in SPLITS])
    assert set(toy.showers.event) - set(events) == {1003, 1007}
    assert store.manifest.shards[0].outside_domain == 2
    assert len(listener.warnings) == 1
    assert "2 of 200 showers are outside the domain and left out" in listener.warnings[0]


def test_hits_outside_are_counted(toy, tmp_path, listener):
    moved = replace(toy.schema("positions"), length_unit="cm")
    with ShowerWriter(tmp_path / "a.root", moved, toy.geometry) as writer:
        writer.extend(toy.showers)
    config = with_units(config_of(toy, tmp_path, [tmp_path / "a.root"], "positions"), length="m")
    values = config.model_dump()
    values["domain"] |= {"entry_x": (-5000, 5000), "entry_y": (-5000, 5000)}
    store = prepare(Config.model_validate(values), listener)
    record = store.manifest.shards[0]
    assert record.hits_outside == record.hits == np.count_nonzero(toy.showers.cell_energy)
    assert any(f"{record.hits} of {record.hits} hits are outside of all cells" in text for text in listener.warnings)


@pytest.mark.parametrize(("units", "response"), [({"energy": "GeV"}, "200"), ({"energy": "keV"}, "0.0002")])
def test_energy_unit_wrong_by_1000_is_prepared_with_a_warning(toy, tmp_path, listener, units, response):
    store = prepare(with_units(toy.config(tmp_path / "run", "hits"), **units), listener)
    assert sum(store.counts().values()) == 200
    assert len(listener.warnings) == 1
    assert f"implausible response: the mean of sum(E)/|p| is {response}" in listener.warnings[0]
    assert "units.energy" in listener.warnings[0]


def test_momentum_unit_wrong_by_1000_names_response_and_domain(toy, tmp_path, listener):
    with pytest.raises(DataError, match=r"a split is empty: train 0, validation 0, test 0 .*200 showers outside"):
        prepare(with_units(toy.config(tmp_path / "run", "hits"), momentum="MeV"), listener)
    assert "implausible response: the mean of sum(E)/|p| is 200" in listener.warnings[0]
    assert "200 of 200 showers are outside the domain" in listener.warnings[1]
    assert "units.momentum (MeV)" in listener.warnings[1]


def test_several_particle_types_are_counted_and_doubted(toy, tmp_path, listener):
    pdg = np.where(np.arange(200) < 150, 22, -11).astype(np.int32)
    path = toy.write(tmp_path / "a.root", "hits", replace(toy.showers, pdg=pdg))
    store = prepare(config_of(toy, tmp_path, [path]), listener)
    assert list(store.manifest.pdg_counts().items()) == [(-11, 50), (22, 150)]
    (warning,) = listener.warnings
    assert "several particle types (50 of pdg -11, 150 of pdg 22)" in warning
    assert Store.open(store.folder) == store


def test_particle_types_are_not_known_without_a_branch(toy, tmp_path, listener):
    values = config_of(toy, tmp_path, [toy.file("hits")]).model_dump()
    values["data"]["sources"][0]["pdg"] = None
    assert prepare(Config.model_validate(values), listener).manifest.pdg_counts() == {}
    assert listener.warnings == []


def test_empty_split_is_refused_with_the_counts(toy, tmp_path):
    path = toy.write(tmp_path / "a.root", "hits", toy.showers[:2])
    with pytest.raises(DataError, match=r"a split is empty: train \d, validation \d, test \d showers of 1 files"):
        prepare(config_of(toy, tmp_path, [path]), SilentReporter())
    assert not (tmp_path / "run" / "prepared" / "manifest.json").exists()


def test_event_twice_in_a_file(toy, tmp_path):
    event = toy.showers.event.copy()
    event[120] = event[17]
    path = toy.write(tmp_path / "a.root", "hits", replace(toy.showers, event=event))
    with pytest.raises(DataError, match=r"a\.root:hits, branch 'event': event 1017 is in entry 17 and in entry 120"):
        prepare(config_of(toy, tmp_path, [path]), SilentReporter())
    assert not list((tmp_path / "run" / "prepared" / "shards").iterdir())


def test_event_in_two_files(toy, tmp_path, parts, listener):
    files = [*parts, toy.write(tmp_path / "again.root", "hits", toy.showers[60:70])]
    message = r"again\.root:hits, entry 0: event 1060 is in .*part1\.root:hits, entry 10 too"
    with pytest.raises(DataError, match=message):
        prepare(config_of(toy, tmp_path, files), SilentReporter())
    store = prepare(config_of(toy, tmp_path, files, on_bad_file="skip"), listener)
    assert [file.source for file in store.manifest.skipped] == [str(files[-1])]
    assert sum(store.counts().values()) == 200
    assert "left out (10 showers)" in listener.warnings[0]


def test_same_file_twice_under_two_names(toy, tmp_path):
    copy = tmp_path / "copy.root"
    copy.write_bytes(toy.file("hits").read_bytes())
    with pytest.raises(DataError, match=r"copy\.root:hits, entry 0: event 1000 is in .*hits\.root:hits, entry 0 too"):
        prepare(config_of(toy, tmp_path, [toy.file("hits"), copy], workers=2), SilentReporter())


def test_file_without_showers_is_an_empty_shard(toy, tmp_path, parts):
    empty = toy.write(tmp_path / "empty.root", "hits", toy.showers[:0])
    config = config_of(toy, tmp_path, [empty, *parts])
    store = prepare(config, SilentReporter())
    assert store.manifest.shards[0].entries == 0
    assert store.manifest.shards[0].response is None
    assert sum(len(store.load(split)) for split in SPLITS) == 200
    assert prepare(config, SilentReporter()) == store


def test_ids_of_files_without_events(toy, tmp_path):
    values = toy.config(tmp_path / "run", "hits").model_dump()
    values["data"]["sources"][0]["event"] = None
    store = prepare(Config.model_validate(values), SilentReporter())
    events = np.concatenate([store.load(split).event for split in SPLITS])
    assert len(set(events)) == 200
    assert all((assign_splits(store.load(split).event) == number).all() for number, split in enumerate(SPLITS))


def spoil_truncated(path):
    path.write_bytes(path.read_bytes()[:-1000])


def spoil_text(path):
    path.write_text("not a ROOT file at all")


def spoil(**changes):
    def rewrite(path):
        with uproot.open(path) as file:
            arrays = file["hits"].arrays()
        values = {name: arrays[name] for name in arrays.fields if name != "ncell"}
        for name, change in changes.items():
            values[name] = change(values[name])
        with uproot.recreate(path) as file:
            file.mktree("hits", {name: value for name, value in values.items() if value is not None})

    return rewrite


def with_nan(values):
    array = np.array(values)
    array[4] = np.nan
    return array


BAD_FILES = {
    "truncated": (spoil_truncated, DataError, r"part2\.root: truncated"),
    "not ROOT": (spoil_text, DataError, r"part2\.root: not a ROOT file"),
    "missing branch": (spoil(cell_energy=lambda _: None), SchemaError, r"no branch 'cell_energy'"),
    "negative": (
        spoil(cell_energy=lambda values: -values),
        DataError,
        r"part2\.root:hits, branch 'cell_energy', entry 0",
    ),
    "nan momentum": (spoil(pz=with_nan), DataError, r"part2\.root:hits, branch 'pz', entry 4: is nan"),
    "lengths": (
        spoil(cell_ix=lambda values: values[:, 1:]),
        DataError,
        r"branch 'cell_ix', entry 0: has \d+ values, but",
    ),
    "index": (
        spoil(cell_iy=lambda values: values + 50),
        DataError,
        r"entry 0: layer 0, row \d+, column \d+ is outside",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_stops_or_is_left_out(toy, tmp_path, parts, listener, case):
    damage, error, message = BAD_FILES[case]
    damage(parts[2])
    with pytest.raises(error, match=message) as caught:
        prepare(config_of(toy, tmp_path, parts, workers=2), SilentReporter())
    assert "\n" not in str(caught.value)
    prepared = tmp_path / "run" / "prepared"
    assert not (prepared / "manifest.json").exists()
    assert not list(prepared.glob("shards/.tmp-*"))
    store = prepare(config_of(toy, tmp_path, parts, on_bad_file="skip"), listener)
    (skipped,) = store.manifest.skipped
    assert skipped.source == str(parts[2])
    reason, remedy, _ = str(caught.value).partition("; correct or remove the file, or leave it out")
    assert remedy
    assert skipped.reason == reason
    assert skipped.entries == (None if error is SchemaError or "ROOT" in case or case == "truncated" else 50)
    assert sum(store.counts().values()) == 150
    assert reason in listener.warnings[0]


def test_missing_file_is_refused_even_under_skip(toy, tmp_path, parts):
    with pytest.raises(DataError, match=r"prt0\.root: no such file in .* did you mean 'part0\.root'"):
        prepare(config_of(toy, tmp_path, [tmp_path / "prt0.root"], on_bad_file="skip"), SilentReporter())


def test_old_manifest_stays_when_a_new_file_is_bad(toy, tmp_path, parts):
    before = prepare(config_of(toy, tmp_path, parts[:3]), SilentReporter())
    spoil_text(parts[3])
    with pytest.raises(DataError):
        prepare(config_of(toy, tmp_path, parts), SilentReporter())
    assert Store.open(before.folder) == before


def without_storage(path):
    """What a version that knew dense shards only left in a JSON file."""
    values = json.loads(path.read_text())
    for record in values.get("shards", [values]):
        del record["storage"]
    path.write_text(json.dumps(values))


def test_dense_shards_of_earlier_versions_stay(ecal30_config, tmp_path, listener):
    values = ecal30_config.model_dump() | {"run_dir": str(tmp_path)}
    values["data"]["storage"] = "dense"
    before = prepare(Config.model_validate(values), listener)
    for path in (before.folder / "manifest.json", *before.shards.glob("*/shard.json")):
        without_storage(path)
    values["data"]["storage"] = "auto"
    stamps = {path: path.stat().st_mtime_ns for path in before.shards.rglob("*")}

    after = prepare(Config.model_validate(values), listener)

    assert {path: path.stat().st_mtime_ns for path in after.shards.rglob("*")} == stamps
    assert after.manifest.shards == before.manifest.shards
    assert "(2 unchanged)" in listener.messages[-1]


def test_shards_are_made_again_for_another_storage_only(ecal30_config, tmp_path, listener):
    """Most cells of the shipped showers are 0, so that they are sparse if nothing else is asked for."""
    values = ecal30_config.model_dump() | {"run_dir": str(tmp_path)}
    stores = []
    for storage in ("auto", "sparse", "dense"):
        values["data"]["storage"] = storage
        stores.append(prepare(Config.model_validate(values), listener))
    assert [{shard.storage for shard in store.manifest.shards} for store in stores] == [
        {"sparse"},
        {"sparse"},
        {"dense"},
    ]
    assert ["(2 unchanged)" in message for message in listener.messages] == [False, True, False]
    assert len({store.digest for store in stores}) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from calogan.config import load_config
from calogan.data import npy
from calogan.progress import SilentReporter
from calogan.stages.prepare import prepare
left = int(sys.argv[2])
whole = npy.NpyWriter.append
def append(self, rows):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    whole(self, rows)
npy.NpyWriter.append = append
prepare(load_config(sys.argv[1]), SilentReporter())
"""


@pytest.mark.multiprocess
def test_killed_run_leaves_nothing_that_looks_finished(toy, tmp_path, parts, listener):
    config = config_of(toy, tmp_path, parts)
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    command = [sys.executable, "-c", KILLED, str(tmp_path / "config.yaml"), "25"]
    assert subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode == -signal.SIGKILL
    shards = config.run_dir / "prepared" / "shards"
    assert len(list(shards.glob(".tmp-*"))) == 1
    with pytest.raises(StoreError, match="no prepared showers"):
        Store.open(config.run_dir / "prepared")
    store = prepare(config, listener)
    assert "(2 unchanged)" in listener.messages[0]
    assert not list(shards.glob(".tmp-*"))
    assert sum(store.counts().values()) == 200


def test_shipped_showers(ecal30_store, ecal30_showers):
    test = ecal30_store.load("test")
    assert np.array_equal(test.event, ecal30_showers.event[assign_splits(ecal30_showers.event) == 2])
    # Geant4's visible fraction, flat within 0.2%, from the sample's description; 7.6%/sqrt(E) scatters a mean of 80.
    assert np.mean(test.total_energy / test.momentum) == pytest.approx(0.171, abs=0.002)


def add_times(path, times, tree="hits"):
    """The same file with another branch, the time of each shower."""
    with uproot.open(path) as file:
        branches = file[tree].arrays()
    columns = {name: branches[name] for name in branches.fields if not name.startswith("n")}
    with uproot.recreate(path) as file:
        file[tree] = {**columns, "time": np.asarray(times, dtype=np.float32)}


def test_simulation_times_are_summed_over_all_files(toy, tmp_path, parts, listener):
    for number, part in enumerate(parts[:2]):
        add_times(part, np.full(50, number + 1.0))
    config = config_of(toy, tmp_path, parts[:2])
    values = config.model_dump()
    values["data"]["sources"][0]["simulation_time"] = "time"

    store = prepare(Config.model_validate(values), listener)

    assert store.manifest.simulation_time() == SimulationTime("time", 100, 1.5)
    assert Store.open(store.folder) == store


def test_naming_the_simulation_time_later_reads_no_showers_again(toy, tmp_path, parts, listener, monkeypatch):
    add_times(parts[0], np.full(50, 3.0))
    config = config_of(toy, tmp_path, parts[:1])
    before = prepare(config, listener)
    values = config.model_dump()
    values["data"]["sources"][0]["simulation_time"] = "time"
    config = Config.model_validate(values)
    monkeypatch.setattr("calogan.data.shards.iterate_chunks", lambda *arguments: pytest.fail("showers were read"))

    after = prepare(config, listener)

    assert before.manifest.simulation_time() is None
    assert after.manifest.simulation_time() == SimulationTime("time", 50, 3.0)
    assert after.digest == before.digest
    monkeypatch.setattr("calogan.stages.prepare.read_simulation_time", lambda *arguments: pytest.fail("read again"))
    assert prepare(config, listener) == after
    assert "up to date" in listener.messages[-1]


def test_a_missing_branch_of_the_simulation_time_is_a_bad_file(toy, tmp_path, parts):
    values = config_of(toy, tmp_path, parts[:1]).model_dump()
    values["data"]["sources"][0]["simulation_time"] = "time"

    with pytest.raises(SchemaError, match="no branch 'time'"):
        prepare(Config.model_validate(values), SilentReporter())
