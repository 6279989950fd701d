"""The lock of a folder: it excludes, also while its holder removes it."""

from __future__ import annotations

import fcntl

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


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/work: the folder cannot be written: Not a directory"):
        hold(tmp_path / "file" / "work").__enter__()
    with pytest.raises(StoreError, match=r"file: the folder cannot be written: File exists"):
        hold(tmp_path / "file").__enter__()
