"""A study trained with many settings -> the best of them by the physics score on validation showers."""

from calogan.stages.sweep.results import Outcome
from calogan.stages.sweep.worker import sweep

__all__ = ["Outcome", "sweep"]
