import json
import math

from calogan.tracking.history import TIME, append_line, last_step, read_lines


def test_lines_are_read_back_with_their_times_and_places(tmp_path):
    path = tmp_path / "folder" / "figures.jsonl"
    append_line(path, 3, {"loss": 0.5, "score": math.inf})
    append_line(path, 4, {"loss": 0.25})
    first, second = read_lines(path)
    assert (first.step, first.figures["loss"], second.step, second.figures) == (3, 0.5, 4, {"loss": 0.25})
    assert math.isnan(first.figures["score"])
    assert json.loads(path.read_text().splitlines()[0])[TIME] == first.time / 1000
    assert second.end == path.stat().st_size
    assert list(read_lines(path, first.end)) == [second]
    assert last_step(path) == 4


def test_a_line_that_a_kill_cut_short_is_left_out_and_stays_alone(tmp_path):
    path = tmp_path / "figures.jsonl"
    path.write_text('{"step": 1, "loss": 2.0, "phase": "warmup", "fine": true}\n{"step": 2, "lo')
    assert [(line.step, line.figures) for line in read_lines(path)] == [(1, {"loss": 2.0})]
    append_line(path, 2, {"loss": 1.0})
    assert [(line.step, line.figures) for line in read_lines(path)] == [(1, {"loss": 2.0}), (2, {"loss": 1.0})]


def test_lines_without_a_time_have_that_of_the_file(tmp_path):
    path = tmp_path / "figures.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n')
    (line,) = read_lines(path)
    assert line.time == round(path.stat().st_mtime * 1000)


def test_a_file_that_is_not_there_has_no_lines(tmp_path):
    assert list(read_lines(tmp_path / "none.jsonl")) == []
    assert last_step(tmp_path / "none.jsonl") is None
