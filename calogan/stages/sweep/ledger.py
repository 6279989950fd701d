"""The trials of a sweep in one file, which several processes on several nodes write at the same time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, TrialState

from calogan.errors import StoreError
from calogan.stages.sweep.space import SearchSpace

__all__ = ["Ledger", "State", "Trial"]

_STUDY = "sweep"
_COMPARED = 5
"""Trials that have ended before one is pruned by their median."""
_NEAR_ENOUGH = 2**31


class State(StrEnum):
    """What became of a trial."""

    running = "running"
    done = "done"
    pruned = "pruned"
    failed = "failed"


_STATES = {
    TrialState.COMPLETE: State.done,
    TrialState.PRUNED: State.pruned,
    TrialState.FAIL: State.failed,
}


@dataclass(frozen=True)
class Trial:
    """One training of a sweep.

    Attributes:
        number: Number from 0, which names its folder.
        state: What became of it.
        score: Physics score on validation showers; None unless it is done.
        parameters: Values by the path of a setting.
        scores: Scores by adversarial step.
        starts: Steps that processes began from that have not ended in order.
        reason: Why it failed.
    """

    number: int
    state: State
    score: float | None
    parameters: dict[str, Any]
    scores: dict[int, float]
    starts: list[int]
    reason: str | None

    @property
    def folder(self) -> str:
        """Name of its run folder."""
        return f"{self.number:04d}"


class Ledger:
    """What is known of all trials.

    Args:
        path: The file; made if it is not there.
        space: What is varied.

    Raises:
        StoreError: The file holds a sweep of other parameters.
    """

    def __init__(self, path: Path, space: SearchSpace) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        # absolute: the lock is a link to the file
        target = str(path.absolute())
        self._storage = JournalStorage(JournalFileBackend(target, lock_obj=_MendingLock(target)))
        config = space.config
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=_STUDY,
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(_COMPARED, n_warmup_steps=1)
            if config.sweep.prune
            else optuna.pruners.NopPruner(),
        )
        parameters = {name: values.model_dump() for name, values in space.parameters.items()}
        known = self._study.user_attrs.get("parameters")
        if known is None:
            self._study.set_user_attr("parameters", parameters)
        elif known != json.loads(json.dumps(parameters)):
            msg = (
                f"{path.parent} holds a sweep of other parameters or values ({', '.join(known)}); "
                "take another folder with --set run_dir=PATH, or remove this one"
            )
            raise StoreError(msg)

    def require_showers(self, digest: str) -> None:
        """Keep the digest of the prepared showers.

        Raises:
            StoreError: The trials were begun with other showers.
        """
        if self._study.user_attrs.setdefault("showers", digest) != digest:
            msg = (
                "the prepared showers have changed since the sweep began, so that its scores do not compare; "
                "take another folder with --set run_dir=PATH"
            )
            raise StoreError(msg)
        self._study.set_user_attr("showers", digest)

    def trials(self) -> list[Trial]:
        """All trials, in the order of their numbers."""
        return [self._trial(found) for found in self._study.get_trials(deepcopy=False)]

    def begin(self) -> None:
        """Add a trial with values that the trials before it suggest; only who holds the run folder may do so.

        What is drawn depends on the seed of the study and on the trials that there are, so that a sweep that was
        stopped draws what an uninterrupted one draws.
        """
        count = len(self._study.get_trials(deepcopy=False))
        seed = (self._space.config.seed * 1_000_003 + count) % _NEAR_ENOUGH
        self._study.sampler = optuna.samplers.TPESampler(seed=seed)
        self._study.ask(self._space.distributions())

    def started(self, trial: Trial, step: int) -> None:
        """Note that a process begins to work on a trial from a step."""
        self._note(trial, "starts", [*trial.starts, step])

    def stopped(self, trial: Trial) -> None:
        """Note that the process stopped in order; the trial is as it was before."""
        self._note(trial, "starts", trial.starts)

    def add_score(self, trial: Trial, step: int, score: float) -> bool:
        """Keep the score at an adversarial step; True if the trial is to be pruned."""
        identity = self._identity(trial)
        self._storage.set_trial_intermediate_value(identity, step, score)
        return self._study.pruner.prune(self._study, self._storage.get_trial(identity))

    def finish(self, trial: Trial, state: State, score: float | None = None, reason: str | None = None) -> None:
        """Note what became of a trial."""
        if reason is not None:
            self._note(trial, "reason", reason)
        ended = {ours: theirs for theirs, ours in _STATES.items()}[state]
        self._study.tell(trial.number, score, ended)

    def _note(self, trial: Trial, name: str, value: Any) -> None:
        self._storage.set_trial_user_attr(self._identity(trial), name, value)

    def _identity(self, trial: Trial) -> int:
        study = self._storage.get_study_id_from_name(_STUDY)
        return self._storage.get_trial_id_from_study_id_trial_number(study, trial.number)

    def _trial(self, found: FrozenTrial) -> Trial:
        state = _STATES.get(found.state, State.running)
        attributes: Mapping[str, Any] = found.user_attrs
        return Trial(
            number=found.number,
            state=state,
            score=found.value if state is State.done else None,
            parameters=self._space.chosen(found.params),
            scores=dict(sorted(found.intermediate_values.items())),
            starts=list(attributes.get("starts", [])),
            reason=attributes.get("reason"),
        )


class _MendingLock(JournalFileSymlinkLock):
    """Cuts off the line that a killed process has not finished, before another process writes after it."""

    def acquire(self) -> bool:
        taken = super().acquire()
        path = Path(self._lock_target_file)
        if path.exists():
            with path.open("r+b") as file:
                content = file.read()
                if not content.endswith(b"\n"):
                    file.truncate(content.rfind(b"\n") + 1)
        return taken
