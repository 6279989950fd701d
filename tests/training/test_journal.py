import json
import math

import pytest

from calogan.errors import TrainingError
from calogan.progress import SilentReporter
from calogan.training.journal import Journal


class Warnings(SilentReporter):
    def __init__(self):
        self.lines = []

    def warning(self, text):
        self.lines.append(text)


def lines(path):
    values = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(line.pop("time/unix_s") > 1.7e9 for line in values)
    return values


def test_resumed_journal_forgets_what_comes_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    journal = Journal(path, 0, SilentReporter())
    for step in (10, 20, 30):
        journal.write(step, {"loss": step / 10})
    with path.open("a") as file:
        file.write('{"step": 40, "lo')  # a kill in the middle of a line
    Journal(path, 20, SilentReporter()).write(30, {"loss": 9.0})
    assert lines(path) == [{"step": 10, "loss": 1.0}, {"step": 20, "loss": 2.0}, {"step": 30, "loss": 9.0}]


def test_what_is_not_finite_is_null(tmp_path):
    path = tmp_path / "metrics.jsonl"
    Journal(path, 0, SilentReporter()).write(1, {"loss": math.nan, "score": math.inf})
    assert lines(path) == [{"step": 1, "loss": None, "score": None}]


def test_lines_that_find_no_room_wait_for_it(tmp_path, files_of_at_most):
    path, warnings = tmp_path / "metrics.jsonl", Warnings()
    journal = Journal(path, 0, warnings)
    journal.write(1, {"loss": 1.0})
    with files_of_at_most(path.stat().st_size + 10):  # a part of a line fits
        journal.write(2, {"loss": 2.0})
        journal.write(3, {"loss": 3.0})
        assert lines(path) == [{"step": 1, "loss": 1.0}]
        with pytest.raises(TrainingError, match=r"the last 2 lines cannot be written \(File too large\)"):
            journal.finish()
    assert [line.count("its lines wait") for line in warnings.lines] == [1]
    journal.write(4, {"loss": 4.0})
    assert [line["step"] for line in lines(path)] == [1, 2, 3, 4]
    journal.finish()
