"""Writing files: blocks of a size that memory can hold."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.data.files import InputFile
from calogan.data.root import iterate_entries
from calogan.data.writer import BLOCK, RootWriter, TreeSpec
from calogan.errors import DataError


@pytest.mark.parametrize(
    ("types", "block"),
    [
        ({"n": "int64", "energy": "30 * 30 * float32"}, BLOCK),
        ({"energy": "var * float32"}, BLOCK),
        ({"energy": "200 * 200 * float32"}, 209),
        ({"energy": "10000 * 10000 * float32"}, 1),
    ],
)
def test_blocks_are_of_a_size(types, block):
    assert TreeSpec("t", types).block == block


def test_large_entries_are_written_early(tmp_path):
    spec = TreeSpec("t", {"energy": "1500 * 1500 * float32"})
    written = []
    with RootWriter(tmp_path / "a.root", [spec]) as writer:
        for _ in range(4):
            writer.extend("t", {"energy": np.ones((1, 1500, 1500), dtype=np.float32)})
            written.append((tmp_path / writer._temporary).stat().st_size)
    assert written[2] > written[1]
    chunks = iterate_entries(InputFile(str(tmp_path / "a.root")), "t", ["energy"], 10, lists=False)
    assert sum(chunk.size for chunk in chunks) == 4


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    writer = RootWriter(tmp_path / "file" / "a.root", [TreeSpec("t", {"n": "int64"})], hint="; look there")
    with pytest.raises(DataError, match=r"a\.root: cannot be written: .*; look there"):
        writer.__enter__()
