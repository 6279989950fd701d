"""What came of a sweep: a table, a JSON file with everything, the best configuration, and a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import calogan
from calogan.atomic import write_atomically
from calogan.config import Config
from calogan.data.store import write_json
from calogan.stages.sweep.figure import draw_sweep
from calogan.stages.sweep.ledger import State, Trial

__all__ = ["Outcome", "describe", "read_figures", "write_results", "write_table"]


@dataclass(frozen=True)
class Outcome:
    """All trials of a sweep so far.

    Attributes:
        config: The study.
        trials: Trials in the order of their numbers.
        minutes: Training time of each, of all processes that worked on it.
    """

    config: Config
    trials: tuple[Trial, ...]
    minutes: tuple[float | None, ...]

    @classmethod
    def of(cls, config: Config, trials: Sequence[Trial]) -> Outcome:
        """The trials with the times that are in their folders."""
        return cls(config, tuple(trials), tuple(_minutes(config.run_dir / "trials" / one.folder) for one in trials))

    @property
    def best(self) -> Trial | None:
        """The trial with the lowest score; None if none has one."""
        done = [(trial.score, trial.number) for trial in self.trials if trial.score is not None]
        return self.trials[min(done)[1]] if done else None

    @property
    def left(self) -> int:
        """Trials that have begun and not ended."""
        return sum(trial.state is State.running for trial in self.trials)

    @property
    def complete(self) -> bool:
        """Whether every trial that was asked for has ended."""
        return len(self.trials) - self.left >= self.config.sweep.trials

    def folder(self, trial: Trial) -> Path:
        """Run folder of a trial."""
        return self.config.run_dir / "trials" / trial.folder

    def table(self) -> list[list[str]]:
        """Header and rows, best scores first; without a score, those that came farthest first."""
        names = list(self.config.sweep.parameters)
        short = [name.rpartition(".")[2] for name in names]
        heads = short if len(set(short)) == len(short) else names
        rows = [["trial", "state", "physics score", *heads, "minutes"]]
        ranked = sorted(
            zip(self.trials, self.minutes, strict=True),
            key=lambda pair: (pair[0].score is None, pair[0].score or 0.0, pair[0].number),
        )
        for trial, minutes in ranked:
            score = "" if trial.score is None else f"{trial.score:.4g}"
            values = [_text(trial.parameters.get(name)) for name in names]
            rows.append([trial.folder, trial.state.value, score, *values, "" if minutes is None else f"{minutes:.2f}"])
        return rows

    def summary(self) -> list[str]:
        """What is left to do, and where the best is, in lines."""
        lines, best, run_dir = [], self.best, self.config.run_dir
        if self.left:
            lines.append(f"{self.left} trials are at work in other processes; the last to end writes the whole table")
        if (missing := self.config.sweep.trials - len(self.trials)) > 0:
            lines.append(f"{missing} trials have not begun: sweep.max_minutes is over; the same command goes on")
        if best is None:
            return [*lines, f"no trial has a score; see {run_dir / 'sweep.json'}"]
        return [
            *lines,
            f"best: trial {best.folder}, physics score {best.score:.4g}: {self.folder(best) / 'bundle'}",
            f"calogan run {run_dir / 'best.yaml'} validates it on the test showers",
            *(str(run_dir / name) for name in ("sweep.json", "sweep.png")),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values."""
        best = self.best
        return {
            "study": self.config.name,
            "calogan_version": calogan.__version__,
            "complete": self.complete,
            "sweep": self.config.sweep.model_dump(mode="json"),
            "best": None if best is None else best.number,
            "trials": [
                {
                    "number": trial.number,
                    "state": trial.state.value,
                    "physics_score": trial.score,
                    "parameters": trial.parameters,
                    "minutes": minutes,
                    "scores": {str(step): score for step, score in trial.scores.items()},
                    "reason": trial.reason,
                    "folder": f"trials/{trial.folder}",
                }
                for trial, minutes in zip(self.trials, self.minutes, strict=True)
            ],
        }


def write_results(outcome: Outcome) -> list[Path]:
    """Write sweep.json, and with a trial that is done best.yaml and sweep.png; each is replaced as a whole.

    Returns:
        The files.
    """
    folder, best = outcome.config.run_dir, outcome.best
    files = [write_table(outcome)]
    if best is not None:
        for name, content in (
            ("best.yaml", (outcome.folder(best) / "config.yaml").read_bytes()),
            ("sweep.png", draw_sweep(outcome.trials, outcome.config.sweep.parameters)),
        ):
            files.append(folder / name)
            write_atomically(files[-1], content)
    return files


def write_table(outcome: Outcome) -> Path:
    """Write sweep.json as a whole."""
    path = outcome.config.run_dir / "sweep.json"
    write_json(path, outcome.to_dict())
    return path


def describe(parameters: Mapping[str, Any]) -> str:
    """Settings and their values, in a line."""
    return ", ".join(f"{name} {_text(value)}" for name, value in parameters.items())


def read_figures(folder: Path) -> list[dict[str, Any]]:
    """Lines of ``train/metrics.jsonl`` in a run folder; a last line cut short is left out."""
    path = folder / "train" / "metrics.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _minutes(folder: Path) -> float | None:
    seconds = [line["time/elapsed_s"] for line in read_figures(folder) if "time/elapsed_s" in line]
    return round(seconds[-1] / 60, 3) if seconds else None


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
