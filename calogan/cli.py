"""The command line: parse, call one stage, print what came of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import calogan
from calogan.endings import OrderlyGroup
from calogan.errors import ConfigError

if TYPE_CHECKING:
    from calogan.config import Config
    from calogan.progress import Reporter
    from calogan.stages.validate import Verdicts

__all__ = ["app", "main"]

_FAILED = 1


class Split(StrEnum):
    """Showers that a bundle may be compared with; the training showers are not among them."""

    validation = "validation"
    test = "test"


class Protocol(StrEnum):
    """Which classifiers try to tell the samples apart."""

    default = "default"
    calochallenge = "calochallenge"


class Layout(StrEnum):
    """Layouts that are written."""

    dense = "dense"
    hits = "hits"
    positions = "positions"


class Key(StrEnum):
    """What the noise of a shower is keyed by, besides the seed."""

    event = "event"
    entry = "entry"


class Outside(StrEnum):
    """What becomes of particles outside the domain."""

    list = "list"
    refuse = "raise"


app = typer.Typer(
    cls=OrderlyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Calorimeter showers from a conditional WGAN-GP instead of Geant4.",
)

Study = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML configuration of the study.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Replace a value of the configuration; may be repeated."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results, warnings and errors only.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 unless every criterion passes.")]
Full = Annotated[bool, typer.Option("--full", help="More blocks and curves, all showers searched for copies; slow.")]
Weights = Annotated[bool, typer.Option("--weights", help="Also weight showers by their density ratio.")]
Classifiers = Annotated[
    Protocol | None, typer.Option("--protocol", help="Classifiers: of this package, or of the CaloChallenge (slow).")
]


def main() -> None:
    """Run the command line."""
    app(prog_name="calogan")


def _print_version(value: bool) -> None:
    if value:
        print(f"calogan {calogan.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def run(config: Study, set_: Overrides = None, strict: Strict = False, quiet: Quiet = False) -> None:
    """Prepare, train and validate in one run folder.

    Stop it at any instant; the same command goes on from what is there.

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
def prepare(config: Study, set_: Overrides = None, quiet: Quiet = False) -> None:
    """Read and check the files of the full simulation.

    Run again, it reads only the files that are new or changed.

    Example: `calogan prepare configs/demo.yaml`
    """
    from calogan.config import load_config
    from calogan.progress import make_reporter
    from calogan.stages.run import prepare_run

    store = prepare_run(load_config(config, set_ or ()), make_reporter(quiet=quiet))
    counts = ", ".join(f"{count} {split}" for split, count in store.counts().items())
    print(f"prepared showers: {counts}")


@app.command()
def train(config: Study, set_: Overrides = None, quiet: Quiet = False) -> None:
    """Train on the prepared showers and write the bundle.

    SIGTERM, SIGUSR1 and Ctrl-C save and stop with exit code 75; the same command goes on.

    Example: `calogan train configs/demo.yaml --set training.device=cuda`
    """
    from calogan.config import load_config
    from calogan.progress import make_reporter
    from calogan.stages.run import train_run

    print(train_run(load_config(config, set_ or ()), make_reporter(quiet=quiet)))


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
        raise typer.Exit(_FAILED)
    print(decision.registration)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Registered model; all by default.")] = None,
) -> None:
    """List the registered bundles: versions, aliases, verdicts and key figures.

    Reads the MLflow store of `MLFLOW_TRACKING_URI`, by default `sqlite:///mlflow.db`.

    Exit code: 0 listed, also if nothing is registered, 2 there is no such model or store.

    Example: `calogan models calogan-demo`
    """
    from calogan.stages.models import list_models
    from calogan.terminal import print_table

    found = list_models(name)
    if found.rows:
        print_table(found.header, found.rows, found.left)
    if found.note:
        print(found.note)


@app.command()
def generate(
    bundle: Annotated[str, typer.Option(help="Folder of a bundle, name of a shipped one, or models:/NAME@ALIAS.")],
    input: Annotated[list[str], typer.Option(help="ROOT file (or file.root:tree) of particles; may be repeated.")],
    output: Annotated[Path, typer.Option(help="ROOT file to write.")],
    seed: Annotated[int, typer.Option(min=0, help="A shower depends on the seed and its key alone.")],
    tree: Annotated[str | None, typer.Option(help="Tree to read and to write; by default the training data's.")] = None,
    layout: Annotated[
        list[Layout] | None,
        typer.Option(help="Layout to write; by default the training data's. Repeated: a tree for each."),
    ] = None,
    rntuple: Annotated[bool, typer.Option("--rntuple", help="Write an RNTuple instead of a TTree.")] = False,
    branch: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=BRANCH", help="The input's branch of event, pdg, px, py, pz, x or y."),
    ] = None,
    key: Annotated[Key, typer.Option(help="What tells the showers apart: event id, or entry.")] = Key.event,
    pdg: Annotated[
        list[int] | None, typer.Option(help="Particle type to make showers for; by default the training data's.")
    ] = None,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="An entry is an event: sum the showers of its lists of particles.")
    ] = False,
    calorimeter: Annotated[
        Path | None, typer.Option(help="YAML with the layers of a larger calorimeter, to place showers anywhere on.")
    ] = None,
    outside: Annotated[Outside, typer.Option(help="List particles outside the domain, or refuse them.")] = Outside.list,
    workers: Annotated[int, typer.Option(min=1, help="Processes, of one thread each if several.")] = 1,
    part_showers: Annotated[int, typer.Option(min=1, help="Entries in a part; finished parts are kept.")] = 100_000,
    batch_size: Annotated[int, typer.Option(min=1, help="Showers made at a time.")] = 1000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all by default.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it is there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Generate showers for the incident particles of a file, in the schema of the training data.

    Stop it at any instant; the same command goes on from the finished parts in OUTPUT.parts.

    Example: `calogan generate --bundle runs/demo/bundle --input in.root --output out.root --seed 7`
    """
    from calogan.config import load_calorimeter
    from calogan.geometry import Geometry
    from calogan.progress import make_reporter
    from calogan.stages.generate import generate as generate_showers

    generation = generate_showers(
        bundle,
        input,
        output,
        seed=seed,
        tree=tree,
        layout=[one.value for one in layout or ()],
        rntuple=rntuple,
        input_branches=_branches(branch or []),
        key=key.value,
        pdg=pdg or (),
        overlay=overlay,
        calorimeter=None if calorimeter is None else Geometry.from_dict(load_calorimeter(calorimeter).to_dict()),
        outside=outside.value,
        overwrite=overwrite,
        workers=workers,
        part_showers=part_showers,
        batch_size=batch_size,
        device=device,
        threads=threads,
        reporter=make_reporter(quiet=quiet),
    )
    if generation.events is None:
        print(f"{generation.showers} showers, {generation.outside} particles outside the domain")
    else:
        print(f"{generation.events} events, {generation.showers} showers, {generation.outside} particles left")
    print(generation.output)


@app.command()
def export(
    bundle: Annotated[str, typer.Option(help="Folder of a bundle, or the name of a shipped one.")],
    onnx: Annotated[Path | None, typer.Option(help="ONNX graph to write, for ONNX Runtime.")] = None,
    pt2: Annotated[Path | None, typer.Option(help="Archive of torch.export to write.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write a bundle's generator as one file for other programs, compared with the generator before it appears.

    Load an archive of torch.export only if you trust who made it: `torch.export.load` may run code that is in it.

    Example: `calogan export --bundle ecal30-electron --onnx ecal30.onnx`
    """
    from calogan.progress import make_reporter
    from calogan.stages.export import export as export_generator
    from calogan.terminal import print_parity

    print_parity(export_generator(bundle, onnx, pt2, overwrite=overwrite, reporter=make_reporter(quiet=quiet)))


def _overrides(set_: list[str] | None, full: bool, protocol: Protocol | None, weights: bool) -> list[str]:
    wanted = {"full": full, "protocol": protocol.value if protocol else "", "weights": weights}
    return [*(set_ or ()), *(f"validation.{name}={value}" for name, value in wanted.items() if value)]


def _study(path: Path, overrides: list[str]) -> Config:
    """Configuration of a file, or of a run folder wherever it lies now."""
    from calogan.config import load_config

    if path.is_dir():
        return load_config(path / "config.yaml", [f"run_dir={path}", *overrides])
    return load_config(path, overrides)


def _branches(options: list[str]) -> dict[str, str | None]:
    """Names of the input's branches; `event=` says that there is none."""
    named: dict[str, str | None] = {}
    for option in options:
        name, sign, branch = option.partition("=")
        if not sign or not name:
            msg = f"--branch {option}: expected NAME=BRANCH"
            raise ConfigError(msg)
        named[name] = branch or None
    return named


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
        raise typer.Exit(_FAILED)
