from __future__ import annotations

from pathlib import Path

from calogan.metrics.metric import Metric
from calogan.validation.criteria import Outcome
from calogan.validation.summary import Verdicts, figures_of, obstacles, sentence, tally


def test_sentence_says_what_the_verdict_means(make_verdict):
    good, open_, bad = (make_verdict(outcome, outcome) for outcome in ("pass", "undecided", "fail"))

    assert sentence([good, good]).startswith("All 2 criteria pass")
    assert sentence([good, open_]).startswith("No criterion fails, but 1 of 2 criteria cannot be decided")
    assert "1 of 3 criteria fails; 1 more cannot be decided" in sentence([good, open_, bad])
    assert "2 of 2 criteria fail." in sentence([bad, bad])
    assert tally([good, open_, bad, bad]) == "1 pass, 2 fail, 1 undecided"


def test_obstacles_name_the_first_few(make_verdict):
    rows = [make_verdict(f"c{number}", "fail") for number in range(8)]

    assert obstacles(rows, Outcome.FAIL).endswith("separation power: c5 and 2 more")
    assert obstacles(rows, Outcome.UNDECIDED) == ""


def test_table_of_a_large_group_shows_its_worst_and_what_does_not_pass(make_verdict):
    rows = (
        make_verdict("alone", group="response"),
        *(make_verdict(f"c{number}", difference=0.02 + 0.001 * number) for number in range(6)),
        make_verdict("open", "undecided"),
    )

    header, *shown = Verdicts(rows, {}, 100, Path("report.html")).table()

    assert all(len(row) == len(header) for row in shown)
    assert [row[0].split(": ")[1] for row in shown] == ["alone", "c5", "open"]
    left_out = Verdicts(rows, {}, 100, Path("report.html")).left_out()
    assert left_out == ("... and 5 more of separation power that pass",)
    assert Verdicts(rows[:3], {}, 100, Path("report.html")).left_out() == ()


def test_each_particle_type_has_its_verdict(make_verdict):
    rows = (
        make_verdict("width_x"),
        make_verdict("width_x", "undecided", group="e- · separation power"),
        make_verdict("width_x", "fail", group="gamma · separation power"),
        make_verdict("response, all momenta", group="gamma · response: relative difference"),
    )
    verdicts = Verdicts(rows, {}, 100, Path("report.html"))

    assert verdicts.outcomes == {"e-": Outcome.UNDECIDED, "gamma": Outcome.FAIL}
    assert verdicts.types() == (
        "e-: undecided (0 pass, 0 fail, 1 undecided)",
        "gamma: fail (1 pass, 1 fail, 0 undecided)",
    )
    assert not verdicts.passed
    assert obstacles(rows, Outcome.FAIL) == "gamma · separation power: width_x"
    assert [row[0] for row in verdicts.table()[1:]][-1] == "gamma · response, all momenta"
    assert Verdicts(rows[:1], {}, 100, Path("report.html")).types() == ()


def test_figures_of_a_particle_and_its_antiparticle_have_names_of_their_own():
    metrics = [Metric(f"{name} · KS", 0.1, 0.01, 0.0, 0.0, 9, 9, "") for name in ("e-", "e+", "p", "p~", "pdg -1")]

    names = [name for name in figures_of(metrics) if not name.endswith("_floor")]

    assert names == ["e_minus_ks", "e_plus_ks", "p_ks", "p_anti_ks", "pdg_minus1_ks"]


def test_tags_of_a_run(make_verdict):
    verdicts = Verdicts((make_verdict("a"), make_verdict("b", "fail")), {}, 100, Path("report.html"))

    assert verdicts.tags("test") == {"calogan.verdict": "fail", "calogan.verdict.tally": "1 pass, 1 fail, 0 undecided"}
    assert verdicts.tags("validation")["calogan.verdict.validation"] == "fail"
    assert not verdicts.passed
