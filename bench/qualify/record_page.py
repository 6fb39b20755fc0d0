"""Pages of the qualified bench itself: the record of installation and operation, and requirement, test, evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from bench.qualify.hardware import BenchRecord, Part, said
from bench.qualify.page import document
from bench.qualify.requirements import Evidence, State, Traced
from data.checks import Check, Verdict

SIGNS = {
    Verdict.PASS: "✓",
    Verdict.CONDITIONAL_PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.CONDITIONAL_FAIL: "✗",
    Verdict.INVALID: "!",
    Verdict.NOT_MEASURED: "–",
    Verdict.NOT_CAPABLE: "?",
}
GOOD = (Verdict.PASS, Verdict.CONDITIONAL_PASS)

WORDS: dict[State, tuple[str, str]] = {
    "holds": ("✓", "shown"),
    "fails": ("✗", "not met"),
    "missing": ("…", "open"),
    "named": ("·", "by the suite"),
}


RULE = (
    "Every limit was stated before the runs. A result inside its limit by less than U is conditional; a bench whose U "
    "is over a third of a limit is not capable of it. Until every part was run the bench is not-measured at best."
)
SIMULATED = " This bench is simulated: it shows the guide, and proves nothing of metal and glass."
EVIDENCE = (
    "Rows of the matrix of faults show what the software finds on the simulated bench; checks of a part show what this "
    "bench measures. Open: a row or a part that was not run, or not to its end, a row that other code found, and what "
    "was found on a simulated bench."
)


def bench_page(record: BenchRecord) -> str:
    """Installation and operation of a bench."""
    title = f"Qualification of bench {record.station.name}"
    state = " bad" if record.verdict.fails else ""
    simulated = SIMULATED if record.station.simulated else ""
    body = (
        f"<h1>{escape(title)}</h1>\n"
        f'<p class="soft">{escape(record.station.title)}; {escape(record.made_at)}, {escape(record.person)}</p>\n'
        f'<p class="verdict{state}">{SIGNS[record.verdict]} {escape(str(record.verdict))}</p>\n'
        f"<p>{escape(RULE + simulated)}</p>\n"
        "<h2>Installation</h2>\n"
        + _table(
            ("instrument", "driver", "maker", "model", "serial", "firmware", "certificates"),
            map(_texts, record.installed),
        )
        + "\n<h2>Operation</h2>\n"
        + "\n".join(map(_part, record.parts))
        + "\n<h2>Software</h2>\n<dl>"
        + "".join(f"<dt>{escape(name)}</dt><dd>{escape(version)}</dd>" for name, version in record.software.items())
        + "</dl>"
        + f"\n<h2>Signatures</h2>\n<table><tbody>{''.join(map(_signature, ('done by', 'reviewed by')))}</tbody></table>"
    )
    return document(title, body)


def _signature(who: str) -> str:
    """A line for a name and a date."""
    return f'<tr><th>{who}</th><td style="min-width:16em"></td><th>date</th><td style="min-width:9em"></td></tr>'


def _texts(row: dict[str, str]) -> Sequence[str]:
    return [escape(value) for value in row.values()]


def _part(part: Part) -> str:
    if not part.run:
        return f'<h3>{escape(part.name)}</h3>\n<p class="soft">not run: {escape(part.why_not)}</p>'
    rows = [_check(check) for check in part.checks]
    head = ("check", "value ± U", "limits", "verdict", "")
    return (
        f"<h3>{escape(part.name)}</h3>\n{_table(head, rows)}\n"
        f'<p class="small">run <code>{escape(part.run)}</code>, {escape(part.status)}, {escape(part.file)}, '
        f"{escape(part.made_at)}, {escape(part.person)}</p>"
    )


def _check(check: Check) -> Sequence[str]:
    style = ' style="color:var(--bad)"' if check.verdict.fails else ""
    verdict = f'<span class="word"{style}>{SIGNS[check.verdict]} {escape(str(check.verdict))}</span>'
    value = said(check) if check.value is not None else ""
    return [escape(check.title), escape(value), escape(_limits(check)), verdict, escape(check.note)]


def _limits(check: Check) -> str:
    low, high = check.limit_low, check.limit_high
    unit = "" if check.unit == "1" else f" {check.unit}"
    if low is None and high is None:
        return ""
    if low is None:
        return f"≤ {high:g}{unit}"
    if high is None:
        return f"≥ {low:g}{unit}"
    return f"±{high:g}{unit}" if low == -high else f"{low:g} to {high:g}{unit}"


def requirements_page(traced: Sequence[Traced], made_at: str, made_of: Sequence[str] = ()) -> str:
    """Requirement, evidence, runs; with what the evidence was made of, in sentences."""
    title = "Requirements and their evidence"
    counts = {state: sum(each.state == state for each in traced) for state in WORDS}
    summary = ", ".join(f"{counts[state]} {word}" for state, (_, word) in WORDS.items() if counts[state])
    rows = "\n".join(map(_requirement, traced))
    basis = "".join(f"<p>{escape(each)}</p>\n" for each in made_of)
    headings = "".join(f"<th>{text}</th>" for text in ("requirement", "state", "evidence", "said", "runs"))
    body = (
        f'<h1>{title}</h1>\n<p class="soft">{escape(made_at)}</p>\n'
        f'<p class="verdict{" bad" if counts["fails"] else ""}">{len(traced)} requirements: {escape(summary)}.</p>\n'
        f"<p>{escape(EVIDENCE)}</p>\n{basis}"
        f'<div class="wide"><table class="matrix"><thead><tr>{headings}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )
    return document(title, body)


def _requirement(traced: Traced) -> str:
    lines = [_evidence(each) for each in traced.evidence]
    span = f' rowspan="{len(lines)}"'
    sign, word = WORDS[traced.state]
    state = {"fails": ' class="bad"', "missing": ' class="wait"'}.get(traced.state, "")
    head = (
        f'<th scope="row"{span} style="white-space:normal;max-width:34ch">{escape(traced.sentence)}'
        f'<br><span class="owner">{escape(traced.name)}</span></th>'
        f'<td{span}{state}><span class="word">{sign} {word}</span></td>'
    )
    return "\n".join(f"<tr>{head if number == 0 else ''}{line}</tr>" for number, line in enumerate(lines))


def _evidence(each: Evidence) -> str:
    sign = WORDS[each.state][0]
    runs = ", ".join(f"<code>{escape(run)}</code>" if len(run) == 16 else escape(run) for run in each.runs)
    return f"<td>{sign} {escape(each.name)}</td><td>{escape(each.said)}</td><td>{runs}</td>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    headings = "".join(f"<th>{escape(text)}</th>" for text in head)
    lines = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{headings}</tr></thead><tbody>\n{lines}\n</tbody></table></div>'
