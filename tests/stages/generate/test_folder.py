"""Parts of a job: the same showers however the work is cut, and a run that was stopped at any instant goes on."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import resource
import shutil
import signal
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from calogan.data.reading import read_provenance
from calogan.errors import DataError, DomainError, StoreError
from calogan.progress import SilentReporter
from calogan.sampler import load_sampler
from calogan.stages.generate import generate, workers
from calogan.stages.generate import generation as generation_module


class Watcher(SilentReporter):
    """Calls a function with the number of entries that are done."""

    def __init__(self, watch):
        self.watch, self.done, self.notes, self.warnings = watch, 0, [], []

    def warning(self, text):
        self.warnings.append(text)

    @contextmanager
    def task(self, description, total, unit, completed=0):
        self.done = completed
        yield self

    def advance(self, count=1, note=""):
        self.done += count
        self.notes.append(note)
        self.watch(self.done)


def stop_at(count):
    def watch(done):
        if done >= count:
            raise KeyboardInterrupt

    return Watcher(watch)


@pytest.fixture
def made(monkeypatch):
    """Numbers of the parts that are made."""
    numbers, make = [], workers.make_part

    def note(job, part, *rest):
        numbers.append(part.number)
        return make(job, part, *rest)

    monkeypatch.setattr(workers, "make_part", note)
    return numbers


@pytest.mark.parametrize("part_showers", [25, 60])
@pytest.mark.parametrize("rntuple", [False, True])
def test_the_size_of_the_parts_changes_nothing(production, part_showers, rntuple):
    inputs = [production.particles("a.root"), production.particles("b.root", 17 + 20, 1000)]
    whole = production(inputs, "whole.root", rntuple=rntuple)
    cut = production(inputs, "cut.root", rntuple=rntuple, part_showers=part_showers)
    production.assert_close("whole.root", "cut.root")
    assert (whole.showers, whole.outside) == (cut.showers, cut.outside) == (93, 4)
    assert whole.outside_list.read_bytes() == cut.outside_list.read_bytes()
    records = [read_provenance(path) for path in (whole.output, cut.output)]
    assert records[0] == records[1]
    assert not any(name.endswith(".parts") for name in production.names)


def test_the_key_counts_entries_over_parts_and_files(production):
    inputs = [production.particles("a.root"), production.particles("b.root")]
    production(inputs, "whole.root", key="entry")
    production(inputs, "cut.root", key="entry", part_showers=11)
    production.assert_close("whole.root", "cut.root")


def test_a_stopped_run_goes_on_from_its_parts(production, made):
    source = production.particles()
    production(source, "whole.root", part_showers=10, chunk_showers=4)
    made.clear()
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=10, chunk_showers=4, reporter=stop_at(24))
    assert made == [0, 1, 2]
    assert not (production.folder / "out.root").exists()
    assert not list((production.folder / "out.root.parts").glob("*00002*"))
    made.clear()
    production(source, part_showers=10, chunk_showers=4)
    assert made == [2, 3, 4, 5]
    production.assert_same("whole.root", "out.root")
    assert "out.root.parts" not in production.names


def test_progress_goes_on_where_it_was(production):
    source = production.particles()
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=10, reporter=stop_at(20))
    watcher = Watcher(lambda done: None)
    production(source, part_showers=10, reporter=watcher)
    assert watcher.notes[0] == "1 outside the domain"  # of the first part, which was there
    assert watcher.notes[4] == "2 outside the domain"


@pytest.mark.parametrize("name", ["part-00000.root", "part-00000.csv", "part-00000.json"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-9] + b"123456789")])
def test_a_damaged_part_is_made_anew(production, made, name, damage):
    source = production.particles()
    production(source, "whole.root", part_showers=20)
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=20, reporter=stop_at(60))
    damage(production.folder / "out.root.parts" / name)
    made.clear()
    result = production(source, part_showers=20)
    assert made[0] == 0
    assert made[-1] == 2
    production.assert_same("whole.root", "out.root")
    assert result.outside_list.read_text() == (production.folder / "whole.root.outside.csv").read_text()


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"seed": 8}, "seed"),
        ({"key": "entry"}, "key"),
        ({"layout": "dense"}, "trees"),
        ({"rntuple": True}, "rntuple"),
        ({"part_showers": 21}, "part_showers"),
        ({"pdg": [22]}, "pdg"),
    ],
)
def test_parts_of_another_job_are_refused(production, changed, name):
    source = production.particles()
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=20, reporter=stop_at(50))
    with pytest.raises(StoreError, match=rf"out\.root\.parts: holds finished parts .* other settings \({name}\)"):
        production(source, **{"part_showers": 20, **changed})
    assert production(source, part_showers=20).showers == 58


def test_parts_of_another_placement_or_domain_are_refused(production):
    source = production.particles()
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=20, reporter=stop_at(50))
    cells = load_sampler(production.bundle).geometry  # the very same, but showers are moved
    with pytest.raises(StoreError, match=r"other settings \((domain, )?moved\)"):
        production(source, part_showers=20, calorimeter=cells)
    copy = replace(production, bundle=shutil.copytree(production.bundle, production.folder / "bundle"))
    described = json.loads((copy.bundle / "bundle.json").read_text())
    described["domain"]["momentum"] = [2.0, 3.0]
    (copy.bundle / "bundle.json").write_text(json.dumps(described))
    with pytest.raises(StoreError, match=r"other settings \((bundle, )?domain\)"):
        copy(source, part_showers=20)


def test_parts_of_changed_inputs_are_refused(production):
    source = production.particles()
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=20, reporter=stop_at(50))
    production.particles(first=200)
    with pytest.raises(StoreError, match=r"other settings \(inputs\)"):
        production(source, part_showers=20)


def test_without_a_finished_part_another_job_may_begin(production):
    source = production.particles()
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=40, reporter=stop_at(1))
    assert production.names == ["in.root"]
    assert production(source, seed=8).showers == 58


def test_a_refused_particle_stops_the_job_before_its_first_part(production, made):
    with pytest.raises(DomainError, match="entry 5"):
        production(production.particles(), part_showers=2, outside="raise")
    assert made == []
    assert production.names == ["in.root"]


@pytest.mark.parametrize("moved", ["outside.csv", "merged.root", "nothing"])
def test_a_run_stopped_while_the_output_is_placed_goes_on(production, monkeypatch, moved, made):
    source, move = production.particles(), Path.replace
    production(source, "whole.root", part_showers=30)

    def replace(path, to):
        done = move(path, to)
        if path.name == moved:
            raise KeyboardInterrupt
        return done

    def unlink(path, missing_ok=False):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", replace)
    if moved == "nothing":  # nor removed: all is in its place
        monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=30)
    assert "out.root.parts" in production.names
    monkeypatch.undo()
    expected = production(source, "again.root")
    result = production(source, part_showers=30)
    production.assert_same("whole.root", "out.root")
    assert (result.showers, result.outside) == (expected.showers, expected.outside) == (58, 2)
    assert result.outside_list.read_text() == expected.outside_list.read_text()
    assert "out.root.parts" not in production.names


@pytest.fixture
def placed(production, monkeypatch):
    """A job of 60 particles that was killed with its output in its place."""
    source, unlink = production.particles(), Path.unlink

    def stop(path, missing_ok=False):
        if path.name.startswith("part-00001."):
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    production(source, part_showers=60)
    (production.folder / "out.root").unlink()
    (production.folder / "out.root.outside.csv").unlink()
    place = generation_module.WorkFolder.place

    def place_and_die(folder):
        place(folder)
        monkeypatch.setattr(Path, "unlink", stop)

    monkeypatch.setattr(generation_module.WorkFolder, "place", place_and_die)
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=30)
    monkeypatch.undo()
    assert (production.folder / "out.root.parts" / "job.json").exists()
    return source


def test_a_placed_output_that_went_away_is_made_again(production, placed):
    (production.folder / "out.root").unlink()
    (production.folder / "out.root.outside.csv").unlink()
    assert production(placed, part_showers=30).showers == 58
    assert len(production.read()["event"]) == 58
    assert "out.root.parts" not in production.names


def test_another_job_may_follow_one_that_is_placed(production, placed):
    with pytest.raises(DataError, match="exists already"):
        production(placed, part_showers=30, seed=8)
    assert production(placed, part_showers=30, seed=8, overwrite=True).showers == 58
    assert read_provenance(production.folder / "out.root")["seed"] == "8"


def test_an_output_that_appeared_meanwhile_is_kept(production):
    source = production.particles()
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=20, reporter=stop_at(50))
    (production.folder / "out.root").write_text("precious")
    with pytest.raises(DataError, match="exists already"):
        production(source, part_showers=20)
    assert (production.folder / "out.root").read_text() == "precious"
    assert production(source, part_showers=20, overwrite=True).showers == 58


@pytest.mark.parametrize("name", ["mine.txt", "part-00000.root", "part-a.root", "merged.root", "outside.csv"])
def test_a_folder_of_other_files_is_refused(production, name):
    parts = production.folder / "out.root.parts"
    parts.mkdir()
    (parts / name).write_text("precious")
    with pytest.raises(StoreError, match=rf"out\.root\.parts: holds '{name}' and is no work folder of calogan"):
        production(production.particles())
    assert [path.name for path in parts.iterdir()] == [name]
    assert (parts / name).read_text() == "precious"


def test_files_of_others_stay_in_the_folder(production):
    source, parts = production.particles(), production.folder / "out.root.parts"
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=20, reporter=stop_at(50))
    for name in ("mine.txt", "part-mine.root"):
        (parts / name).write_text("precious")
    production(source, part_showers=20)
    assert sorted(path.name for path in parts.iterdir()) == ["mine.txt", "part-mine.root"]


def test_a_damaged_record_is_told(production):
    source = production.particles()
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=20, reporter=stop_at(50))
    (production.folder / "out.root.parts" / "job.json").write_text("{")
    with pytest.raises(StoreError, match=r"job\.json: is damaged; remove the folder"):
        production(source, part_showers=20)


def test_inputs_in_the_work_folder(production):
    source = production.particles()
    with pytest.raises(KeyboardInterrupt):
        production(source, part_showers=20, reporter=stop_at(50))
    part = production.folder / "out.root.parts" / "part-00000.root"
    with pytest.raises(DataError, match=r"part-00000\.root: lies in .*out\.root\.parts"):
        production([source, str(part)], part_showers=20)
    assert part.exists()
    watcher = Watcher(lambda done: None)
    assert production(str(production.folder / "**" / "*.root"), part_showers=20, reporter=watcher).showers == 58
    assert "2 files in" in watcher.warnings[0]


@contextmanager
def full_disk(size):
    """Files cannot grow beyond a size [bytes]."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("workers_asked", [1, pytest.param(2, marks=pytest.mark.multiprocess)])
def test_a_full_disk_is_told(production, workers_asked):
    source = production.particles()
    message = r"part-0000\d\.root: cannot be written: File too large; the same command goes on"
    with full_disk(12_000), pytest.raises(DataError, match=message):
        production(source, part_showers=30, workers=workers_asked)
    assert "out.root" not in production.names
    assert production(source, part_showers=30).showers == 58


def test_a_full_disk_at_the_list_or_the_record_is_told(production):
    source = production.particles()
    with full_disk(100), pytest.raises(StoreError, match=r"job\.json: cannot be written: File too large"):
        production(source)


@pytest.mark.parametrize("blocked", ["out.root.parts", "file"])
def test_a_place_that_cannot_be_written_is_told(production, blocked):
    source = production.particles()
    (production.folder / blocked).write_text("")
    with pytest.raises(StoreError, match=r"out\.root\.parts: the work folder cannot be written: (File|Not)"):
        production(source, "file/out.root" if blocked == "file" else "out.root", overwrite=True)


def test_the_merge_of_one_part_is_counted(production):
    watcher = Watcher(lambda done: None)
    production(production.particles(), reporter=watcher)
    assert watcher.done == 58  # of the merge, the last task


def test_a_link_stays_and_names_the_output(production):
    (production.folder / "disk").mkdir()
    (production.folder / "out.root").symlink_to(production.folder / "disk" / "real.root")
    result = production(production.particles())
    assert (production.folder / "out.root").is_symlink()
    assert result.output == production.folder / "disk" / "real.root"
    assert production.read()["event"].tolist()[:2] == [100, 101]


def test_a_list_that_is_there_is_kept(production):
    listed = production.folder / "out.root.outside.csv"
    listed.write_text("precious")
    with pytest.raises(DataError, match=r"out\.root\.outside\.csv: exists already"):
        production(production.particles())
    assert listed.read_text() == "precious"
    assert production(production.particles(), overwrite=True).outside == 2
    assert listed.read_text() != "precious"


def test_one_process_at_a_time(production):
    folder = production.folder / "out.root.parts"
    folder.mkdir()
    with (folder / ".lock").open("w") as lock:
        lock.write("process 1 on host\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match=r"process 1 on host works in this work folder; .* give another output"):
            production(production.particles())


def generate_until_killed(bundle, source, output):
    def watch(done):
        if done > 20:
            threading.Event().wait()

    generate(bundle, [source], output, seed=7, threads=1, part_showers=20, chunk_showers=5, reporter=Watcher(watch))


@pytest.mark.multiprocess
def test_a_killed_run_goes_on_from_its_parts(production, made):
    """The process is killed in the middle of its second part, whose unfinished file is there."""
    source = production.particles()
    output, parts = production.folder / "out.root", production.folder / "out.root.parts"
    arguments = production.bundle, source, output
    process = multiprocessing.get_context("spawn").Process(target=generate_until_killed, args=arguments)
    process.start()
    while not list(parts.glob(".part-00001.root.*")):
        assert process.is_alive()
        process.join(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (parts / "part-00000.json").exists()
    assert not output.exists()
    production(source, part_showers=20, chunk_showers=5)
    assert made == [1, 2]
    production(source, "whole.root", part_showers=20, chunk_showers=5)
    production.assert_same("whole.root", "out.root")
    assert not parts.exists()
