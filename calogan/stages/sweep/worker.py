"""Trials, one after the other: each process takes the next that nobody works on, until there is none."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from calogan.bundle import Bundle
from calogan.config import Config
from calogan.data.store import Store
from calogan.errors import BusyError, ConfigError, DivergenceError, StoreError, TrainingInterrupted
from calogan.progress import Reporter
from calogan.stages.lock import is_held
from calogan.stages.prepare import prepare
from calogan.stages.run import run_folder, train_held
from calogan.stages.sweep.ledger import Ledger, State, Trial
from calogan.stages.sweep.results import Outcome, describe, read_figures, write_results, write_table
from calogan.stages.sweep.space import SearchSpace
from calogan.stages.train import require_model
from calogan.tracking import RunRecord, Status, make_tracker, one_line, tracked

__all__ = ["sweep"]

_MOST_STARTS = 3
"""Processes that may end without a word at the same step of a trial, before it is taken to be the trial's fault."""


class _Pruned(Exception):  # noqa: N818
    """The scores of a trial are worse than the median."""


def sweep(config: Config, reporter: Reporter) -> Outcome:
    """Train a study with `config.sweep.trials` settings and keep the table of their physics scores.

    Several processes may do this for one run folder at the same time; each takes trials that no other works on, those
    of killed processes included. Stopped at any instant, the same command goes on.

    Args:
        config: The study; `config.sweep` says what is varied.
        reporter: Progress.

    Returns:
        All trials, and the best.

    Raises:
        ConfigError: A setting cannot be varied, or the configuration refuses a value; said before anything is done.
        StoreError: The run folder holds results of another configuration, or other showers than the sweep began with.
        TrainingInterrupted: A signal asked to stop; the state of the trial is saved.
        CaloganError: Showers cannot be prepared, or the machine lacks what the training needs.
    """
    _require_alone()
    space = SearchSpace.of(config)
    for example in space.examples():
        require_model(example)
    worker = _Worker(config, space, reporter)
    worker.open()
    try:
        while True:
            with worker.claim() as trial:
                if trial is None:
                    return worker.conclude()
                worker.work(trial)
    except BaseException as error:
        worker.stop("KILLED" if isinstance(error, TrainingInterrupted | KeyboardInterrupt) else "FAILED")
        raise


class _Worker:
    """One process of a sweep."""

    def __init__(self, config: Config, space: SearchSpace, reporter: Reporter) -> None:
        self._config, self._space, self._reporter = config, space, reporter
        self._folder = config.run_dir / "trials"
        self._began = time.monotonic()

    def open(self) -> None:
        """Prepare the showers if no process has yet, and look whether sweep and showers are those of the folder."""
        with run_folder(self._config, self._reporter, patience=math.inf):
            self._folder.mkdir(exist_ok=True)
            self._ledger = Ledger(self._folder / "journal.log", self._space)
            prepared = self._config.run_dir / "prepared"
            store = Store.open(prepared) if self._ledger.trials() else prepare(self._config, self._reporter)
            self._ledger.require_showers(store.digest)
            if not _is_open(self._config.run_dir):  # the run that those of the trials are below
                make_tracker(self._config, self._reporter).leave()

    @contextmanager
    def claim(self) -> Iterator[Trial | None]:
        """Hold a trial that nobody works on while the context lasts; None if there is none, or no time is left."""
        with ExitStack() as held:
            with run_folder(self._config, self._reporter, patience=math.inf):
                trial = self._next(held)
            yield trial

    def work(self, trial: Trial) -> None:
        """Train a trial, from its last checkpoint on, and note what became of it."""
        config = self._configure(trial)
        step = _last_step(config.run_dir)
        if trial.starts.count(step) >= _MOST_STARTS:
            reason = f"{_MOST_STARTS} processes ended without a word after step {step}: is it too large for the memory?"
            self._finish(trial, State.failed, reason=reason)
            return
        self._ledger.started(trial, step)
        self._reporter.message(f"trial {trial.folder}: {describe(trial.parameters)}")
        try:
            score = self._train(trial, config)
        except (TrainingInterrupted, KeyboardInterrupt):
            self._ledger.stopped(trial)
            raise
        except (ConfigError, DivergenceError, torch.cuda.OutOfMemoryError) as error:
            self._finish(trial, State.failed, reason=one_line(error))
        else:
            self._finish(trial, State.pruned if score is None else State.done, score)

    def conclude(self) -> Outcome:
        """Write the table of all trials; the last process that ends writes the whole, and closes the record."""
        with run_folder(self._config, self._reporter, patience=math.inf):
            outcome = Outcome.of(self._config, self._ledger.trials())
            self._close("FINISHED" if outcome.complete else "KILLED", outcome, write_results(outcome))
        return outcome

    def stop(self, status: Status) -> None:
        """Close the record before the trials have ended, unless other processes are at work."""
        with run_folder(self._config, self._reporter, patience=math.inf):
            self._close(status, Outcome.of(self._config, self._ledger.trials()), [])

    def _close(self, status: Status, outcome: Outcome, files: Sequence[Path]) -> None:
        if any(is_held(outcome.folder(trial)) for trial in outcome.trials if trial.state is State.running):
            return
        tracker = make_tracker(self._config, self._reporter, joins=True)
        for path in files:
            tracker.log_artifact(path)
        for trial in outcome.trials:
            if trial.score is not None:
                tracker.log_metrics({"sweep/physics_score": trial.score}, trial.number)
        tracker.finish(status)

    def _next(self, held: ExitStack) -> Trial | None:
        while True:
            trials = self._ledger.trials()
            for trial in trials:
                if trial.state is State.running and self._hold(trial, held):
                    return trial
            if len(trials) >= self._config.sweep.trials or self._out_of_time():
                return None
            self._ledger.begin()

    def _hold(self, trial: Trial, held: ExitStack) -> bool:
        """Hold the run folder of a trial, unless another process does or has just finished it."""
        try:
            with ExitStack() as tried:
                tried.enter_context(run_folder(self._configure(trial), self._reporter, patience=0.0))
                if self._ledger.trials()[trial.number].state is not State.running:
                    return False
                held.push(tried.pop_all())
        except BusyError:
            return False
        except ConfigError as error:  # of values that do not go together
            self._finish(trial, State.failed, reason=one_line(error))
            return False
        return True

    def _configure(self, trial: Trial) -> Config:
        name = f"{self._config.name}-{trial.folder}"
        return self._space.configure(trial.parameters, name=name, run_dir=self._folder / trial.folder)

    def _train(self, trial: Trial, config: Config) -> float | None:
        """Score of the trained bundle; None if the trial is pruned."""
        shared = config.run_dir / "prepared"
        if not shared.is_symlink():
            shared.symlink_to(Path("..", "..", "prepared"))
        with tracked(config, self._reporter, self._config.run_dir) as tracker:
            tracker.set_tags({"calogan.trial": trial.number})
            try:
                bundle = train_held(config, self._reporter, tracker, watch=self._watch(trial, config))
            except _Pruned:
                tracker.set_tags({"calogan.trial.pruned": True})
                return None
        return float(Bundle.load(bundle).info.provenance["physics_score"])

    def _watch(self, trial: Trial, config: Config) -> Callable[[int, Mapping[str, float]], None]:
        known = dict(trial.scores)

        def watch(step: int, figures: Mapping[str, float]) -> None:
            score, adversarial = figures.get("validation/physics_score"), step - config.training.warmup_steps
            if score is None or not math.isfinite(score) or adversarial in known:
                return
            known[adversarial] = score
            if self._ledger.add_score(trial, adversarial, score) and adversarial < config.training.steps:
                raise _Pruned

        return watch

    def _finish(self, trial: Trial, state: State, score: float | None = None, reason: str | None = None) -> None:
        self._ledger.finish(trial, state, score, reason)
        outcome = Outcome.of(self._config, self._ledger.trials())
        write_table(outcome)
        best = "none yet" if outcome.best is None else f"trial {outcome.best.folder}, {outcome.best.score:.3g}"
        told = state.value if score is None else f"physics score {score:.3g}"
        self._reporter.message(
            f"trial {trial.folder}: {told}{f' ({reason})' if reason else ''}; best: {best}; "
            f"{len(outcome.trials) - outcome.left} of {self._config.sweep.trials} trials have ended"
        )

    def _out_of_time(self) -> bool:
        limit = self._config.sweep.max_minutes
        return limit is not None and time.monotonic() - self._began > 60 * limit


def _is_open(folder: Path) -> bool:
    """Whether a process of the sweep has begun its record, and none has closed it."""
    try:
        return RunRecord.read(folder).status == "RUNNING"
    except (FileNotFoundError, StoreError):
        return False


def _last_step(folder: Path) -> int:
    """Step of the last line of a trial's figures; -1 if there is none."""
    lines = read_figures(folder)
    return int(lines[-1]["step"]) if lines else -1


def _require_alone() -> None:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        msg = (
            "calogan sweep: a trial is trained by one process; start calogan sweep itself as often as there are GPUs, "
            "not calogan launch or torchrun: the processes share the trials"
        )
        raise ConfigError(msg)
