from __future__ import annotations

import pytest

from calogan.errors import CaloganError
from calogan.progress import SilentReporter
from calogan.stages.report_folder import require_writable, reusable_report
from calogan.validation.document import Document, digest_of


def test_nothing_is_left_in_a_folder_that_can_be_written(tmp_path):
    require_writable(tmp_path / "a" / "b")
    require_writable(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(CaloganError, match=r"file/x: cannot write the report: Not a directory; choose") as refused:
        require_writable(tmp_path / "file" / "x")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"settings": "1", "bundle": "b"}, "is there already for the same showers and settings; --force makes it anew"),
        ({"settings": "2", "bundle": "b"}, "replacing the report made with other settings"),
        ({"settings": "2", "bundle": "c"}, "replacing the report made with other inputs (settings, bundle)"),
    ],
)
def test_it_is_said_what_becomes_of_the_report_that_is_there(tmp_path, inputs, text):
    class Log(SilentReporter):
        def message(self, text):
            lines.append(text)

    lines, known = [], {"settings": "1", "bundle": "b"}
    (tmp_path / "report.json").write_text(Document("t", known, {}, 9, 9, 0.0, (), (), {}, {}).to_json())
    (tmp_path / "report.html").write_text(digest_of(known))

    found = reusable_report(tmp_path, inputs, Log(), force=False)

    assert (found is None) == (inputs != known)
    assert len(lines) == 1
    assert lines[0].endswith(text)


def test_a_folder_without_a_report_is_passed_over(tmp_path):
    assert reusable_report(tmp_path, {}, SilentReporter(), force=False) is None
