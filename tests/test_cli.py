"""Tests of the command line: what it passes on, what it prints, and its exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import calogan
from calogan.cli import app
from calogan.config import load_calorimeter, load_config
from calogan.data.schema import Schema
from calogan.errors import BundleError, StoreError, TrainingInterrupted
from calogan.export import Parity
from calogan.registry import Registration
from calogan.stages.best import Candidate
from calogan.stages.convert import Converted
from calogan.stages.export import Exported
from calogan.stages.generate import Generation
from calogan.stages.models import Models
from calogan.stages.register import Decision
from calogan.stages.runs import Runs, Synced
from calogan.stages.sweep import Outcome as SweepOutcome
from calogan.stages.sweep.ledger import State, Trial
from calogan.validation.criteria import Outcome, Verdict
from calogan.validation.document import Document

DEMO = str(Path(__file__).parent.parent / "configs" / "demo.yaml")
ALONE = ["--set", "beside=null"]
CONVERT = ["convert", "--to", "hits", "-o", "o.root"]
GENERATE = ["--bundle", "b", "--input", "i.root", "--output", "o.root", "--seed", "7"]


@dataclass
class Verdicts:
    """Verdicts as a stage returns them."""

    passed: bool
    report: Path = Path("runs/demo/validation/test/report.html")

    def table(self):
        return [("criterion", "verdict"), ("response", "pass" if self.passed else "fail")]

    def left_out(self):
        return ("... and 3 more of separation power that pass",)

    def types(self):
        return ()

    @property
    def sentence(self):
        return "All 4 criteria pass."


class Stage:
    """Stands for a stage: keeps its arguments and returns or raises what it is told."""

    def __init__(self, result):
        self.result, self.arguments, self.named = result, (), {}

    def __call__(self, *arguments, **named):
        self.arguments, self.named = arguments, named
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


@pytest.fixture
def stage(monkeypatch):
    def replace(target, result):
        fake = Stage(result)
        monkeypatch.setattr(target, fake)
        return fake

    return replace


def calogan_says(*arguments):
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "prepare",
        "train",
        "sweep",
        "validate",
        "weigh",
        "best",
        "compare",
        "register",
        "models",
        "generate",
        "collect",
        "convert",
        "export",
        "inspect",
    ],
)
def test_every_command_has_help_with_an_example(command):
    done = calogan_says(command, "--help")
    assert done.exit_code == 0
    assert f"calogan {command}" in done.stdout.split("Example")[1]


def test_version():
    done = calogan_says("--version")
    assert (done.exit_code, done.stdout) == (0, f"calogan {calogan.__version__}\n")


def test_run_takes_overrides_prints_verdicts_and_ends_with_the_report(stage):
    run = stage("calogan.stages.run.run", Verdicts(passed=True))
    done = calogan_says("run", DEMO, "--set", "training.steps=7", "--set", "seed=3", "--quiet", *ALONE)
    assert done.exit_code == 0, done.stderr
    config = run.arguments[0]
    assert (config.training.steps, config.seed) == (7, 3)
    assert "response" in done.stdout
    assert done.stdout.splitlines()[-3:] == [
        "... and 3 more of separation power that pass",
        "All 4 criteria pass.",
        "runs/demo/validation/test/report.html",
    ]


@pytest.mark.parametrize(
    ("passed", "options", "code"), [(True, ["--strict"], 0), (False, ["--strict"], 1), (False, [], 0)]
)
@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_failed_criterion_is_exit_code_1_only_under_strict(stage, command, passed, options, code):
    stage("calogan.stages.run.run", Verdicts(passed))
    stage("calogan.stages.run.validate_run", Verdicts(passed))
    assert calogan_says(command, DEMO, *options, *ALONE).exit_code == code


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (StoreError("runs/demo: damaged\n  in two lines"), 2, "error: runs/demo: damaged in two lines\n"),
        (TrainingInterrupted("saved at step 9"), 75, "saved at step 9\n"),
        (
            OSError(28, "No space left on device", "r"),
            2,
            "error: r: cannot write: No space left on device; make room and run the same command again\n",
        ),
        (KeyboardInterrupt(), 75, "interrupted: the same command goes on from what is there\n"),
    ],
)
def test_what_stops_a_stage_is_one_line_and_an_exit_code(stage, error, code, text):
    stage("calogan.stages.run.train_run", error)
    done = calogan_says("train", DEMO)
    assert (done.exit_code, done.stderr, done.stdout) == (code, text, "")


def test_a_signal_is_no_error_that_a_library_could_go_on_from(monkeypatch):
    def prepare(config, reporter):
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception:  # noqa: BLE001 - as libraries do
            return SimpleNamespace(counts=dict)

    monkeypatch.setattr("calogan.stages.run.prepare_run", prepare)
    assert calogan_says("prepare", DEMO).exit_code == 75


@pytest.mark.multiprocess
def test_a_second_signal_does_not_change_the_exit_code():
    """It comes while Python ends, after the command."""
    script = """
import atexit, signal
from calogan.cli import main

def stop(*_):
    signal.raise_signal(signal.SIGUSR1)

atexit.register(stop)
import calogan.config
calogan.config.load_config = stop
main()
"""
    done = subprocess.run([sys.executable, "-c", script, "prepare", DEMO], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (75, "stopped by SIGUSR1; run the same command to go on\n")


def test_an_interrupted_comparison_starts_anew(stage):
    stage("calogan.stages.run.validate_run", KeyboardInterrupt())
    done = calogan_says("validate", DEMO)
    assert (done.exit_code, done.stdout) == (130, "")
    assert done.stderr == "interrupted: nothing was written; run the same command again\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_of_the_batch_system_stops_any_stage_in_order(monkeypatch, number):
    def prepare(config, reporter):
        signal.raise_signal(number)

    before = signal.getsignal(number)
    monkeypatch.setattr("calogan.stages.run.prepare_run", prepare)
    done = calogan_says("prepare", DEMO)
    assert (done.exit_code, done.stderr) == (75, f"stopped by {number.name}; run the same command to go on\n")
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(
    ("name", "extra"), [("torch", "train"), ("scipy.special", "train"), ("optuna", "hpo"), ("absent", None)]
)
def test_an_optional_library_that_is_not_installed_is_named(stage, name, extra):
    stage("calogan.stages.run.train_run", ModuleNotFoundError(f"No module named {name!r}", name=name))
    done = calogan_says("train", DEMO)
    if extra is None:
        assert isinstance(done.exception, ModuleNotFoundError)
    else:
        text = f"error: needs {name.split('.')[0]}, which is not installed: pip install 'calogan[{extra}]'\n"
        assert (done.exit_code, done.stderr) == (2, text)


@pytest.mark.multiprocess
@pytest.mark.parametrize("command", ["train", "validate", "weigh"])
def test_the_base_install_says_what_a_stage_needs(tmp_path, command):
    blocked = (
        "import sys; sys.modules |= dict.fromkeys(('torch', 'scipy', 'sklearn', 'matplotlib', 'jinja2', 'mlflow'))"
    )
    script = f"{blocked}; from calogan.cli import main; main()"
    arguments = [command, DEMO, "--set", f"run_dir={tmp_path}/run", "--quiet"]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "pip install 'calogan[train]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_quiet_keeps_warnings(monkeypatch):
    def prepare(config, reporter):
        reporter.message("nobody reads this")
        reporter.warning("left out: bad.root")
        with reporter.task("prepare", 1, "files") as task:
            task.advance()
        return SimpleNamespace(counts=lambda: {"train": 5})

    monkeypatch.setattr("calogan.stages.run.prepare_run", prepare)
    done = calogan_says("prepare", DEMO, "--quiet")
    assert (done.stdout, done.stderr) == ("prepared showers: 5 train\n", "warning: left out: bad.root\n")


def test_a_bug_keeps_its_traceback(stage):
    stage("calogan.stages.run.train_run", ZeroDivisionError("bug"))
    done = calogan_says("train", DEMO)
    assert done.exit_code == 1
    assert isinstance(done.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["prepare", "absent.yaml"], "absent.yaml: cannot read the configuration"),
        (["run", DEMO, "--set", "training.step=7"], "did you mean 'steps'"),
        (["run", DEMO, "--set", "training"], "expected section.key=value"),
        (
            ["prepare", DEMO, "--set", "geometry.layers.0.x={cell: 30, cells: 30, low: 0, high: 1}"],
            "error: "
            + DEMO
            + ": geometry.layers.0.x.cell: unknown key; did you mean 'cells'? There are: 'cells', 'low', 'high'\n",
        ),
        (
            ["prepare", DEMO, "--set", "geometry.layers.0.x=[0, a]"],
            ": geometry.layers.0.x.1: Input should be a valid number",
        ),
        (["generate", *GENERATE, "--branch", "px"], "--branch px: expected NAME=BRANCH"),
        (["validate", DEMO, "--set", f"run_dir={DEMO}/run"], "/run: cannot write the report: Not a directory"),
        (["validate"], "--reference, --generated, --config, --out missing"),
        (["validate", "--reference", "a.root", "--out", "report"], "--generated, --config missing"),
        (["validate", DEMO, "--reference", "a.root"], "not both"),
        (["validate", "--bundle", "ecal30-electron"], "--bundle needs CONFIG"),
        ([*CONVERT, "i.root"], "calogan convert: give --geometry or --config, one of them"),
        ([*CONVERT, "i.root", "--config", DEMO, "--geometry", "g.yaml"], "give --geometry or --config, one of them"),
        ([*CONVERT, "--config", DEMO], "data.sources has several entries, give one of them by --source: 0 (hits), 1"),
        (
            [*CONVERT, "--config", DEMO, "--source", "7"],
            f"--source 7: {DEMO} has 2 entries in data.sources",
        ),
        ([*CONVERT, "--config", DEMO, "--source", "1", "--tree", "T"], "give --config, or --from and --tree, not both"),
        (["export", "--bundle", "ecal30-electron"], "name a file to write, with --onnx, --pt2 or both"),
        (["export", "--bundle", "ecal30-muon", "--onnx", "e.onnx"], "did you mean 'ecal30-electron'"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(arguments, text):
    done = calogan_says(*arguments)
    assert done.exit_code == 2
    assert text in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_training_split_cannot_be_validated():
    assert calogan_says("validate", DEMO, "--split", "train").exit_code == 2


def test_sweep_prints_the_table_what_failed_and_where_the_best_is(stage, tmp_path):
    changes = ["--set", f"run_dir={tmp_path}", "--set", "sweep={trials: 3, parameters: {seed: {low: 1, high: 9}}}"]
    config = load_config(DEMO, changes[1::2])
    trials = [
        Trial(0, State.done, 0.0213, {"seed": 4}, {0: 0.0213}, [], None),
        Trial(1, State.failed, None, {"seed": 5}, {}, [], "training diverged"),
        Trial(2, State.done, 0.0187, {"seed": 6}, {0: 0.0187}, [], None),
    ]
    stage("calogan.stages.sweep.sweep", SweepOutcome.of(config, trials))
    done = calogan_says("sweep", DEMO, *changes)
    assert done.exit_code == 0, done.stderr
    rows = [line.split("│")[1:4] for line in done.stdout.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["0002", "done", "0.0187"],
        ["0000", "done", "0.0213"],
        ["0001", "failed", ""],
    ]
    assert "trial 0001 failed: training diverged" in done.stdout
    assert f"best: trial 0002, physics score 0.0187: {tmp_path}/trials/0002/bundle" in done.stdout


def test_validate_compares_a_split_of_the_study(stage):
    validate = stage("calogan.stages.run.validate_run", Verdicts(passed=True))
    assert calogan_says("validate", DEMO, "--split", "validation", "--force").exit_code == 0
    assert validate.arguments[1] == "validation"
    assert validate.named == {"bundle": None, "force": True}


def test_validate_takes_another_bundle(stage):
    validate = stage("calogan.stages.run.validate_run", Verdicts(passed=True))
    assert calogan_says("validate", DEMO, "--bundle", "ecal30-electron").exit_code == 0
    assert validate.named == {"bundle": "ecal30-electron", "force": False}


def test_options_of_validate_set_the_configuration(stage):
    validate = stage("calogan.stages.run.validate_run", Verdicts(passed=True))
    options = ["--full", "--protocol", "calochallenge", "--weights", "--set", "validation.bootstrap=30"]
    assert calogan_says("validate", DEMO, *options).exit_code == 0
    chosen = validate.arguments[0].validation
    assert (chosen.full, chosen.protocol, chosen.weights, chosen.bootstrap) == (True, "calochallenge", True, 30)
    assert calogan_says("validate", DEMO, "--set", "validation.full=true").exit_code == 0
    chosen = validate.arguments[0].validation
    assert (chosen.full, chosen.protocol, chosen.weights) == (True, "default", False)


def test_validate_compares_two_files(stage):
    validate = stage("calogan.stages.validate.validate_files", Verdicts(passed=True))
    files = ["--reference", "calogan://a.root", "--generated", "https://b.root", "--config", DEMO, "--out", "report"]
    assert calogan_says("validate", *files, "--set", "threshold=0.001", "--force").exit_code == 0
    reference, generated, config, out, _ = validate.arguments
    assert validate.named == {"split": "test", "force": True}
    assert (reference, generated, out) == ("calogan://a.root", "https://b.root", Path("report"))
    assert config.threshold == 0.001


def test_export_prints_what_was_compared(stage):
    parity = Parity(showers=17, cells=15300, difference=2.5e-7, apart=0, flipped=1)
    export = stage("calogan.stages.export.export", [Exported(Path("e.onnx"), (parity,))])
    done = calogan_says("export", "--bundle", "b", "--onnx", "e.onnx", "--overwrite")
    assert done.exit_code == 0
    assert export.arguments == ("b", Path("e.onnx"), None)
    assert export.named["overwrite"]
    row = next(line for line in done.stdout.splitlines() if "e.onnx" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["e.onnx", "17", "15300", "2.5e-07", "0", "1"]


def test_weigh_says_what_the_weights_are_worth(stage):
    values = {"validation_showers": 200, "effective_fraction": 0.9, "mean_separation_excess": [2e-3, 1e-3]}
    values |= {key: {"before": [0.6, 0.01], "after": [0.5, 0.01]} for key in ("high_level_auc", "own_auc")}
    weighed = SimpleNamespace(info=SimpleNamespace(weigher=values), weigher_path=Path("b/weigher.onnx"))
    weigh = stage("calogan.stages.weigh.weigh", weighed)
    done = calogan_says("weigh", DEMO, "--set", "seed=4")
    assert (weigh.arguments[0].seed, weigh.named) == (4, {"bundle": None, "force": False})
    assert done.stdout.splitlines() == [
        "of 200 weighted showers 90.0% are left",
        "AUC of boosted trees on the observables: 0.600 ± 0.010 without, 0.500 ± 0.010 with weights",
        "AUC of the score that the weights come from: 0.600 ± 0.010 without, 0.500 ± 0.010 with weights",
        "mean separation power above its floor: 0.002 without, 0.001 with weights",
        "b/weigher.onnx",
    ]
    assert calogan_says("weigh", DEMO, "--bundle", "b", "--force").exit_code == 0
    assert weigh.named == {"bundle": "b", "force": True}


@pytest.fixture
def reports(tmp_path):
    """Two reports that differ in one criterion, and in the number of showers."""
    for name, outcome, difference, count in (("a", "pass", 0.01, 300), ("b", "fail", 0.09, 400)):
        row = Verdict("response", "all momenta", 1.0, 1.1, difference, 0.01, 0.0, 0.02, 0.03, Outcome(outcome))
        document = Document(f"model {name}", {}, {}, 300, count, 0.0, (row,), (), {}, {})
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(document.to_json())
    return tmp_path


def test_compare_prints_both_reports_and_which_is_nearer(reports):
    done = calogan_says("compare", str(reports / "a"), str(reports / "b" / "report.json"), "--out", str(reports / "c"))
    assert done.exit_code == 0, done.stderr
    assert done.stderr == "warning: number of generated showers: A has 300, B has 400\n"
    (row,) = [line for line in done.stdout.splitlines() if "all momenta" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[1:] == ["pass", "fail", "0.010 ± 0.010", "0.090 ± 0.010", "+5.7 σ", "A"]
    assert done.stdout.splitlines()[-1] == str(reports / "c" / "compare.html")
    assert {path.name for path in (reports / "c").iterdir()} == {"compare.html", "compare.json"}


def test_run_ends_with_the_bundle_that_is_put_beside(stage, reports):
    stage("calogan.stages.run.run", Verdicts(passed=True, report=reports / "a" / "report.html"))
    (reports / "run" / "validation").mkdir(parents=True)
    (reports / "b").rename(reports / "run" / "validation" / "test-other")
    overrides = ["--set", "beside=elsewhere/other", "--set", f"run_dir={reports / 'run'}"]
    done = calogan_says("run", DEMO, *overrides)
    assert done.exit_code == 0, done.stderr
    *_, report, a, b, sentence, page = done.stdout.splitlines()
    assert (a[:3], b[:3]) == ("A: ", "B: ")
    assert "criteria" in sentence
    assert page == str(reports / "run" / "validation" / "side_by_side" / "compare.html")
    assert Path(page).is_file()
    assert report == str(reports / "a" / "report.html")


def test_compare_refuses_what_is_no_report(reports):
    (reports / "b" / "report.json").write_text('{"format": 1}')
    done = calogan_says("compare", str(reports / "a"), str(reports / "b"))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {reports / 'b' / 'report.json'}: is of format 1, this calogan reads format")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ({"difference": "0.3"}, "'0.3' where a number belongs"),
        ({"bound": True}, "True where a number belongs"),
        ({"error": []}, "[] where a number belongs"),
    ],
)
def test_compare_refuses_a_report_with_a_text_where_a_number_belongs(reports, part, value):
    path = reports / "b" / "report.json"
    document = json.loads(path.read_text())
    document["criteria"][0] |= part
    path.write_text(json.dumps(document))
    done = calogan_says("compare", str(reports / "a"), str(reports / "b"))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {path}: damaged")
    assert value in done.stderr
    assert done.stderr.count("\n") == 1


def test_register_names_the_champion_and_what_it_was_before(stage):
    register = stage("calogan.stages.register.register_run", Decision(Registration("mine", "3", "2")))
    done = calogan_says("register", DEMO, "--name", "mine")
    assert (done.exit_code, done.stdout) == (0, "models:/mine@champion is version 3; before it was version 2\n")
    assert (register.arguments[0].name, register.arguments[2]) == ("demo", "mine")
    register.result = Decision(Registration("mine", "3", "3"))
    assert calogan_says("register", DEMO).stdout == "models:/mine@champion is version 3\n"


def test_register_says_what_stands_in_the_way(stage):
    row = Verdict("response", "all momenta", *[0.1] * 7, Outcome.UNDECIDED, "needs about 900 showers")
    stage("calogan.stages.register.register_run", Decision(None, (row,)))
    done = calogan_says("register", DEMO)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "not registered: criteria that stand in the way: 1",
        "  undecided: response, all momenta (needs about 900 showers)",
    ]


def test_models_are_listed_in_a_table_with_what_is_to_be_said_besides(stage):
    header, row = ("model", "version", "verdict"), ("calogan-ecal", "2", "pass")
    models = stage("calogan.stages.models.list_models", Models(header, (row,), (0, 2), "left out: 1 version"))
    done = calogan_says("models", "calogan-ecal")
    assert done.exit_code == 0
    assert models.arguments == ("calogan-ecal",)
    assert [word in done.stdout for word in (*header, *row)] == [True] * 6
    assert done.stdout.splitlines()[-1] == "left out: 1 version"
    models.result = Models(header, (), (0, 2), "no bundle is registered")
    done = calogan_says("models")
    assert (done.exit_code, done.stdout, models.arguments) == (0, "no bundle is registered\n", (None,))
    models.result = BundleError("no registered model 'a'")
    done = calogan_says("models", "a")
    assert (done.exit_code, done.stderr) == (2, "error: no registered model 'a'\n")


def test_register_takes_a_run_folder_wherever_it_lies(stage, tmp_path):
    register = stage("calogan.stages.register.register_run", Decision(Registration("mine", "1", None)))
    (tmp_path / "config.yaml").write_text(load_config(DEMO).to_yaml())
    assert calogan_says("register", str(tmp_path)).exit_code == 0
    assert register.arguments[0].run_dir == tmp_path


def test_register_takes_the_options_of_validate(stage):
    register = stage("calogan.stages.register.register_run", Decision(Registration("mine", "1", None)))
    options = ["--full", "--weights", "--protocol", "calochallenge", "--set", "validation.bootstrap=30"]
    assert calogan_says("register", DEMO, *options).exit_code == 0
    chosen = register.arguments[0].validation
    assert (chosen.full, chosen.protocol, chosen.weights, chosen.bootstrap) == (True, "calochallenge", True, 30)


def test_generate_passes_its_options_on_and_says_what_was_written(stage):
    written = SimpleNamespace(showers=9, outside=1, output=Path("o.root"), events=None)
    generate = stage("calogan.stages.generate.generate", written)
    options = [*GENERATE, "--layout", "hits", "--layout", "dense", "--rntuple", "--pdg", "-11", "--workers", "3"]
    options += ["--seed-by-input"]
    done = calogan_says("generate", *options, "--branch", "px=p_x", "--branch", "event=", "--outside", "raise")
    assert (done.exit_code, done.stdout) == (0, "9 showers, 1 particles outside the domain\no.root\n")
    assert generate.arguments == ("b", ["i.root"], Path("o.root"))
    chosen = {
        "seed": 7,
        "seed_by_input": True,
        "layout": ["hits", "dense"],
        "rntuple": True,
        "outside": "raise",
        "key": "event",
    }
    chosen |= {"batch_size": 1000, "pdg": [-11], "workers": 3, "part_showers": None, "overlay": False}
    assert {name: generate.named[name] for name in chosen} == chosen
    assert generate.named["input_branches"] == {"px": "p_x", "event": None}


def test_generate_says_what_an_overlay_holds(stage):
    written = SimpleNamespace(showers=9, outside=4, output=Path("o.root"), events=3)
    generate = stage("calogan.stages.generate.generate", written)
    done = calogan_says("generate", *GENERATE, "--overlay")
    assert (done.exit_code, done.stdout) == (0, "3 events, 9 showers, 4 particles left\no.root\n")
    assert generate.named["overlay"]


def test_an_interrupted_generation_goes_on(stage):
    stage("calogan.stages.generate.generate", KeyboardInterrupt())
    done = calogan_says("generate", *GENERATE)
    assert (done.exit_code, done.stderr) == (75, "interrupted: the same command goes on from what is there\n")


def test_collect_says_what_is_listed(stage):
    listed = SimpleNamespace(files=(1, 2), bundle="0123456789ab", entries=9, left_out=1)
    collect = stage("calogan.stages.collect.collect", listed)
    done = calogan_says("collect", "a.root", "b.root", "--out", "m.json")
    said = "2 files of bundle 0123456789ab: 9 entries, 1 particles left out\nm.json\n"
    assert (done.exit_code, done.stdout) == (0, said)
    assert collect.arguments == ([Path("a.root"), Path("b.root")], Path("m.json"))


def test_convert_takes_a_description_from_the_configuration(stage):
    convert = stage("calogan.stages.convert.convert", Converted(9, ("hits", "calochallenge"), 3, ("time", "pdg")))
    options = ["--to", "calochallenge", "-o", "o.hdf5", "--config", DEMO, "--source", "0", "--keep", "time"]
    done = calogan_says("convert", *options, "--drop", "pdg", "--drop", "event", "--rntuple", "--overwrite")
    said = "9 showers of 900 cells, hits -> calochallenge\nleft out: time, pdg\nleft out: 3 hits outside of all cells\n"
    assert (done.exit_code, done.stdout) == (0, f"{said}o.hdf5\n")
    study = load_config(DEMO)
    assert convert.arguments[:3] == (study.data.sources[0].files, Path("o.hdf5"), "calochallenge")
    assert convert.arguments[3].n_cells == 900
    chosen = {"drop": ["pdg", "event"], "keep": ["time"], "rntuple": True, "overwrite": True, "tree": None}
    chosen |= {"schema": Schema.from_source(study.data.sources[0]), "source_layout": None}
    assert convert.named == chosen


def test_convert_finds_what_it_needs_in_the_files(stage, tmp_path):
    convert = stage("calogan.stages.convert.convert", Converted(9, ("dense", "hits"), 0, ()))
    (tmp_path / "wall.yaml").write_text("layers: [{x: {cells: 4, low: -40, high: 40}, y: [-10, 0, 10], depth: 122}]")
    options = ["--geometry", str(tmp_path / "wall.yaml"), "--from", "dense", "--tree", "T"]
    done = calogan_says(*CONVERT, "a.root", "b/*.root", *options)
    assert (done.exit_code, done.stdout) == (0, "9 showers of 8 cells, dense -> hits\no.root\n")
    assert convert.arguments[0] == ["a.root", "b/*.root"]
    assert (convert.named["schema"], convert.named["source_layout"], convert.named["tree"]) == (None, "dense", "T")


def test_best_ends_with_the_chosen_run(stage):
    ranking = [Candidate("runs/b", "b0", 1.5, 400, 500, True, 2), Candidate("runs/a", "a0", 2.5, 300, 500, True, 1)]
    choose = stage("calogan.stages.best.choose_best", ranking)
    done = calogan_says("best", "runs/a", "runs/b", "--out", "best.json")
    assert done.exit_code == 0
    *table, last = done.stdout.splitlines()
    assert last == "runs/b"
    assert any("400 of 500" in line and "1.5" in line for line in table)
    assert choose.arguments == ([Path("runs/a"), Path("runs/b")], Path("best.json"))


def test_the_installed_program_refuses_in_one_line(tmp_path):
    command = [sys.executable, "-m", "calogan", "prepare", "absent.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: absent.yaml: cannot read the configuration")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_generate_reads_the_calorimeter_of_a_file(stage, tmp_path):
    generate = stage("calogan.stages.generate.generate", Generation(Path("o.root"), 3, 0, None, None, 1.5))
    wall = tmp_path / "wall.yaml"
    wall.write_text("layers: [{x: {cells: 4, low: -40, high: 40}, y: [-10, 0, 10], depth: 122}]")
    arguments = ["--bundle", "b", "--input", "i.root", "--output", "o.root", "--seed", "7", "--calorimeter"]
    assert calogan_says("generate", *arguments, str(wall)).exit_code == 0
    (layer,) = generate.named["calorimeter"].layers
    assert (layer.rows, layer.columns, layer.depth) == (4, 2, 122.0)
    wall.write_text("layers: [{x: {cells: 4, low: -40, high: 40}, y: [-10, 0, 10], deep: 122}]")
    done = calogan_says("generate", *arguments, str(wall))
    assert done.exit_code == 2
    assert "layers.0.deep: unknown key; did you mean 'depth'?" in done.stderr


@pytest.mark.parametrize(("failed", "code"), [(False, 0), (True, 1)])
def test_runs_sync_prints_a_line_a_run_and_fails_if_something_is_missing(tmp_path, monkeypatch, failed, code):
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "config.yaml").write_text("")
    stage = Stage(iter([Synced(Path("runs/a"), "sent 2 params", failed)]))
    monkeypatch.setattr("calogan.stages.runs.sync_runs", stage)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["runs", "sync"])
    assert (result.exit_code, result.output) == (code, "runs/a: sent 2 params\n")
    assert stage.arguments[0] == [Path("runs/a")]


def test_runs_list_prints_a_table_and_what_to_send(monkeypatch):
    run_id, wide = "0123456789abcdef" * 2, "long/" * 30
    rows = ((wide, wide, wide, run_id, "complete"), ("runs/b", "", "", "", "not sent"))
    runs = Runs(("run folder", "study", "stage", "MLflow run", "record"), rows, (0,), (3,), (Path("runs/b"),))
    monkeypatch.setattr("calogan.stages.runs.find_runs", Stage([]))
    monkeypatch.setattr("calogan.stages.runs.list_runs", Stage(runs))
    result = CliRunner().invoke(app, ["runs", "list", "runs"])
    assert result.exit_code == 0
    assert run_id in result.output
    assert "not sent" in result.output
    assert result.output.endswith("calogan runs sync runs/b\n")


def test_a_place_without_runs_is_one_line():
    result = CliRunner().invoke(app, ["runs", "list", "nowhere"])
    assert result.exit_code == 2
    assert result.output.startswith("error: nowhere: there is no such folder")


def test_geometry_lists_and_writes_cells(tmp_path):
    out = tmp_path / "geometry.yaml"
    result = CliRunner().invoke(app, ["geometry", DEMO, "-o", str(out)])
    assert result.exit_code == 0
    assert "30 x 30" in result.output
    assert "20.2 x 20.2" in result.output
    assert load_calorimeter(out).to_dict() == load_config(DEMO, ALONE[1:]).geometry.to_dict()


def test_geometry_is_found_from_hits(toy):
    result = CliRunner().invoke(app, ["geometry", "--from-hits", str(toy.file("positions")), "--coverage", "0.9"])
    assert result.exit_code == 0
    assert "3 planes" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give SOURCE, or files with --from-hits"),
        ([DEMO, "--from-hits", "a.root"], "and not both"),
        (["--from-hits", "a.root", "--cell-size", "0"], "--cell-size 0: give one size or two"),
        (["--from-hits", "a.root", "--cell-size", "1,2,3"], "--cell-size 1,2,3"),
        (["--from-hits", "a.root", "--cell-size", "x"], "--cell-size x"),
    ],
)
def test_geometry_needs_one_source(arguments, said):
    result = CliRunner().invoke(app, ["geometry", *arguments])
    assert result.exit_code == 2
    assert said in result.output
