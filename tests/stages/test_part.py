"""Parts of the input files, prepared side by side on the shipped showers; then the whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calogan.cli import app
from calogan.config import Config, load_config
from calogan.data import shards as shards_module
from calogan.data.store import Store
from calogan.errors import ConfigError, DataError, StoreError
from calogan.progress import SilentReporter
from calogan.stages import prepare as stage
from calogan.stages.part import Part
from calogan.stages.run import prepare_part_run, prepare_run

DEMO = Path(__file__).parents[2] / "configs" / "demo.yaml"
# Waits, or kills itself, in the middle of the first shard of a part.
WORKER = """
import os, signal, sys, time
from pathlib import Path
from calogan.config import load_config
from calogan.data import npy
from calogan.progress import SilentReporter
from calogan.stages.part import Part
from calogan.stages.run import prepare_part_run
config, part, started, go = sys.argv[1:]
whole = npy.NpyWriter.append
def append(self, rows):
    npy.NpyWriter.append = whole
    whole(self, rows)
    Path(started).touch()
    if not go:
        os.kill(os.getpid(), signal.SIGKILL)
    while not Path(go).exists():
        time.sleep(0.01)
npy.NpyWriter.append = append
prepare_part_run(load_config(config), Part.parse(part), SilentReporter())
"""


@pytest.fixture
def config(tmp_path, shipped):
    """The four shipped files, of both layouts, of which the first two are in one glob."""
    return _config(tmp_path / "run", [f"{shipped}/hits_100[12].root", f"{shipped}/hits_1003.root"], shipped)


def _config(run_dir, hits, shipped):
    values = load_config(DEMO).model_dump()
    dense = [f"{shipped}/dense_1004.root"]
    for source, files in zip(values["data"]["sources"], (hits, dense), strict=True):
        source["files"] = files
    values["data"]["workers"] = 1
    return Config.model_validate({**values, "run_dir": run_dir})


@contextmanager
def _worker(config, tmp_path, part, go):
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    command = [sys.executable, "-c", WORKER, str(path), part, str(tmp_path / "started"), str(go)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        while not (tmp_path / "started").exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()


def _content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in [folder / "manifest.json", *folder.glob("shards/*/*.npy")]
    }


def test_scattered_is_the_same_as_at_once_and_reads_nothing_twice(tmp_path, config, monkeypatch, listener):
    whole = prepare_run(config.model_copy(update={"run_dir": tmp_path / "whole"}), SilentReporter())
    for number in (3, 1, 2):
        path = prepare_part_run(config, Part(number, 3), SilentReporter())
        assert path == config.run_dir / "prepared" / "parts" / f"{number}-of-3.json"
    for name in ("calogan.data.shards.iterate_chunks", "calogan.stages.prepare.read_simulation_time"):
        monkeypatch.setattr(name, lambda *arguments: pytest.fail("read again"))
    monkeypatch.setattr(stage, "fingerprint", lambda file: pytest.fail("read again"))

    store = prepare_run(config, listener)

    assert _content(store.folder) == _content(whole.folder)
    assert listener.messages[0].startswith("prepared 4 files (4 unchanged)")
    assert not list(store.shards.glob(".*"))
    assert load_config(config.run_dir / "config.yaml") == config


def test_a_part_says_what_it_has_made(config, listener):
    path = prepare_part_run(config, Part(1, 3), listener)
    made = json.loads(path.read_text())
    assert [record["source"].rpartition("/")[2] for record in made["shards"]] == ["hits_1001.root", "dense_1004.root"]
    assert made["totals"]["showers"] == 5000
    assert listener.messages == ["part 1/3: prepared 2 of 4 files (0 unchanged)"]
    prepare_part_run(config, Part(1, 3), listener)
    assert listener.messages[1] == "part 1/3: prepared 2 of 4 files (2 unchanged)"
    with pytest.raises(StoreError, match="no prepared showers"):
        Store.open(config.run_dir / "prepared")


def test_more_parts_than_files(config):
    path = prepare_part_run(config, Part(7, 8), SilentReporter())
    assert json.loads(path.read_text())["totals"]["files"] == 0


@pytest.mark.multiprocess
def test_parts_work_beside_each_other_and_beside_nothing_else(tmp_path, config, listener):
    with _worker(config, tmp_path, "1/2", tmp_path / "go") as worker:
        half = list(config.run_dir.glob("prepared/shards/.tmp-1-of-2-*"))
        assert len(half) == 1
        with pytest.raises(StoreError, match=r"run: a part of `calogan prepare` works in this run folder; wait"):
            prepare_run(config, SilentReporter())
        with pytest.raises(StoreError, match=r"process \d+ on .* works in this part 1/2; .* take another part"):
            prepare_part_run(config, Part(1, 2), SilentReporter())
        prepare_part_run(config, Part(2, 2), SilentReporter())
        assert half[0].exists()
        (tmp_path / "go").touch()
        assert worker.wait() == 0
    store = prepare_run(config, listener)
    assert listener.messages[0].startswith("prepared 4 files (4 unchanged)")
    assert sum(store.counts().values()) == 10_000


@pytest.mark.multiprocess
def test_what_a_killed_part_left_goes_when_it_runs_again(tmp_path, config):
    with _worker(config, tmp_path, "1/2", "") as worker:
        assert worker.wait() == -signal.SIGKILL
    shards = config.run_dir / "prepared" / "shards"
    (left,) = shards.iterdir()
    assert not Part(1, 2).manifest(shards.parent).exists()
    prepare_part_run(config, Part(2, 2), SilentReporter())
    assert left.exists()  # it might be a living part's
    prepare_part_run(config, Part(1, 2), SilentReporter())
    assert not left.exists()
    assert len(list(shards.iterdir())) == 4


def test_the_same_file_in_two_parts_at_the_same_time(tmp_path, shipped, monkeypatch):
    """The second part makes the shard while the first reads; the whole then refuses the events."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(shipped / "hits_1001.root", tmp_path / name)
    config = _config(tmp_path / "run", [f"{tmp_path}/a/*.root", f"{tmp_path}/b/*.root"], shipped)
    read = shards_module.iterate_chunks

    def late(*arguments):
        monkeypatch.undo()
        prepare_part_run(config, Part(2, 2), SilentReporter())
        return read(*arguments)

    monkeypatch.setattr(shards_module, "iterate_chunks", late)
    prepare_part_run(config, Part(1, 2), SilentReporter())
    shards = list((config.run_dir / "prepared" / "shards").iterdir())
    assert sorted(shard.name.partition("-")[0] for shard in shards) == ["dense_1004", "hits_1001"]
    with pytest.raises(DataError, match=r"b/hits_1001\.root:hits, entry 0: event \d+ is in .*a/hits_1001\.root"):
        prepare_run(config, SilentReporter())


def test_a_bad_file_stops_its_part_or_is_left_out_and_listed(tmp_path, shipped, listener):
    bad = tmp_path / "hits_0.root"
    bad.write_bytes((shipped / "hits_1001.root").read_bytes()[:-1000])
    config = _config(tmp_path / "run", [str(bad), f"{shipped}/hits_1002.root"], shipped)
    with pytest.raises(DataError, match=r"hits_0\.root: truncated"):
        prepare_part_run(config, Part(1, 3), SilentReporter())
    assert not Part(1, 3).manifest(config.run_dir / "prepared").exists()
    prepare_part_run(config, Part(2, 3), SilentReporter())
    config = Config.model_validate({**config.model_dump(), "data": {**config.data.model_dump(), "on_bad_file": "skip"}})
    path = prepare_part_run(config, Part(1, 3), listener)
    assert [file["source"] for file in json.loads(path.read_text())["skipped"]] == [str(bad)]
    assert "truncated" in listener.warnings[0]
    prepare_part_run(config, Part(3, 3), listener)
    assert [file.source for file in prepare_run(config, listener).manifest.skipped] == [str(bad)]


def test_a_damaged_manifest_of_a_part_loses_nothing(config, listener):
    path = prepare_part_run(config, Part(1, 1), SilentReporter())
    path.write_text('{"format"')
    prepare_run(config, listener)
    assert listener.messages[0].startswith("prepared 4 files (4 unchanged)")


@pytest.mark.parametrize("text", ["0/8", "9/8", "2", "2/", "-1/8", "2/8/3", "two/8", "1/0"])
def test_a_part_that_there_is_not(text):
    with pytest.raises(ConfigError, match=rf"--part {text}: expected K/N with K from 1 to N"):
        Part.parse(text)


def test_every_file_is_in_one_part():
    files = list(range(11))
    shares = [Part(number, 4).share(files) for number in range(1, 5)]
    assert sorted(file for share in shares for file in share) == files
    assert {len(share) for share in shares} == {2, 3}


def test_from_the_command_line(tmp_path, config):
    (tmp_path / "my.yaml").write_text(config.to_yaml())
    result = CliRunner().invoke(app, ["prepare", str(tmp_path / "my.yaml"), "--part", "2/4", "--quiet"])
    assert result.stdout == f"{config.run_dir}/prepared/parts/2-of-4.json\n"
