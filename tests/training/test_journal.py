import json
import math

from calogan.training.journal import Journal


def lines(path):
    values = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(line.pop("time/unix_s") > 1.7e9 for line in values)
    return values


def test_resumed_journal_forgets_what_comes_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    journal = Journal(path)
    for step in (10, 20, 30):
        journal.write(step, {"loss": step / 10})
    with path.open("a") as file:
        file.write('{"step": 40, "lo')  # a kill in the middle of a line
    Journal(path, step=20).write(30, {"loss": 9.0})
    assert lines(path) == [{"step": 10, "loss": 1.0}, {"step": 20, "loss": 2.0}, {"step": 30, "loss": 9.0}]


def test_what_is_not_finite_is_null(tmp_path):
    path = tmp_path / "metrics.jsonl"
    Journal(path).write(1, {"loss": math.nan, "score": math.inf})
    assert lines(path) == [{"step": 1, "loss": None, "score": None}]
