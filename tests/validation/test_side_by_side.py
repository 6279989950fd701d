from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from calogan.errors import StoreError
from calogan.metrics.metric import Metric
from calogan.validation.document import read_document
from calogan.validation.side_by_side import put_side_by_side, write_side_by_side


def metric(name, value, floor=0.1, error=0.03, floor_error=0.04):
    return Metric(name, value, error, floor, floor_error, 400, 300, "")


@pytest.fixture(scope="module")
def first(toy_report):
    document = read_document(toy_report.report.parent)
    return replace(document, title="A <b>", metrics=(metric("near", 0.2), metric("far", 0.9), metric("only A", 0.1)))


@pytest.fixture(scope="module")
def second(first, make_verdict):
    return replace(
        first,
        title="B",
        inputs={**first.inputs, "bundle": "other"},
        metrics=(metric("near", 0.25), metric("far", 0.1), metric("only B", math.nan)),
        criteria=(*first.criteria[:2], make_verdict("occupancy", difference=0.004)),
    )


def test_sigmas_are_those_of_the_difference_of_distances(first, second):
    near, far = put_side_by_side(first, second).metrics

    # each distance from its floor has the error 0.05, their difference 0.05 times the root of 2
    assert near.sigmas == pytest.approx(0.05 / (0.05 * math.sqrt(2)))
    assert far.sigmas == pytest.approx(-0.8 / (0.05 * math.sqrt(2)))
    assert (near.better, far.better) == ("", "B")


def test_criteria_keep_both_verdicts(first, second):
    compared = put_side_by_side(first, second)

    assert [row.outcomes for row in compared.criteria] == [
        ("pass", "pass"),
        ("undecided", "undecided"),
        ("fail", "pass"),
    ]
    assert compared.criteria[2].better == "B"
    assert compared.tallies == ("1 pass, 1 fail, 1 undecided", "2 pass, 0 fail, 1 undecided")
    assert compared.missing == ("only A", "only B")
    assert "Of 2 metrics, A is nearer to the full simulation in 0 and B in 1;" in compared.sentence


def test_reports_that_differ_in_the_model_alone_give_no_warning(first, second):
    assert put_side_by_side(first, second).warnings == ()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"inputs": {"bundle": "x", "split": "test", "data": "other"}}, "data: A has not known, B has other"),
        ({"inputs": {"split": "validation"}}, "split: A has test, B has validation"),
        (
            {"inputs": {"split": "test", "settings": "f" * 64}},
            "A and B were made with other settings (validation, threshold)",
        ),
        ({"inputs": {"split": "test", "data": "0123456789abcdef" * 4}}, "data: A has not known, B has 01234567"),
        ({"threshold": 1e-3}, r"threshold [GeV]: A has 0.0003, B has 0.001"),
        ({"reference_count": 500}, "number of reference showers: A has 400, B has 500"),
        ({"generated_count": 500}, "number of generated showers: A has 300, B has 500"),
    ],
)
def test_reports_of_another_kind_give_a_warning(first, second, change, text):
    assert put_side_by_side(first, replace(second, **change)).warnings == (text,)


def test_two_files_of_other_models_give_no_warning(first):
    inputs = {"digest of the reference": "a", "generated files": "x.root", "digest of the generated": "b"}
    other = inputs | {"generated files": "y.root", "digest of the generated": "c"}

    assert put_side_by_side(replace(first, inputs=inputs), replace(first, inputs=other)).warnings == ()


@pytest.mark.parametrize("name", ["../../secret/figures/x", "/etc/x", "a.b", "", "x\n"])
def test_a_figure_of_another_folder_is_never_read(first, second, tmp_path, name):
    secret = tmp_path / "secret" / "figures"
    secret.mkdir(parents=True)
    (secret / "x.png").write_bytes(b"private")
    hostile = replace(first, key_pictures=(name,), pictures={name: "title"})
    figures = tmp_path / "one" / "figures"
    figures.mkdir(parents=True)

    with pytest.raises(StoreError, match="is no name of a figure") as refused:
        write_side_by_side(put_side_by_side(hostile, hostile), hostile, hostile, (figures, figures), tmp_path / "out")
    assert repr(name) in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_value_that_could_not_be_measured_is_nobodys_win(first):
    unknown = replace(first, metrics=(metric("near", math.nan), metric("far", 0.1, error=0.0, floor_error=0.0)))
    compared = put_side_by_side(unknown, unknown)

    assert [row.better for row in compared.metrics] == ["", ""]
    assert compared.metrics_table(told_apart=True).rows == ()
    assert compared.metrics_table().rows[0][5] == "–"


def test_page_and_numbers_are_written(first, second, toy_report, tmp_path):
    figures = toy_report.report.parent / "figures"
    warned = replace(second, threshold=1e-3)
    compared = put_side_by_side(first, warned)

    page = write_side_by_side(compared, first, warned, (figures, figures), tmp_path).read_text()

    numbers = json.loads((tmp_path / "compare.json").read_text(), parse_constant=pytest.fail)
    assert numbers["metrics"][1]["sigmas"] == compared.metrics[1].sigmas
    assert page.count("<img ") == 4  # two key figures of each
    assert page.index("A: response of both samples") < page.index("B: response of both samples")
    assert page.index('class="warning"') < page.index("<table")
    assert "A: A &lt;b&gt; · B: B" in page


def test_figures_of_one_report_alone_are_left_out(first, second, toy_report, tmp_path):
    figures = toy_report.report.parent / "figures"

    page = write_side_by_side(put_side_by_side(first, second), first, second, (figures, tmp_path / "none"), tmp_path)

    assert "<img " not in page.read_text()
