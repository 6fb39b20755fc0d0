"""How numbers, names and times are worded in a report."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Mapping
from datetime import UTC, datetime
from typing import Any

from data.checks import Check, Verdict, four_digits
from data.report.blocks import Cell, Tone

UNITS = {
    "1": "",
    "degC": "°C",
    "uL": "µL",
    "uL/h": "µL/h",
    "ug": "µg",
    "uL/day": "µL/day",
    "ug/day": "µg/day",
    "uL/kPa": "µL/kPa",
    "um": "µm",
}

SUFFIXES = {
    "ul_per_s_kpa": "µL/(s·kPa)",
    "kpa_s_per_ul": "kPa·s/µL",
    "percent_per_kpa": "%/kPa",
    "percent_per_ml": "%/mL",
    "ul_per_kpa_m": "µL/(kPa·m)",
    "ug_per_day": "µg/day",
    "ug_per_ml": "µg/mL",
    "ul_per_h": "µL/h",
    "ul_per_kpa": "µL/kPa",
    "g_per_ml": "g/mL",
    "mg_per_h": "mg/h",
    "mg_per_ul": "mg/µL",
    "mg_per_day": "mg/day",
    "mm_per_s": "mm/s",
    "kpa_per_s": "kPa/s",
    "percent_per_k": "%/K",
    "ul_per_mg": "µL/mg",
    "mpa_s": "mPa·s",
    "percent": "%",
    "ppm": "ppm",
    "degc": "°C",
    "kpa": "kPa",
    "ul": "µL",
    "mg": "mg",
    "mm": "mm",
    "s": "s",
    "c": "°C",
    "v": "V",
    "k": "K",
}
"""What the end of a key says of its unit; the longest first."""

TONES: dict[Verdict, Tone] = {
    Verdict.PASS: "good",
    Verdict.CONDITIONAL_PASS: "warn",
    Verdict.FAIL: "bad",
    Verdict.CONDITIONAL_FAIL: "bad",
    Verdict.INVALID: "warn",
    Verdict.NOT_CAPABLE: "warn",
    Verdict.NOT_MEASURED: "muted",
}

SIGNS = {"good": "✓ ", "bad": "✗ ", "warn": "! ", "muted": "– ", "": ""}
"""Stand before a verdict, so that it is told apart without colour too."""

FARTHEST = 10**9


def unit_of(unit: str) -> str:
    """A unit of ours as people write it."""
    return UNITS.get(unit, unit)


def with_unit(text: str, unit: str) -> str:
    """A number and its unit."""
    return f"{text} {unit_of(unit)}".rstrip()


def number(value: float | None, digits: int = 6) -> str:
    """A number in at most so many significant digits, with a true minus."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{digits}g}".replace("-", "−")


def value_text(check: Check) -> str:
    """Value ± U with unit, both to the second digit of U; an error in percent has its sign, a share of a whole none."""
    if check.value is None:
        return "–"
    share = check.suitability or (check.limit_low or 0.0) > 0.0
    sign = "+" if check.unit == "%" and check.value and not share else ""
    spread = check.expanded_uncertainty
    if spread and math.isfinite(spread):
        places = 1 - math.floor(math.log10(spread))
        value, about = (f"{round(one, places):.{max(0, places)}f}" for one in (check.value, spread))
        plus = sign if not value.startswith("-") else ""
        text = f"{plus}{value} ± {about}"
    else:
        text = four_digits(check.value, sign)
    return with_unit(text.replace("-", "−"), check.unit)


def limits_text(check: Check) -> str:
    """Limits with unit; those that the rig's own uncertainty gives have more digits than anybody needs."""
    low, high = (None if one is None else number(one, 3 if check.suitability else 6) for one in limits_of(check))
    if low is not None and high is not None:
        text = f"±{high}" if low == f"−{high}" else f"{low} to {high}"
    elif high is not None:
        text = f"≤ {high}"
    elif low is not None:
        text = f"≥ {low}"
    else:
        return "none"
    return with_unit(text, check.unit)


def limits_of(check: Check) -> tuple[float | None, float | None]:
    """Both limits of a check."""
    return check.limit_low, check.limit_high


def freedom_text(freedom: float | None) -> str:
    """Effective degrees of freedom; beyond a thousand they are as good as infinite."""
    if freedom is None:
        return "–"
    return "∞" if freedom > 1000 else f"{freedom:.0f}"


def probability_text(probability: float | None) -> str:
    """A conformity probability; never rounded to certainty."""
    if probability is None:
        return "–"
    if probability > 0.999:
        return "> 99.9 %"
    return "< 0.1 %" if probability < 0.001 else f"{100 * probability:.1f} %"


def verdict_cell(check: Check) -> Cell:
    """Verdict of a check; a value without a limit has none."""
    if check.optional and check.verdict is Verdict.NOT_MEASURED:
        return Cell("– no limit" if check.value is not None else "– not measured", "muted")
    tone = TONES[check.verdict]
    return Cell(f"{SIGNS[tone]}{check.verdict}", tone, strong=True)


def elapsed(t: float) -> str:
    """Time since the start as hours:minutes:seconds, with days where there are any."""
    seconds = round(min(max(t, 0.0), FARTHEST))
    days, rest = divmod(seconds, 86400)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days} d {clock}" if days else clock


def length(seconds: float) -> str:
    """A length of time in the unit that suits it."""
    for size, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= (2 if unit == "days" else 1) * size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:.3g} s"


def moment_text(moment: datetime) -> str:
    """A moment to the second with its offset to UTC."""
    offset = moment.strftime("%z")
    return f"{moment:%Y-%m-%d %H:%M:%S} " + ("UTC" if moment.utcoffset() == UTC.utcoffset(None) else offset)


def label(key: str) -> tuple[str, str]:
    """A key of a record as words, and the unit that its end says."""
    name = key.replace("-", "_")
    for suffix, unit in SUFFIXES.items():
        if name.endswith(f"_{suffix}") and not name.endswith(f"per_{suffix}"):
            return name[: -len(suffix) - 1].replace("_", " "), unit
    return name.replace("_", " "), ""


def plain(value: Any, unit: str = "") -> str:
    """Any value of a record in one line."""
    if value is None or value == "" or value == [] or value == {}:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return length(float(value)) if unit == "s" and value >= 120 else f"{number(float(value))} {unit}".rstrip()
    if isinstance(value, Mapping):
        said = ((label(str(key)), item) for key, item in value.items() if item not in (None, "", [], {}))
        return ", ".join(f"{words} {plain(item, of)}" for (words, of), item in said) or "–"
    if isinstance(value, list | tuple):
        return f"{'; '.join(plain(item) for item in value)} {unit}".rstrip()
    return _as_typed(str(value))


def _as_typed(text: str) -> str:
    """A text of a file; a quantity in it, such as 42 degC, with its unit as people write it."""
    amount, _, unit = text.partition(" ")
    return f"{amount} {UNITS[unit]}" if unit in UNITS and UNITS[unit] and amount[-1:].isdigit() else text


def pairs_of(mapping: Mapping[str, Any], leave: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """A mapping as labels and values, without what is empty."""
    rows = []
    for key, value in mapping.items():
        if key in leave or value in (None, "", [], {}):
            continue
        words, unit = label(str(key))
        rows.append((words[:1].upper() + words[1:], plain(value, unit)))
    return rows


def drawable(text: str, signs: Container[int]) -> str:
    """A text with every sign that the font lacks as its code (u4e2d): an archive must not show empty boxes."""
    return "".join(one if ord(one) in signs or one in " \n" else _code(one) for one in text)


def _code(one: str) -> str:
    return " " if one in "\t\r" else f"\\u{ord(one):04x}"


def as_json(value: Any) -> str:
    """JSON with sorted keys; what is no number is null."""
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, sort_keys=True, indent=1)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
