from __future__ import annotations

import numpy as np
import pytest

from calogan.data.npy import NpyWriter


@pytest.mark.parametrize("parts", [[], [0], [3], [99_999, 1, 12345]])
def test_appended_rows_are_read_by_numpy(tmp_path, parts):
    rows = np.random.default_rng(0).random((sum(parts), 3), dtype=np.float32)
    with NpyWriter(tmp_path / "a.npy", np.float32, (3,)) as writer:
        for part in np.split(rows, np.cumsum(parts)[:-1]) if parts else []:
            writer.append(part)
    assert np.array_equal(np.load(tmp_path / "a.npy"), rows)


def test_slices_and_other_types_are_converted(tmp_path):
    with NpyWriter(tmp_path / "a.npy", np.int32) as writer:
        writer.append(np.arange(10, dtype=np.int64)[::2])
    assert np.load(tmp_path / "a.npy").tolist() == [0, 2, 4, 6, 8]
