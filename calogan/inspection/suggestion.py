"""The configuration that files suggest: every value from the data, or marked as assumed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calogan.config import Config, make_config
from calogan.data.schema import length_in_mm, per_gev
from calogan.inspection.cells import Cells
from calogan.inspection.document import Path, to_yaml
from calogan.inspection.rounding import outwards, round_range
from calogan.inspection.scan import Particles
from calogan.inspection.units import GuessedUnits

__all__ = ["Suggestion", "Units", "suggest"]

_ALONG_THE_AXIS = 1e-4  # [radian]
_WIDEST = 89.0  # [degree]
_SAME = 0.01  # by how much the momentum of showers of one momentum is widened
_VALIDATION = 0.2  # share of the showers
_TRAINING = {
    "batch_size": 64,
    "warmup_steps": 8000,
    "steps": 1200,
    "critic_steps": 3,
    "critic_head_start": 300,
    "generator_learning_rate": 5e-7,
    "critic_learning_rate": 3e-4,
    "evaluate_every": 100,
}
_TRAINING_NOTE = (
    "a quarter of an hour on one core for 900 cells; more steps make better showers\n"
    "model: {symmetries: [flip_x, flip_y, swap_xy]} helps where calorimeter and particles have these symmetries"
)


@dataclass(frozen=True)
class Units:
    """Units of the files, and of which length."""

    guessed: GuessedUnits
    length: str

    @property
    def values(self) -> dict[str, str]:
        """The section of the configuration."""
        return {"energy": self.guessed.energy, "momentum": self.guessed.momentum, "length": self.length}


@dataclass(frozen=True)
class Suggestion:
    """Sections of a configuration.

    Attributes:
        values: Sections by name.
        notes: Where values are from, by the keys that lead to them.
    """

    values: dict[str, Any]
    notes: dict[Path, str] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """The configuration, checked."""
        return make_config(self.values, "the suggested configuration")

    @property
    def yaml(self) -> str:
        """The configuration with its notes."""
        return to_yaml(self.values, self.notes)


def suggest(
    name: str,
    sources: Sequence[Mapping[str, Any]],
    remarks: Sequence[Sequence[str]],
    particles: Particles,
    threshold: float,
    units: Units,
    cells: Cells,
) -> Suggestion:
    """A configuration that prepares and trains.

    Args:
        name: Of the study.
        sources: Sections ``data.sources``, with files.
        remarks: What is to be said of each of them.
        particles: Incident particles in the files' units.
        threshold: Read-out threshold in the files' unit of energy.
        units: Those units.
        cells: Section `geometry`.
    """
    domain, notes = _domain(particles, units)
    condition = ["momentum"]
    if particles.max_angle > _ALONG_THE_AXIS:
        condition.append("direction")
    if any(high > low for low, high in (particles.entry_x, particles.entry_y)):
        condition.append("entry_point")
    if len(particles.pdg) > 1 and 0 not in particles.pdg:
        condition.append("particle")
    validation = int(_VALIDATION * particles.entries)
    values = {
        "name": name,
        "run_dir": f"runs/{name}",
        "seed": 1,
        "threshold": float(f"{threshold / per_gev(units.guessed.energy):.6g}"),
        "condition": condition,
        "data": {"sources": [dict(source) for source in sources], "workers": 2},
        "geometry": dict(cells.values),
        "domain": domain,
        "training": {**_TRAINING, "evaluate_showers": min(6000, max(10, validation))},
    }
    notes |= {
        ("threshold",): "[GeV] cells below it hold at most 0.2% of the energy; put in that of the read-out",
        ("geometry",): cells.note,
        ("training",): _TRAINING_NOTE,
    }
    notes |= {("data", "sources", number): "\n".join(lines) for number, lines in enumerate(remarks)}
    return Suggestion(values, notes)


def _domain(particles: Particles, units: Units) -> tuple[dict[str, Any], dict[Path, str]]:
    gev, mm = 1 / per_gev(units.guessed.momentum), length_in_mm(units.length)
    low, high = (bound * gev for bound in particles.momentum)
    if low == high:
        low, high = low * (1 - _SAME), high * (1 + _SAME)
    angle = math.degrees(particles.max_angle)
    along = particles.max_angle <= _ALONG_THE_AXIS
    domain: dict[str, Any] = {
        "momentum": [outwards(low, low, up=False), outwards(high, high, up=True)],
        "max_angle": 0.0 if along else min(outwards(angle, angle, up=True), _WIDEST),
    }
    windows = {"entry_x": particles.entry_x, "entry_y": particles.entry_y}
    domain |= {key: list(round_range(*(bound * mm for bound in window))) for key, window in windows.items()}
    looked = "all showers" if particles.is_complete else f"{particles.looked_at} of {particles.entries} showers"
    seen = f"{particles.momentum[0] * gev:.6g} to {particles.momentum[1] * gev:.6g} GeV"
    text = f"round numbers around {looked}: |p| {seen}, angles up to {angle:.4g} degrees; put in what was simulated"
    return domain, {("domain",): text}
