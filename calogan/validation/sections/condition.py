"""Whether both samples were made for the same incident particles."""

from __future__ import annotations

from calogan.validation.numbers import number, probability
from calogan.validation.page import Section, Table
from calogan.validation.studies.condition import ConditionCheck

__all__ = ["condition_section"]

_HEADER = ("property", "test", "mean, reference", "mean, generated", "distance", "p-value")
_PAIRED = (
    "Each generated shower was made for the very particle of one reference shower. Errors therefore come from drawing "
    "such pairs again and again, floors and most p-values from exchanging the two showers of a pair."
)
_UNPAIRED = (
    "The samples have particles of their own. Errors come from drawing the showers of each sample again and again, "
    "floors and many p-values from sharing out all showers anew."
)


def condition_section(check: ConditionCheck) -> Section:
    """Tests of the incident particles; a warning where they do not agree."""
    rows = tuple(
        (
            test.name,
            test.method,
            number(test.reference_mean),
            number(test.generated_mean),
            number(test.distance, 3),
            probability(test.p_value),
        )
        for test in check.tests
    )
    warning = ""
    if not check.agree:
        warning = (
            f"The samples were made for different incident particles, most of all in {check.worst.name} "
            f"(p = {probability(check.lowest_p)}). Differences below may come from the particles and not from the "
            "showers: no number of this report says how good the surrogate is."
        )
    caption = "Properties of the incident particles in both samples"
    table = Table(_HEADER, rows, caption, left=(0, 1), folded=check.paired and not warning)
    text = (_PAIRED if check.paired else _UNPAIRED,)
    return Section("condition", "Incident particles", text, (table,), warning=warning, finding=_finding(check))


def _finding(check: ConditionCheck) -> str:
    if check.paired:
        return "Both samples have the same incident particles."
    verb = "agree" if check.agree else "differ"
    return (
        f"The incident particles {verb}: the lowest p-value, {probability(check.lowest_p)}, is of {check.worst.name}."
    )
