from __future__ import annotations

import pytest

from calogan.atomic import write_atomically, write_durably


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "file"
    for content in (b"first", b"second"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_what_finds_no_room_leaves_the_former_file_and_nothing_else(tmp_path, files_of_at_most):
    path = tmp_path / "file"
    write_atomically(path, b"first")
    with files_of_at_most(100):
        with pytest.raises(OSError, match="File too large"):
            write_atomically(path, bytes(1000))
        with pytest.raises(OSError, match="File too large"):
            write_durably(tmp_path / "other", bytes(60), memoryview(bytes(60)))
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
