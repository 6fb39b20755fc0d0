"""The checks of a run as rows, and everything that is known of one of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data.checks import Check, Verdict
from gui.presenters.numbers import NARROW_NBSP, NOTHING, Numbers, all_digits, digits_of, significant, with_unit
from gui.presenters.tone import TONE_OF_VERDICT, Tone

OWNERS = {"dut": "pump", "catheter": "catheter", "rig": "rig", "record": "record"}

Fact = tuple[str, str]
"""What it is, and what it is in this case."""


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check as it stands in the table."""

    check: Check
    title: str
    value: str
    uncertainty: str
    limits: str
    source: str
    probability: str
    verdict: str
    tone: Tone
    owner: str
    about: str

    @property
    def tip(self) -> str:
        """Coverage factor and degrees of freedom of U."""
        return self.about


@dataclass(frozen=True, slots=True)
class Share:
    """One source of a check's uncertainty: standard uncertainty as text, and its part of the variance."""

    source: str
    uncertainty: str
    part: float


def check_rows(checks: Sequence[Check], numbers: Numbers) -> list[CheckRow]:
    """The checks in their order: first those that count, then what is only told, then whether the rig was fit."""
    return [check_row(check, numbers) for check in sorted(checks, key=_rank)]


def check_row(check: Check, numbers: Numbers) -> CheckRow:
    """One check."""
    word, tone = verdict_word(check)
    return CheckRow(
        check,
        check.title,
        value_text(check, numbers),
        uncertainty_text(check, numbers),
        limits_text(check, numbers),
        check.limit_source,
        probability_text(check, numbers),
        word,
        tone,
        OWNERS[check.owner],
        coverage_text(check, numbers),
    )


def verdict_word(check: Check) -> tuple[str, Tone]:
    """The verdict as a word and its tone; a number without a limit has none."""
    if check.verdict is Verdict.NOT_MEASURED and check.optional and check.value is not None:
        return "no limit", Tone.MUTED
    return check.verdict.replace("-", " "), TONE_OF_VERDICT[check.verdict]


def value_text(check: Check, numbers: Numbers) -> str:
    """The value to the second digit of its uncertainty; an error in percent has its sign."""
    if check.value is None or not math.isfinite(check.value):
        return NOTHING
    text = numbers.number(check.value, _digits(check))
    if check.unit == "%" and not check.suitability and check.value > 0.0 and (check.limit_low or -1.0) < 0.0:
        text = f"+{text}"
    return with_unit(text, check.unit)


def result_text(check: Check, numbers: Numbers) -> str:
    """Value and U in one unit: 4.00 ± 0.14 mg."""
    value, known = value_text(check, numbers), uncertainty_text(check, numbers)
    if not known or value == NOTHING:
        return value
    bare = value.removesuffix(with_unit("", check.unit))
    return with_unit(f"{bare} {known}", check.unit)


def uncertainty_text(check: Check, numbers: Numbers) -> str:
    """U to its second digit; empty where there is none."""
    if not check.expanded_uncertainty or not math.isfinite(check.expanded_uncertainty):
        return ""
    return f"±{NARROW_NBSP}{numbers.number(check.expanded_uncertainty, digits_of(check.expanded_uncertainty))}"


def coverage_text(check: Check, numbers: Numbers) -> str:
    """How U was made of u: coverage factor and effective degrees of freedom."""
    if check.standard_uncertainty is None:
        return "no uncertainty is stated"
    u = with_unit(numbers.number(check.standard_uncertainty, digits_of(check.standard_uncertainty)), check.unit)
    k = "" if check.coverage_factor is None else f"k = {numbers.number(check.coverage_factor, 3)}, "
    freedom = check.degrees_of_freedom
    nu = "∞" if freedom is None or math.isinf(freedom) else numbers.number(freedom, 0 if freedom >= 10.0 else 1)
    return f"u = {u}, {k}ν_eff = {nu}"


def limits_text(check: Check, numbers: Numbers) -> str:
    """The limits as declared."""
    low, high = check.limit_low, check.limit_high
    if low is not None and high is not None:
        if low == -high:
            return with_unit(f"±{_limit(high, check, numbers)}", check.unit)
        return with_unit(f"{_limit(low, check, numbers)} to {_limit(high, check, numbers)}", check.unit)
    if high is not None:
        return with_unit(f"≤ {_limit(high, check, numbers)}", check.unit)
    if low is not None:
        return with_unit(f"≥ {_limit(low, check, numbers)}", check.unit)
    return ""


def probability_text(check: Check, numbers: Numbers) -> str:
    """Probability that the true value conforms."""
    p = check.conformity_probability
    if p is None or not math.isfinite(p):
        return ""
    if p > 0.9999:
        return f"> {numbers.number(99.99, 2)}{NARROW_NBSP}%"
    if p < 0.0001:
        return f"< {numbers.number(0.01, 2)}{NARROW_NBSP}%"
    return f"{numbers.number(100.0 * p, 2)}{NARROW_NBSP}%"


def shares(check: Check, numbers: Numbers) -> list[Share]:
    """The uncertainty budget, the largest first; parts are of the sum of the squares."""
    total = math.fsum(u * u for _, u in check.budget)
    made = [
        Share(
            source, with_unit(numbers.number(u, digits_of(u) if u else 0), check.unit), u * u / total if total else 0.0
        )
        for source, u in check.budget
    ]
    return sorted(made, key=lambda share: -share.part)


def facts(check: Check, numbers: Numbers, all_checks: Mapping[str, Check]) -> list[Fact]:
    """Everything else that the detail pane says of a check."""
    said = [
        ("Name", check.name),
        ("Uncertainty", coverage_text(check, numbers)),
        ("Limits", " · ".join(filter(None, (limits_text(check, numbers), check.limit_source))) or "none"),
        ("Rule", check.rule),
        ("Conformity", probability_text(check, numbers)),
        ("Counts", counts_text(check)),
        ("Owner", f"{OWNERS[check.owner]}: whose fault a failure is"),
        ("Depends on", " · ".join(_named(name, all_checks) for name in check.depends_on)),
        ("Note", check.note),
    ]
    return [(what, text) for what, text in said if text]


def counts_text(check: Check) -> str:
    """What the check means for the verdict of the run."""
    if check.suitability:
        return "whether the rig was fit: a failure makes what depends on it invalid"
    return "for information, not for the verdict of the run" if check.optional else "for the verdict of the run"


# -- small parts


def _rank(check: Check) -> int:
    return 2 if check.suitability else 1 if check.optional else 0


def _named(name: str, checks: Mapping[str, Check]) -> str:
    found = checks.get(name)
    if found is None:
        return name
    return found.title if found.verdict is Verdict.PASS else f"{found.title} ({found.verdict.replace('-', ' ')})"


def _digits(check: Check) -> int:
    if check.expanded_uncertainty and math.isfinite(check.expanded_uncertainty):
        return digits_of(check.expanded_uncertainty)
    if check.value is not None and float(check.value).is_integer() and abs(check.value) < 1e6:
        return 0
    return significant(check.value)


def _limit(value: float, check: Check, numbers: Numbers) -> str:
    """A limit with the digits that it was declared with; one that an uncertainty gives, with three."""
    if check.suitability:
        return numbers.number(value, significant(value, 3) if value else 0)
    return numbers.number(value, all_digits(value))
