"""What was found, for a report: checks with their uncertainty and limits, budgets, further values."""

from __future__ import annotations

import math
from collections.abc import Sequence

from data.checks import Check, Evaluation, Verdict
from data.report.blocks import Block, Cell, Section, Table, Text
from data.report.wording import (
    freedom_text,
    label,
    limits_text,
    number,
    probability_text,
    unit_of,
    value_text,
    verdict_cell,
)

MOST_BUDGETS = 6
HEADINGS = ("Check", "Value ± U", "k", "ν_eff", "Limits", "Conformity", "Verdict")
WIDTHS = (4, 3, 0, 0, 2, 0, 0)


def verdict_lines(evaluation: Evaluation) -> list[str]:
    """What the verdict follows from."""
    counting = [check for check in evaluation.checks if not check.optional]
    told = len(evaluation.checks) - len(counting)
    more = f"; {told} more are told only" if told else ""
    lines = [
        f"The worst verdict of {len(counting)} checks that count{more}." if counting else f"No check counts{more}."
    ]
    deciding = [check.title for check in counting if check.verdict is evaluation.verdict]
    if evaluation.verdict is not Verdict.PASS and deciding:
        others = f" and {len(deciding) - 4} more" if len(deciding) > 4 else ""
        lines.append(f"Decided by: {'; '.join(deciding[:4])}{others}.")
    rules = sorted({check.rule for check in counting if check.rule and not check.suitability})
    if rules:
        lines.append(f"Decision rule: {'; '.join(rules)}.")
    return lines


def main_results(evaluation: Evaluation) -> Section:
    """The checks of the device that count, and whatever did not pass."""
    shown = [check for check in evaluation.checks if not check.optional and (not check.suitability or _bad(check))]
    if not shown:
        return Section("Main results", [Text("No check counts.")])
    rows: list[list[str | Cell]] = [
        [check.title, value_text(check), limits_text(check), verdict_cell(check)] for check in shown[:12]
    ]
    blocks: list[Block] = [Table(("Check", "Value ± U", "Limits", "Verdict"), rows, (4, 3, 2, 2), (1,))]
    if len(shown) > 12:
        blocks.append(Text(f"and {len(shown) - 12} more, see Checks.", "warn"))
    return Section("Main results", blocks)


def checks(evaluation: Evaluation) -> Section:
    """Every check."""
    groups = (
        ("Checks that count", [one for one in evaluation.checks if not one.optional and not one.suitability]),
        ("Was the rig fit? (if one of these fails, what depends on it is invalid)", _suitable(evaluation)),
        ("Told only", [one for one in evaluation.checks if one.optional and not one.suitability]),
    )
    blocks: list[Block] = [_table(title, group) for title, group in groups if group]
    blocks += [_sources(evaluation), *_notes(evaluation), *_values(evaluation)]
    blocks.append(
        Text(
            "U is the expanded uncertainty k·u with k of Student's t for 95.45 % at ν_eff degrees of freedom. "
            "Conformity is the probability that the true value is within the limits.",
            "muted",
        )
    )
    return Section("Checks", blocks)


def budgets(evaluation: Evaluation) -> Section:
    """Uncertainty budgets of the main checks: those that count first."""
    told = [check for check in evaluation.checks if check.budget and any(u for _, u in check.budget)]
    told.sort(key=lambda check: (check.suitability, check.optional))
    blocks: list[Block] = [_budget(check) for check in told[:MOST_BUDGETS]]
    if len(told) > MOST_BUDGETS:
        blocks.append(Text(f"Budgets of {len(told) - MOST_BUDGETS} more checks are in the attached run.json.", "muted"))
    return Section("Uncertainty budgets", blocks or [Text("No check of this protocol states a budget.", "muted")])


def _bad(check: Check) -> bool:
    return check.verdict not in (Verdict.PASS, Verdict.CONDITIONAL_PASS)


def _suitable(evaluation: Evaluation) -> list[Check]:
    return [check for check in evaluation.checks if check.suitability]


def _table(title: str, group: Sequence[Check]) -> Block:
    rows: list[list[str | Cell]] = [
        [
            check.title,
            value_text(check),
            number(check.coverage_factor, 3),
            freedom_text(check.degrees_of_freedom),
            limits_text(check),
            probability_text(check.conformity_probability),
            verdict_cell(check),
        ]
        for check in group
    ]
    return Table(HEADINGS, rows, WIDTHS, (1, 2, 3, 5), title)


def _sources(evaluation: Evaluation) -> Block:
    """Where limits and rules come from; what is the same for several checks is said once."""
    same: dict[tuple[str, str], list[str]] = {}
    for check in evaluation.checks:
        if check.limit_source:
            same.setdefault((check.limit_source, check.rule or "none"), []).append(check.title)
    rows = [
        [source, rule.replace(" = ", "\u00a0=\u00a0"), "; ".join(titles)] for (source, rule), titles in same.items()
    ]
    if not rows:
        return Text("No check has limits.", "muted")
    return Table(("Source of limits", "Decision rule", "Checks"), rows, (3, 3, 6), caption="Limits and rules")


def _notes(evaluation: Evaluation) -> list[Block]:
    same: dict[str, list[str]] = {}
    for check in evaluation.checks:
        for note in filter(None, check.note.split("; ")):
            same.setdefault(note, []).append(check.title)
    rows = [["; ".join(titles), note] for note, titles in same.items()]
    return [Table(("Check", "Remark"), rows, (1, 2), caption="Remarks")] if rows else []


def _values(evaluation: Evaluation) -> list[Block]:
    rows = []
    for name, value in evaluation.values.items():
        words, unit = label(name)
        rows.append([words, f"{number(value, 8)} {unit}".rstrip()])
    return [Table(("Name", "Value"), rows, (1, 1), caption="Further values")] if rows else []


def _budget(check: Check) -> Block:
    total = math.fsum(u * u for _, u in check.budget)
    unit = unit_of(check.unit)
    parts = sorted(check.budget, key=lambda part: -part[1])
    rows: list[list[str | Cell]] = [
        [source, f"{number(u, 3)} {unit}".rstrip(), f"{100 * u * u / total:.1f} %"] for source, u in parts if u
    ]
    none = [source for source, u in parts if not u]
    if none:
        rows.append([Cell(f"nothing from: {', '.join(none)}", "muted"), "0", "0 %"])
    combined = check.standard_uncertainty
    rows.append([Cell("combined u", strong=True), Cell(f"{number(combined, 3)} {unit}".rstrip(), strong=True), ""])
    expanded = f"U = {number(check.coverage_factor, 3)} · u, ν_eff = {freedom_text(check.degrees_of_freedom)}"
    said = f"{number(check.expanded_uncertainty, 3)} {unit}".rstrip()
    rows.append([Cell(expanded, strong=True), Cell(said, strong=True), ""])
    return Table(("Source", "u", "Share of u²"), rows, (4, 1, 1), (1, 2), f"{check.title}: {value_text(check)}")
