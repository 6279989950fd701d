"""Several processes: the same showers, and nothing lost when one of them dies."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager

import numpy as np
import pytest

from calogan.errors import DataError, WorkerError
from calogan.progress import SilentReporter
from calogan.stages.generate import generation
from calogan.stages.generate.folder import WorkFolder

pytestmark = pytest.mark.multiprocess


class Interfering(SilentReporter):
    """Does something once a part is whole."""

    def __init__(self, folder, act):
        self.folder, self.act, self.done = folder, act, 0

    @contextmanager
    def task(self, description, total, unit, completed=0):
        yield self

    def advance(self, count=1, note=""):
        self.done += count
        if list(self.folder.glob("out.root.parts/part-*.json")):
            self.act()


def test_workers_change_nothing(production):
    inputs = [production.particles("a.root"), production.particles("b.root", 40, 1000)]
    whole = production(inputs, "whole.root")
    watcher = Interfering(production.folder, lambda: None)
    spread = production(inputs, workers=2, part_showers=13, reporter=watcher)
    production.assert_close("whole.root", "out.root")
    assert (spread.showers, spread.outside) == (whole.showers, whole.outside)
    assert spread.outside_list.read_bytes() == whole.outside_list.read_bytes()
    assert watcher.done == 100 + 96  # made, and merged without those outside
    assert multiprocessing.active_children() == []


def test_a_dead_worker_is_an_error_and_its_parts_are_kept(production):
    def kill():
        for process in multiprocessing.active_children():
            process.kill()

    source = production.particles(count=400)
    with pytest.raises(WorkerError, match=r"a worker was killed by SIGKILL in part \d+ .* out of memory\?"):
        production(source, workers=2, part_showers=20, reporter=Interfering(production.folder, kill))
    assert multiprocessing.active_children() == []
    parts = list(production.folder.glob("out.root.parts/part-*.json"))
    assert parts
    assert production(source, part_showers=20).showers == 398


def test_a_stop_ends_the_workers_and_keeps_the_parts(production):
    def stop():
        raise KeyboardInterrupt

    source = production.particles(count=400)
    with pytest.raises(KeyboardInterrupt):
        production(source, workers=2, part_showers=20, reporter=Interfering(production.folder, stop))
    assert multiprocessing.active_children() == []
    assert list(production.folder.glob("out.root.parts/part-*.json"))
    assert not list(production.folder.glob("out.root.parts/.*.tmp"))


def test_what_a_worker_refuses_is_told(production, monkeypatch):
    """An input that is cut while the job runs."""
    source = production.particles(count=400)
    fill = generation.make_parts

    def cut(job, parts, folder: WorkFolder, *rest):
        path = production.folder / "in.root"
        path.write_bytes(path.read_bytes()[:500])
        fill(job, parts, folder, *rest)

    monkeypatch.setattr(generation, "make_parts", cut)
    with pytest.raises(DataError, match=r"in\.root: truncated"):
        production(source, workers=2, part_showers=100)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(("count", "workers", "size"), [(60, 1, 60), (61, 2, 31), (3, 8, 1), (0, 4, 1)])
def test_there_is_a_part_for_each_worker(production, monkeypatch, count, workers, size):
    sizes = []
    monkeypatch.setattr(generation, "_fill", lambda job, *_: sizes.append(job.part_showers) or 1 / 0)
    columns = {"event": np.arange(count), "pdg": np.full(count, 11, dtype=np.int32)}
    columns |= {branch: np.zeros(count, dtype=np.float32) for branch in ("px", "py", "pz", "x", "y")}
    source = production.write("in.root", columns)
    with pytest.raises(ZeroDivisionError):
        production(source, workers=workers)
    assert sizes == [size]
