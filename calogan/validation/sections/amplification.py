"""Worth of the generated sample in reference showers."""

from __future__ import annotations

from functools import partial

from calogan.metrics.amplification import Worth
from calogan.validation.numbers import with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots.amplification import worth_chart
from calogan.validation.studies.amplification import AmplificationStudy

__all__ = ["amplification_section"]

_TEXT = (
    (
        "How many reference showers would give as good a histogram as the generated sample? The squared error of a"
        " histogram of N reference showers in K bins is (K - 1)/N on average; that of the generated showers has a "
        "part from their number and a part from the generator's bias, which stays however many are made. The bias "
        "is what the two samples differ by beyond their fluctuations. All limits hold at 95% confidence."
    ),
    (
        "A surrogate amplifies its training sample for a histogram if an endless generated sample is worth more "
        "than the number of showers that it was trained on."
    ),
)
_PAIRED = (
    "Reference and generated showers are of the same incident particles. What those fluctuate by cancels in the "
    "difference, which makes the bias better known; the worth is that of reference showers with particles of their own."
)
_HEADER = ("histogram", "bins", "bias", "worth of this sample", "limits", "worth of an endless one", "limits")


def amplification_section(study: AmplificationStudy) -> Section:
    """Worth of this sample and of an endless one, histogram by histogram."""
    text = (*_TEXT, _PAIRED) if study.paired else _TEXT
    if not study.worths:
        return Section("amplification", "Statistical amplification", (*text, "No histogram has two filled bins."))
    drawing = Drawing(
        "amplification", "Reference showers that the generated sample is worth", partial(worth_chart, study)
    )
    table = Table(_HEADER, tuple(_row(one) for one in study.worths), "Worth in reference showers")
    return Section("amplification", "Statistical amplification", text, (table,), (drawing,), finding=_finding(study))


def _finding(study: AmplificationStudy) -> str:
    least, most = (choose(study.worths, key=lambda one: one.sample) for choose in (min, max))
    return (
        f"The {study.n_generated} generated showers are worth {_showers(least.sample)} ({least.name}) to "
        f"{_showers(most.sample)} ({most.name}) of the reference."
    )


def _row(one: Worth) -> tuple[str, ...]:
    if one.endless_low is None:
        limits = "–"
    elif one.endless_high is None:
        limits = f"above {_showers(one.endless_low)}"
    else:
        limits = f"{_showers(one.endless_low)} to {_showers(one.endless_high)}"
    return (
        one.name,
        str(one.bins),
        with_error(one.bias.value, one.bias.error),
        _showers(one.sample),
        f"{_showers(one.sample_low)} to {_showers(one.sample_high)}",
        "–" if one.endless is None else _showers(one.endless),
        limits,
    )


def _showers(showers: float) -> str:
    """A number of showers with two digits.

    Example:
        >>> _showers(12345.6)
        '12000'
    """
    return str(int(float(f"{showers:.1e}")))
