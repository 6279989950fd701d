"""Run folders -> the best of them, by the validation showers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from calogan.atomic import write_atomically
from calogan.bundle import Bundle
from calogan.config import load_config
from calogan.errors import StoreError

__all__ = ["Candidate", "choose_best"]

FORMAT = 1


@dataclass(frozen=True)
class Candidate:
    """A trained run.

    Attributes:
        run: Its folder.
        bundle: Id of its bundle.
        score: Physics score on the validation showers; lower is better.
        selected_step: Step of the training that the bundle is of.
        steps: Steps that the training did.
        complete: Whether these were all; training.max_minutes may have ended it before.
        seed: Seed of the training.
    """

    run: str
    bundle: str
    score: float
    selected_step: int
    steps: int
    complete: bool
    seed: int


def choose_best(runs: Sequence[Path], out: Path) -> list[Candidate]:
    """Rank trained runs by their physics scores on the validation showers, and write that down.

    Args:
        runs: Run folders with a bundle.
        out: JSON file to write, which appears as a whole.

    Returns:
        The runs, best first.

    Raises:
        BundleError: A run without a bundle.
        StoreError: Runs whose scores cannot be compared, since they were scored on other showers, or a file that cannot
            be written.
    """
    candidates, first = [], None
    for run in runs:
        info = Bundle.load(run / "bundle").info
        scored = _scored_on(run, info.provenance, info.threshold)
        if first is None:
            first = (run, scored)
        _require_same(first, (run, scored))
        candidates.append(_candidate(run, info.id, info.provenance))
    ranking = sorted(candidates, key=lambda one: (one.score, one.run))
    values = {"format": FORMAT, "best": ranking[0].run, "runs": [asdict(one) for one in ranking]}
    try:
        write_atomically(out, (json.dumps(values, indent=1) + "\n").encode())
    except OSError as error:
        msg = f"{out}: cannot be written: {error.strerror or error}"
        raise StoreError(msg) from error
    return ranking


def _candidate(run: Path, bundle: str, provenance: Mapping[str, Any]) -> Candidate:
    return Candidate(
        run=str(run),
        bundle=bundle,
        score=float(provenance["physics_score"]),
        selected_step=int(provenance["selected_step"]),
        steps=int(provenance["steps"]),
        complete=bool(provenance["complete"]),
        seed=int(provenance["seed"]),
    )


def _scored_on(run: Path, provenance: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    """All that decides which validation showers a score is of."""
    return {
        "data": provenance["data_digest"],
        "threshold": threshold,
        "training.hold_out_momentum": provenance["hold_out_momentum"],
        "training.evaluate_showers": load_config(run / "config.yaml").training.evaluate_showers,
    }


def _require_same(first: tuple[Path, dict[str, Any]], other: tuple[Path, dict[str, Any]]) -> None:
    for name, value in first[1].items():
        if other[1][name] != value:
            msg = (
                f"{other[0]}: was scored on other showers than {first[0]}: {name} is {other[1][name]}, not {value}; "
                "compare runs that were trained on the same data"
            )
            raise StoreError(msg)
