from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

import jsonschema
import numpy as np
import pytest

from calogan.errors import StoreError
from calogan.validation.criteria import Outcome
from calogan.validation.document import FORMAT, plain, read_document, schema


@pytest.fixture(scope="module")
def folder(toy_report):
    return toy_report.report.parent


@pytest.fixture(scope="module")
def values(folder):
    return json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)


def test_every_report_keeps_to_the_schema(values):
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.Draft202012Validator(schema()).validate(values)
    assert schema()["$id"].endswith(f":{FORMAT}")


@pytest.mark.parametrize(
    "change",
    [
        {"format": FORMAT + 1},
        {"verdict": "perhaps"},
        {"criteria": [{"group": "g"}]},
        {"metrics": [{"name": "FPD", "value": "high"}]},
        {"figures": {"FPD of E/p": 1.0}},
        {"figures": {"fpd": None}},
        {"more": 1},
    ],
)
def test_the_schema_refuses_what_is_no_report(values, change):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate({**values, **change})


def test_what_is_not_finite_is_null(values):
    kpd = values["metrics"][1]
    assert [kpd[name] for name in ("value", "error", "floor", "p_value")] == [None] * 4
    assert values["criteria"][0]["reference"] is None


def test_document_comes_back_as_it_was(folder, measured, verdicts):
    document = read_document(folder)

    assert document == read_document(folder / "report.json")
    assert document.metrics[0] == measured.metrics[0]
    assert math.isnan(document.metrics[1].value)
    assert document.metrics[1].p_value is None
    assert [replace(row, reference=0, generated=0) for row in document.criteria] == [
        replace(row, reference=0, generated=0) for row in verdicts
    ]
    assert document.outcome is Outcome.FAIL
    assert (document.reference_count, document.generated_count, document.threshold) == (400, 300, 3e-4)
    assert document.key_pictures == ("response", "b_E_b_2")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "no report there"),
        ("{", "damaged, or not a report"),
        ("[]", "damaged, or not a report"),
        ('{"format": 3}', "damaged, or not a report"),
        ('{"format": 2}', "is of format 2, this calogan reads format 3; make the report again"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(tmp_path, content, text):
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(StoreError, match=text) as refused:
        read_document(tmp_path)
    assert str(tmp_path / "report.json") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_plain_values():
    @dataclass(frozen=True)
    class Study:
        counts: np.ndarray
        names: tuple
        outcome: Outcome
        scale: np.float64

    made = plain({1: Study(np.array([[1, 2]]), ("a", None), Outcome.PASS, np.float64("inf")), "b": np.bool_(True)})

    assert json.loads(json.dumps(made, allow_nan=False)) == {
        "1": {"counts": [[1, 2]], "names": ["a", None], "outcome": "pass", "scale": None},
        "b": True,
    }
