"""Commands of a study: from the files of the full simulation to a registered bundle."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calogan.cli.application import FAILED, Overrides, Quiet, Study, app
from calogan.errors import ConfigError

if TYPE_CHECKING:
    from calogan.config import Config
    from calogan.progress import Reporter
    from calogan.stages.validate import Verdicts

__all__ = ["best", "compare", "prepare", "register", "run", "sweep", "train", "validate", "weigh"]


class Split(StrEnum):
    """Showers that a bundle may be compared with; the training showers are not among them."""

    validation = "validation"
    test = "test"


class Protocol(StrEnum):
    """Which classifiers try to tell the samples apart."""

    default = "default"
    calochallenge = "calochallenge"


Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 unless every criterion passes.")]
Full = Annotated[bool, typer.Option("--full", help="More blocks and curves, all showers searched for copies; slow.")]
Weights = Annotated[bool, typer.Option("--weights", help="Also weight showers by their density ratio.")]
Classifiers = Annotated[
    Protocol | None, typer.Option("--protocol", help="Classifiers: of this package, or of the CaloChallenge (slow).")
]


@app.command()
def run(config: Study, set_: Overrides = None, strict: Strict = False, quiet: Quiet = False) -> None:
    """Prepare, train and validate in one run folder.

    Stop it at any instant; the same command goes on from what is there.

    Exit code: 0 done, 1 a criterion does not pass under `--strict`, 2 an error, 75 stopped by a signal (SIGTERM,
    SIGUSR1, Ctrl-C): run it again.

    Example: `calogan run configs/demo.yaml --set training.steps=2000`
    """
    from calogan.config import load_config
    from calogan.progress import make_reporter
    from calogan.stages.run import run as run_stages
    from calogan.terminal import print_verdicts

    study = load_config(config, set_ or ())
    verdicts = run_stages(study, make_reporter(quiet=quiet))
    print_verdicts(verdicts)
    if study.beside is not None:
        from calogan.stages.validate import report_folder

        folder = report_folder(study, "test", study.beside)
        _print_side_by_side(verdicts.report.parent, folder, folder.with_name("side_by_side"), tables=False)
    _fail_unless_passed(verdicts, strict=strict)


@app.command()
def prepare(
    config: Study,
    part: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Read only every N-th file, from the K-th: one of N jobs at the same time."),
    ] = None,
    set_: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Read and check the files of the full simulation.

    Run again, it reads only the files that are new or changed. Many files are read on several nodes with `--part`: run
    all parts in any order, each of which leaves `prepared/parts/K-of-N.json`, then the command without it.

    Exit code: 0 done, 2 an error, 75 stopped by a signal: run it again.

    Example: `calogan prepare configs/demo.yaml`

    Example: `calogan prepare my.yaml --part 2/8`
    """
    from calogan.config import load_config
    from calogan.progress import make_reporter
    from calogan.stages.part import Part
    from calogan.stages.run import prepare_part_run, prepare_run

    study, reporter = load_config(config, set_ or ()), make_reporter(quiet=quiet)
    if part is not None:
        print(prepare_part_run(study, Part.parse(part), reporter))
        return
    store = prepare_run(study, reporter)
    counts = ", ".join(f"{count} {split}" for split, count in store.counts().items())
    print(f"prepared showers: {counts}")


@app.command()
def train(config: Study, set_: Overrides = None, quiet: Quiet = False) -> None:
    """Train on the prepared showers and write the bundle.

    SIGTERM, SIGUSR1 and Ctrl-C save the state and stop; the same command goes on from there. Several GPUs train
    together under `calogan launch`.

    Exit code: 0 done, 2 an error, 75 stopped by a signal: run it again.

    Example: `calogan train configs/demo.yaml --set training.device=cuda`
    """
    from calogan.config import load_config
    from calogan.progress import make_reporter
    from calogan.stages.run import train_run

    bundle = train_run(load_config(config, set_ or ()), make_reporter(quiet=quiet))
    if bundle is not None:
        print(bundle)


@app.command()
def sweep(config: Study, set_: Overrides = None, quiet: Quiet = False) -> None:
    """Train a study with many settings, and keep the best by the physics score on validation showers.

    The section `sweep` of the configuration says what is varied:

        sweep:
          trials: 20
          parameters:
            training.critic_learning_rate: {low: 1.0e-5, high: 1.0e-3, log: true}
            model.latent_size: {choices: [12, 24, 48]}

    Start it as often as there are GPUs, on as many nodes: the processes share the trials. Stop it at any instant; the
    same command goes on. Test showers are not looked at: `calogan run RUN_DIR/best.yaml` validates the best bundle.

    Example: `calogan sweep my.yaml`

    Example: `calogan sweep my.yaml --set sweep.trials=50 --set training.max_minutes=20`

    Example: `srun --ntasks=8 --gpus-per-task=1 calogan sweep my.yaml`
    """
    from calogan.config import load_config
    from calogan.progress import make_reporter
    from calogan.stages.sweep import sweep as run_sweep
    from calogan.terminal import print_sweep

    print_sweep(run_sweep(load_config(config, set_ or ()), make_reporter(quiet=quiet)))


@app.command()
def validate(
    study: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="Configuration of a trained study.", show_default=False)
    ] = None,
    split: Annotated[Split, typer.Option(help="Showers of a prepared folder that are compared.")] = Split.test,
    reference: Annotated[
        str | None, typer.Option(help="Full simulation: ROOT path, glob or URL, or a prepared folder.")
    ] = None,
    generated: Annotated[str | None, typer.Option(help="Showers to compare with them, likewise.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration that describes both samples.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the report on two samples.")] = None,
    bundle: Annotated[
        str | None,
        typer.Option(help="Another bundle than the trained one: a folder, a shipped name, models:/NAME@ALIAS."),
    ] = None,
    set_: Overrides = None,
    strict: Strict = False,
    full: Full = False,
    protocol: Classifiers = None,
    weights: Weights = False,
    force: Annotated[bool, typer.Option("--force", help="Compare again even if a report is there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Compare a trained bundle with held-out showers, or any two samples, and write a report.

    Exit code: 0 done, 1 a criterion does not pass under `--strict`, 2 an error.

    Example: `calogan validate configs/demo.yaml --strict`

    Example: `calogan validate configs/demo.yaml --bundle ecal30-electron`

    Example: `calogan validate --reference A.root --generated B.root --config configs/demo.yaml --out report`
    """
    from calogan.progress import make_reporter

    reporter = make_reporter(quiet=quiet)
    overrides = _overrides(set_, full, protocol, weights)
    files: dict[str, str | Path | None] = {
        "--reference": reference,
        "--generated": generated,
        "--config": config,
        "--out": out,
    }
    if study is None and bundle is not None:
        msg = "calogan validate: --bundle needs CONFIG, whose run folder holds the prepared showers"
        raise ConfigError(msg)
    if study is None:
        verdicts = _validate_files(files, overrides, split, reporter, force=force)
    elif any(files.values()):
        msg = "calogan validate: give CONFIG, or --reference, --generated, --config and --out, not both"
        raise ConfigError(msg)
    else:
        verdicts = _validate_study(study, split, bundle, overrides, reporter, force=force)
    _conclude(verdicts, strict=strict)


@app.command()
def weigh(
    config: Study,
    bundle: Annotated[str | None, typer.Option(help="Folder of another bundle than the trained one.")] = None,
    set_: Overrides = None,
    force: Annotated[bool, typer.Option("--force", help="Learn again even if the bundle has weights.")] = False,
    quiet: Quiet = False,
) -> None:
    """Learn weights that turn a bundle's showers towards the full simulation, and keep them in the bundle.

    They are learnt from the prepared training showers and judged on the validation showers; `sampler.sample(...,
    weights=True)` gives them.

    Example: `calogan weigh configs/demo.yaml`
    """
    from calogan.config import load_config
    from calogan.progress import make_reporter
    from calogan.stages.weigh import summary
    from calogan.stages.weigh import weigh as learn_weights

    weighed = learn_weights(load_config(config, set_ or ()), make_reporter(quiet=quiet), bundle=bundle, force=force)
    for line in summary(weighed.info.weigher or {}):
        print(line)
    print(weighed.weigher_path)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Folder of a report, or its report.json.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The report to compare it with.")],
    out: Annotated[Path | None, typer.Option(help="Folder for a page and a JSON of the comparison.")] = None,
) -> None:
    """Put the reports of two models side by side.

    Example: `calogan compare runs/a/validation/test runs/b/validation/test --out side_by_side`
    """
    _print_side_by_side(first, second, out)


@app.command()
def best(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_DIR...", help="Run folders of trained studies.")],
    out: Annotated[Path, typer.Option(help="JSON to write: the runs, best first.")],
) -> None:
    """Choose among runs on the same showers, by the physics score on the validation showers.

    The test showers have no say in it: compare the chosen run alone with them.

    Example: `calogan best runs/demo/sweep/* --out runs/demo/best.json`
    """
    from calogan.stages.best import choose_best
    from calogan.terminal import print_table

    ranking = choose_best(runs, out)
    rows = [
        (one.run, one.bundle, f"{one.score:.4g}", f"{one.selected_step} of {one.steps}", str(one.seed))
        for one in ranking
    ]
    print_table(("run", "bundle", "score", "step", "seed"), rows, (0, 1))
    print(ranking[0].run)


@app.command()
def register(
    study: Annotated[Path, typer.Argument(metavar="CONFIG", help="Configuration of a study, or its run folder.")],
    name: Annotated[str | None, typer.Option(help="Registered model; calogan-<study> by default.")] = None,
    set_: Overrides = None,
    full: Full = False,
    protocol: Classifiers = None,
    weights: Weights = False,
    quiet: Quiet = False,
) -> None:
    """Make the trained bundle the champion of MLflow's model registry, if its report on the test showers passes.

    Give the same `--set`, `--full`, `--protocol` and `--weights` as to `calogan validate`.

    Exit code: 0 registered, 1 a criterion stands in the way, 2 an error.

    Example: `calogan register configs/demo.yaml`
    """
    from calogan.progress import make_reporter
    from calogan.stages.register import register_run

    config = _study(study, _overrides(set_, full, protocol, weights))
    decision = register_run(config, make_reporter(quiet=quiet), name)
    if decision.registration is None:
        print(f"not registered: criteria that stand in the way: {len(decision.in_the_way)}")
        for row in decision.in_the_way:
            print(f"  {row.outcome.value}: {row.group}, {row.criterion}{row.note and f' ({row.note})'}")
        raise typer.Exit(FAILED)
    print(decision.registration)


def _overrides(set_: list[str] | None, full: bool, protocol: Protocol | None, weights: bool) -> list[str]:
    wanted = {"full": full, "protocol": protocol.value if protocol else "", "weights": weights}
    return [*(set_ or ()), *(f"validation.{name}={value}" for name, value in wanted.items() if value)]


def _study(path: Path, overrides: list[str]) -> Config:
    """Configuration of a file, or of a run folder wherever it lies now."""
    from calogan.config import load_config

    if path.is_dir():
        return load_config(path / "config.yaml", [f"run_dir={path}", *overrides])
    return load_config(path, overrides)


def _validate_study(
    study: Path, split: Split, bundle: str | None, overrides: list[str], reporter: Reporter, *, force: bool
) -> Verdicts:
    from calogan.config import load_config
    from calogan.stages.report_folder import require_writable
    from calogan.stages.run import validate_run

    config = load_config(study, overrides)
    require_writable(config.run_dir)
    return validate_run(config, split.value, reporter, bundle=bundle, force=force)


def _validate_files(
    files: Mapping[str, str | Path | None], overrides: list[str], split: Split, reporter: Reporter, *, force: bool
) -> Verdicts:
    from calogan.config import load_config
    from calogan.stages.validate import validate_files

    given = {name: path for name, path in files.items() if path is not None}
    missing = [name for name in files if name not in given]
    if missing:
        msg = f"calogan validate: give CONFIG, or two samples; {', '.join(missing)} missing"
        raise ConfigError(msg)
    config = load_config(given["--config"], overrides)
    samples = given["--reference"], given["--generated"]
    return validate_files(*samples, config, given["--out"], reporter, split=split.value, force=force)


def _print_side_by_side(first: Path, second: Path, out: Path | None = None, *, tables: bool = True) -> None:
    from calogan.terminal import print_table
    from calogan.validation.document import read_document
    from calogan.validation.side_by_side import put_side_by_side, write_side_by_side

    documents = read_document(first), read_document(second)
    compared = put_side_by_side(*documents)
    for letter, title, tally in zip("AB", compared.titles, compared.tallies, strict=True):
        print(f"{letter}: {title} ({tally})")
    for text in compared.warnings:
        print(f"warning: {text}", file=sys.stderr)
    for table in (compared.criteria_table(), compared.metrics_table(told_apart=True)) if tables else ():
        print_table(table.header, table.rows, table.left, table.caption)
    print(compared.sentence)
    if out is not None:
        figures = [(path if path.is_dir() else path.parent) / "figures" for path in (first, second)]
        print(write_side_by_side(compared, *documents, figures, out))


def _conclude(verdicts: Verdicts, *, strict: bool) -> None:
    from calogan.terminal import print_verdicts

    print_verdicts(verdicts)
    _fail_unless_passed(verdicts, strict=strict)


def _fail_unless_passed(verdicts: Verdicts, *, strict: bool) -> None:
    if strict and not verdicts.passed:
        raise typer.Exit(FAILED)
