"""The lock of a folder: it excludes, also while its holder removes it."""

from __future__ import annotations

import fcntl
import math
import threading
from contextlib import ExitStack

import pytest

from calogan.errors import StoreError
from calogan.progress import SilentReporter
from calogan.stages.lock import LOCK, locked


def hold(folder, **options):
    return locked(folder, "folder", "go away", SilentReporter(), **options)


def test_one_at_a_time(tmp_path):
    with hold(tmp_path), pytest.raises(StoreError, match=r"process \d+ on .* works in this folder; .* go away"):
        hold(tmp_path).__enter__()
    with hold(tmp_path):
        pass


def test_those_that_share_a_folder_keep_others_out(tmp_path):
    with hold(tmp_path), pytest.raises(StoreError, match="works in this folder"):
        hold(tmp_path, sharer="a helper").__enter__()
    with hold(tmp_path, sharer="a helper"), hold(tmp_path, sharer="a helper"):
        with pytest.raises(StoreError, match="a helper works in this folder; wait for it to end or go away"):
            hold(tmp_path).__enter__()
        with hold(tmp_path, name=".another"):
            pass
    with hold(tmp_path):
        pass


def test_a_lock_that_went_away_is_taken_anew(tmp_path, monkeypatch):
    """Its holder removes lock and folder between our opening the file and our lock on it."""
    folder, lock = tmp_path / "work", fcntl.flock

    def late(file, how):
        monkeypatch.undo()
        (folder / LOCK).unlink()
        folder.rmdir()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with hold(folder), pytest.raises(StoreError, match="works in this folder"):
        hold(folder).__enter__()


class Waiting(SilentReporter):
    def __init__(self, end=lambda: None):
        self.said, self._end = [], end

    def message(self, text):
        self.said.append(text)
        self._end()


def test_the_lock_of_a_lost_node_is_waited_for(tmp_path, monkeypatch):
    """A job that was requeued elsewhere comes before the file server has given up the node."""
    monkeypatch.setattr("calogan.stages.lock._PAUSE", 0.01)
    with ExitStack() as node:
        node.enter_context(hold(tmp_path))
        (tmp_path / LOCK).write_text("process 7 on node3\n")
        waiting = Waiting(node.close)
        with locked(tmp_path, "folder", "go away", waiting):
            assert "node3" not in (tmp_path / LOCK).read_text()
    assert waiting.said == [f"{tmp_path}: process 7 on node3 works in this folder; waiting 150 s for it to end"]


def test_a_node_that_works_on_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("calogan.stages.lock._PATIENCE", 0.0)
    monkeypatch.setattr("calogan.stages.lock._PAUSE", 0.01)
    with hold(tmp_path):
        (tmp_path / LOCK).write_text("process 7 on node3\n")
        with pytest.raises(StoreError, match="process 7 on node3 works in this folder; wait for it to end or go away"):
            hold(tmp_path).__enter__()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/work: the folder cannot be written: Not a directory"):
        hold(tmp_path / "file" / "work").__enter__()
    with pytest.raises(StoreError, match=r"file: the folder cannot be written: File exists"):
        hold(tmp_path / "file").__enter__()


def test_who_waits_works_when_the_other_has_ended(tmp_path):
    done = []

    def wait():
        with locked(tmp_path, "folder", "go away", SilentReporter(), patience=math.inf):
            done.append("waited")

    waiting = threading.Thread(target=wait)
    with hold(tmp_path):
        waiting.start()
        waiting.join(0.05)
        done.append("held")
    waiting.join(30)
    assert done == ["held", "waited"]
