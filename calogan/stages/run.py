"""The whole chain in one run folder, which one process at a time writes and the same command resumes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from calogan.atomic import write_atomically
from calogan.bundle import Bundle
from calogan.config import Config, TrainingConfig, load_config
from calogan.data.store import Store
from calogan.errors import ConfigError, StoreError
from calogan.progress import Reporter, SilentReporter
from calogan.stages.lock import locked
from calogan.tracking import NullTracker, Tracker, gpu_driver, tracked

if TYPE_CHECKING:
    from calogan.stages.part import Part
    from calogan.stages.validate import Verdicts
    from calogan.training.distributed import Group

__all__ = ["prepare_part_run", "prepare_run", "run", "run_folder", "train_held", "train_run", "validate_run"]

# What may change between two commands on one run folder: none of it changes the prepared data or the model. Files may
# move; whether they hold the same showers is told by their checksums.
_FREE = (
    "name",
    "run_dir",
    "beside",
    "tracking",
    "validation",
    "sweep",
    "data.workers",
    "data.chunk_showers",
    *(f"training.{name}" for name in sorted(TrainingConfig.FREE)),
)
# What is not to be mixed with that of another configuration.
_RESULTS = ("train/checkpoint.pt", "train/checkpoint.previous.pt", "bundle/bundle.json", "trials")
_MOST_NAMED = 6


def run(config: Config, reporter: Reporter) -> Verdicts:
    """Prepare, train and validate on the test split; what is there already is not done again.

    With `config.beside`, that bundle is then compared with the same showers.

    Raises:
        ConfigError: The model does not go with the geometry, or the bundle to be put beside is for other cells or
            another threshold; said before anything is done.
        StoreError: Another process works in the run folder, or it holds results of another configuration.
        CaloganError: A stage cannot do its work; the message says why.
    """
    from calogan.stages.train import require_model

    require_model(config)
    _require_one_process()
    if config.beside is not None:
        from calogan.stages.validate import require_bundle

        require_bundle(config, config.beside)
    with run_folder(config, reporter), tracked(config, reporter) as tracker:
        _prepare(config, reporter)
        train_held(config, reporter, tracker)
        verdicts = _validate(config, "test", reporter, tracker)
        if config.beside is not None:
            _validate_other(config, "test", config.beside, reporter)
        return verdicts


def prepare_run(config: Config, reporter: Reporter) -> Store:
    """Read and check the files of the full simulation; needs neither torch nor MLflow."""
    with run_folder(config, reporter):
        return _prepare(config, reporter)


def prepare_part_run(config: Config, part: Part, reporter: Reporter) -> Path:
    """Make the shards of a share of the files, beside other parts but no other command; returns the part's manifest."""
    from calogan.stages.prepare import prepare_part

    with run_folder(config, reporter, sharer="a part of `calogan prepare`"):
        return prepare_part(config, part, reporter)


def train_run(config: Config, reporter: Reporter) -> Path | None:
    """Train on the prepared showers.

    Of several processes, as torchrun starts them, the first one alone holds the run folder, keeps the record and talks.

    Returns:
        Folder of the bundle; None on all processes but the first.
    """
    from calogan.stages.train import require_model
    from calogan.training.distributed import process_group

    require_model(config)
    with process_group() as group:
        reporter = reporter if group.leads else SilentReporter()
        with group.led(_recorded(config, reporter), NullTracker()) as tracker:
            bundle = train_held(config, reporter, tracker, group=group)
        return bundle if group.leads else None


def validate_run(
    config: Config,
    split: Literal["validation", "test"],
    reporter: Reporter,
    *,
    bundle: str | None = None,
    force: bool = False,
) -> Verdicts:
    """Compare the trained bundle, or another one, with the showers of a split.

    Args:
        config: The study.
        split: Showers to compare with.
        reporter: Progress.
        bundle: Another bundle than the trained one; its report is not tracked.
        force: Do it again where a report is there.
    """
    if bundle is not None:
        with run_folder(config, reporter):
            return _validate_other(config, split, bundle, reporter, force=force)
    from calogan.stages.validate import trained_sampler

    with run_folder(config, reporter):
        Store.open(config.run_dir / "prepared")
        trained_sampler(config)  # a command that comes too early is no attempt of the run
        with tracked(config, reporter) as tracker:
            return _validate(config, split, reporter, tracker, force=force)


@contextmanager
def run_folder(
    config: Config, reporter: Reporter, *, sharer: str | None = None, patience: float | None = None
) -> Iterator[Path]:
    """Hold the run folder for this process, and keep the resolved configuration in it.

    Args:
        config: The study.
        reporter: Warned where the file system cannot lock.
        sharer: What a process is called that shares the folder with others of its kind, and leaves the configuration
            to the command that holds it alone.
        patience: How long to wait for another process [s], as for `locked`.

    Raises:
        StoreError: It cannot be made, another process holds it, or it holds results of another configuration.
    """
    try:
        config.run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{config.run_dir}: cannot make the run folder: {error.strerror or error}; choose another run_dir"
        raise StoreError(msg) from error
    with locked(config.run_dir, "run folder", "take another run_dir", reporter, sharer=sharer, patience=patience):
        _require_same(config)
        if sharer is None:
            _keep(config)
        yield config.run_dir


@contextmanager
def _recorded(config: Config, reporter: Reporter) -> Iterator[Tracker]:
    with run_folder(config, reporter):
        Store.open(config.run_dir / "prepared")
        with tracked(config, reporter) as tracker:
            yield tracker


def _require_one_process() -> None:
    from calogan.training.distributed import Group

    if Group.from_environment(os.environ).size > 1:
        msg = (
            "calogan run works in one process; for several: calogan prepare, calogan launch -- train, calogan validate"
        )
        raise ConfigError(msg)


def _prepare(config: Config, reporter: Reporter) -> Store:
    from calogan.stages.prepare import prepare

    return prepare(config, reporter)


def train_held(
    config: Config,
    reporter: Reporter,
    tracker: Tracker,
    *,
    group: Group | None = None,
    watch: Callable[[int, Mapping[str, float]], None] | None = None,
) -> Path:
    """Train in a run folder that this process holds, and keep a record of it.

    Args:
        config: The study; its showers are prepared.
        reporter: Progress.
        tracker: The record.
        group: Processes that call this together; by default this one alone.
        watch: Called with the step and the figures of every line of ``train/metrics.jsonl``.

    Returns:
        Folder of the bundle.
    """
    from calogan.stages.train import train
    from calogan.training.distributed import Group

    group = group or Group()
    store = group.together(lambda: Store.open(config.run_dir / "prepared"))
    files = [pattern for source in config.data.sources for pattern in source.files]
    tracker.log_params(dict(_leaves(config.model_dump(mode="json"))))
    tracker.log_dataset(
        config.name, store.digest, files, {str(split): count for split, count in store.counts().items()}
    )
    tracker.set_tags({"calogan.data_digest": store.digest, **_hardware(config)})
    tracker.log_artifact(config.run_dir / "config.yaml")
    tracker.log_artifact(config.run_dir / "prepared" / "manifest.json")
    tracker.log_artifact(config.run_dir / "train" / "metrics.jsonl")
    bundle = train(config, reporter, tracker, group=group, watch=watch)
    tracker.log_training()
    return bundle


def _validate(
    config: Config,
    split: Literal["validation", "test"],
    reporter: Reporter,
    tracker: Tracker,
    *,
    force: bool = False,
) -> Verdicts:
    from calogan.stages.validate import validate_run as validate_split

    verdicts = validate_split(config, split, reporter, tracker, force=force)
    bundle = Bundle.load(config.run_dir / "bundle")
    if split == "test":
        bundle.with_validation(
            {
                "split": split,
                "passed": verdicts.passed,
                "showers": verdicts.showers,
                "criteria": config.validation.criteria.model_dump(mode="json"),
                "settings": config.digest("validation", "threshold"),
                "figures": dict(verdicts.figures),
                **({"types": dict(verdicts.outcomes)} if verdicts.outcomes else {}),
            }
        )
    tracker.log_artifact(bundle.path)
    tracker.log_artifact(verdicts.report.parent, f"validation/{split}")
    return verdicts


def _validate_other(
    config: Config, split: Literal["validation", "test"], bundle: str, reporter: Reporter, *, force: bool = False
) -> Verdicts:
    from calogan.stages.validate import validate_run as validate_split

    return validate_split(config, split, reporter, bundle=bundle, force=force)


def _hardware(config: Config) -> dict[str, object]:
    import torch

    return {
        "calogan.torch": torch.__version__,
        "calogan.threads": config.training.threads or torch.get_num_threads(),
        "calogan.gpu": ", ".join(map(torch.cuda.get_device_name, range(torch.cuda.device_count()))) or "none",
        "calogan.cuda": torch.version.cuda or "none",
        "calogan.gpu_driver": gpu_driver() or "none",
    }


def _require_same(config: Config) -> None:
    path = config.run_dir / "config.yaml"
    if path.exists() and any((config.run_dir / name).exists() for name in _RESULTS):
        changed = _differences(_essential(load_config(path)), _essential(config))
        if changed:
            named = "; ".join(f"{key} is {old} there, {new} now" for key, old, new in changed[:_MOST_NAMED])
            more = f"; and {len(changed) - _MOST_NAMED} more" if len(changed) > _MOST_NAMED else ""
            msg = (
                f"{config.run_dir} holds results of another configuration: {named}{more}; "
                "take another folder with --set run_dir=PATH, or remove this one"
            )
            raise StoreError(msg)


def _keep(config: Config) -> None:
    write_atomically(config.run_dir / "config.yaml", config.to_yaml().encode())


def _essential(config: Config) -> dict[str, Any]:
    return {key: value for key, value in _leaves(config.model_dump(mode="json")) if not _is_free(key)}


def _is_free(key: str) -> bool:
    return key.endswith((".files", ".simulation_time")) or any(
        key == free or key.startswith(f"{free}.") for free in _FREE
    )


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from _leaves(child, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{key}.{index}")
    else:
        yield key, value


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    keys = [*old, *(key for key in new if key not in old)]
    return [(key, old.get(key, "not set"), new.get(key, "not set")) for key in keys if old.get(key) != new.get(key)]
