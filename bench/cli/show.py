"""How results look on a terminal and in JSON."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import click

from data.checks import Check, Evaluation, Verdict, four_digits

if TYPE_CHECKING:
    from rich.table import Table

    from bench.session import Result

MARKS = {
    Verdict.PASS: "✓",
    Verdict.CONDITIONAL_PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.CONDITIONAL_FAIL: "✗",
    Verdict.INVALID: "!",
    Verdict.NOT_MEASURED: "–",
    Verdict.NOT_CAPABLE: "?",
}

STYLES = {
    Verdict.FAIL: "bold red",
    Verdict.CONDITIONAL_FAIL: "red",
    Verdict.INVALID: "bold yellow",
    Verdict.NOT_CAPABLE: "yellow",
}


def check_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Checks as plain data; what is not finite is null."""
    return [
        {
            "name": check.name,
            "value": _finite(check.value),
            "unit": check.unit,
            "expanded_uncertainty": _finite(check.expanded_uncertainty),
            "coverage_factor": _finite(check.coverage_factor),
            "limit_low": _finite(check.limit_low),
            "limit_high": _finite(check.limit_high),
            "conformity_probability": _finite(check.conformity_probability),
            "verdict": str(check.verdict),
            "title": check.title,
            "standard_uncertainty": _finite(check.standard_uncertainty),
            "degrees_of_freedom": _finite(check.degrees_of_freedom),
            "owner": check.owner,
            "suitability": check.suitability,
            "optional": check.optional,
            "note": check.note,
        }
        for check in evaluation.checks
    ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def check_table(evaluation: Evaluation) -> None:
    """Print the checks as a table, and what is to be said of them."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(table_of(evaluation))
    for line in [*notes_of(evaluation), *values_of(evaluation)]:
        click.echo(line)


def table_of(evaluation: Evaluation) -> Table:
    """The checks as a table."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading, align in (("Check", "left"), ("Value ± U", "right"), ("Limits", "left"), ("Verdict", "left")):
        table.add_column(heading, justify=align)  # type: ignore[arg-type]  # rich's own literal type
    for check in evaluation.checks:
        word = f"{MARKS[check.verdict]} {check.verdict}"
        if check.optional and check.verdict is Verdict.NOT_MEASURED and check.value is not None:
            word = "– no limit"
        verdict = Text(word, style=STYLES.get(check.verdict, ""))
        table.add_row(Text(check.title), _value(check), _limits(check), verdict)
    return table


def notes_of(evaluation: Evaluation) -> list[str]:
    """What is to be said of single checks, and of what was left out; what is said of many is said once."""
    titles: dict[str, list[str]] = {}
    for check in evaluation.checks:
        for note in filter(None, check.note.split("; ")):
            titles.setdefault(note, []).append(check.title)
    notes = [f"  {_listed(named)}: {note}" for note, named in titles.items()]
    return notes + [f"  not used: {gap.from_s:.0f} s to {gap.to_s:.0f} s, {gap.reason}" for gap in evaluation.excluded]


def values_of(evaluation: Evaluation) -> list[str]:
    """What was found besides the checks, such as the gain and offset of a calibration; the unit is in the name."""
    width = max(map(len, evaluation.values), default=0)
    lines = [f"  {name:<{width}}  {value:.6g}" for name, value in evaluation.values.items()]
    return ["", "values", *lines] if lines else []


def value_row(evaluation: Evaluation) -> dict[str, float | None]:
    """The same as plain data; what is not finite is null."""
    return {name: _finite(value) for name, value in evaluation.values.items()}


def _listed(titles: list[str]) -> str:
    return ", ".join(titles) if len(titles) <= 2 else f"{titles[0]} and {len(titles) - 1} more"


def result_table(result: Result) -> None:
    """Print what became of a run."""
    check_table(result.evaluation)
    click.echo()
    for line in ending_of(result):
        click.echo(line)


def ending_of(result: Result) -> list[str]:
    """How a run ended, what it says, and where its record is."""
    status = str(result.end.status)
    why = "" if status == "completed" else f": {result.end.reason}"
    return [
        f"status    {status}{why}",
        f"verdict   {result.evaluation.verdict}",
        f"origin    {result.origin}",
        f"record    {result.verification.state}, digest {result.verification.digest[:16]}…",
        f"time      {result.simulated_s / 3600:.1f} h of bench time in {result.wall_s:.1f} s",
        f"run file  {result.run_file}",
    ]


def _value(check: Check) -> str:
    """Value and U, both to the second digit of U; an error in percent has its sign."""
    if check.value is None:
        return "–"
    sign = "+" if check.unit == "%" and not check.suitability else ""
    if check.expanded_uncertainty:
        digits = max(0, 1 - math.floor(math.log10(check.expanded_uncertainty)))
        text = f"{check.value:{sign}.{digits}f} ± {check.expanded_uncertainty:.{digits}f}"
    else:
        text = four_digits(check.value, sign if check.value else "")
    return f"{text} {_unit(check)}".rstrip()


def _limits(check: Check) -> str:
    """Limits as declared; those that the rig's own uncertainty gives have more digits than anybody needs."""
    digits = ".3g" if check.suitability else "g"
    low, high = (None if one is None else f"{one:{digits}}" for one in (check.limit_low, check.limit_high))
    if low is not None and high is not None:
        text = f"±{high}" if low == f"-{high}" else f"{low} to {high}"
    elif high is not None:
        text = f"≤ {high}"
    elif low is not None:
        text = f"≥ {low}"
    else:
        return ""
    return f"{text} {_unit(check)}".rstrip()


def _unit(check: Check) -> str:
    return {"1": "", "degC": "°C"}.get(check.unit, check.unit)
