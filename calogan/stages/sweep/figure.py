"""A figure of a sweep: the score by trial, and by each setting that was varied."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from calogan.config import ParameterConfig
from calogan.stages.sweep.ledger import State, Trial
from calogan.validation.plots.style import GENERATED, REFERENCE, STYLE

__all__ = ["draw_sweep"]

_COLUMNS = 3
_BEST = "#009E73"


def draw_sweep(trials: Sequence[Trial], parameters: Mapping[str, ParameterConfig]) -> bytes:
    """Draw the score of each trial, with the best so far, and beside it against every setting.

    Args:
        trials: Trials, at least one of them with a score.
        parameters: What was varied, by path.

    Returns:
        A PNG file.
    """
    panels = 1 + len(parameters)
    columns = min(_COLUMNS, panels)
    rows = math.ceil(panels / columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2 * columns, 3.6 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        _draw_history(axes[0], trials)
        for place, (name, values) in zip(axes[1:], parameters.items(), strict=False):
            _draw_parameter(place, trials, name, values)
        for place in axes[panels:]:
            place.set_axis_off()
        with io.BytesIO() as file:
            figure.savefig(file, format="png", dpi=130)
            return file.getvalue()


def _draw_history(axes: Axes, trials: Sequence[Trial]) -> None:
    done = [(trial.number, trial.score) for trial in trials if trial.score is not None]
    numbers, scores = zip(*done, strict=True)
    axes.plot(numbers, scores, "o", color=REFERENCE, label="done")
    pruned = [
        (trial.number, min(trial.scores.values())) for trial in trials if trial.state is State.pruned and trial.scores
    ]
    if pruned:
        axes.plot(*zip(*pruned, strict=True), "x", color=GENERATED, label="pruned")
    axes.step(numbers, list(accumulate(scores, min)), where="post", color=_BEST, label="best so far")
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    _finish(axes)


def _draw_parameter(axes: Axes, trials: Sequence[Trial], name: str, values: ParameterConfig) -> None:
    done = [(trial.parameters[name], trial.score) for trial in trials if trial.score is not None]
    best = min(range(len(done)), key=lambda one: done[one][1])
    if values.choices is None:
        places = [float(value) for value, _ in done]
        if values.log:
            axes.set_xscale("log")
        axes.set_xlim(values.low, values.high)
    else:
        places = [float(values.choices.index(value)) for value, _ in done]
        axes.set_xticks(range(len(values.choices)), [str(choice) for choice in values.choices])
        axes.margins(x=0.2)
    axes.plot(places, [score for _, score in done], "o", color=REFERENCE, clip_on=False)
    axes.plot(places[best], done[best][1], "o", color=_BEST, markersize=9, clip_on=False)
    axes.set_xlabel(name)
    _finish(axes)


def _finish(axes: Axes) -> None:
    low, high = axes.get_ylim()
    if low > 0 and high > 5 * low:
        axes.set_yscale("log")
    axes.set_ylabel("physics score (0 is perfect)")
