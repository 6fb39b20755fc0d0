"""The matrix as one page of HTML that needs nothing else: faults down, protocols across, colour only where amiss."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from bench.qualify import words
from bench.qualify.matrix import Line, Matrix
from data.hdf5 import writing

STYLE = Path(__file__).parent / "page.css"

INTRODUCTION = (
    "Each trial is a whole run of a protocol through the real drivers and the same evaluation as in the lab; only what "
    "is behind the wires is simulated, and each seed draws another rig. A fault of the pump has to fail the pump; one "
    "of the rig, the catheter or the record must neither fail nor pass it. Bounds are exact (Clopper and Pearson), "
    "one-sided, 95 %: 20 of 20 prove 86 %, 3 of 3 no more than 37 %, 2 of 2 22 %."
)
TOLD_AFTER = (
    'An empty cell: the protocol does not claim the fault. "told after" is the median time from the onset to the '
    "moment at which the bench says so: the evaluation at the end of the run, or an interlock."
)
LOCATED = 'Below, "located" counts the runs in which the locator put the right cause first, by the run file alone.'
DRAWN = "Counted by what truly left the catheter tip, as the simulated plant tells it, by the mean's U and its verdict."
TRUTH = (
    "Each mean flow error of a sound row is held against what truly left the tip: more of them beyond U than chance "
    "explains, or one beyond 2 U, are false alarms."
)


def write_page(out: Path, text: str) -> None:
    """Write a page, in place of an earlier one of this name; raises RecordError when the disk does not take it."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    with writing(out):
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)


def document(title: str, body: str) -> str:
    """A whole page around its body."""
    style = STYLE.read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def page(matrix: Matrix) -> str:
    """The matrix as a page."""
    title = "Qualification of the simulated bench"
    parts = (
        _head(matrix, title),
        _matrix(matrix),
        _sound(matrix),
        _drawn(matrix),
        _surprises(matrix),
        _reasons("Claimed, and found in no trial by", "protocol, fault", words.never_found_by(matrix).items()),
        _reasons("Cannot be seen, and why", "fault", matrix.plan.unseen.items()),
        _reasons("Not run, and why", "protocol", ((each.protocol, each.why) for each in matrix.plan.left_out)),
        _identity(matrix),
    )
    return document(title, "\n".join(part for part in parts if part))


def _head(matrix: Matrix, title: str) -> str:
    form = "Quick form" if matrix.plan.quick else "Full form"
    good = matrix.holds and matrix.complete
    sign = "✓" if good else "✗" if not matrix.holds else "…"
    located = words.located_by(matrix)
    return (
        f"<h1>{title}</h1>\n"
        f'<p class="soft">{form}, {words.some(matrix.plan.seeds, "seed")}, {escape(matrix.made_at)}</p>\n'
        f'<p class="verdict{"" if matrix.holds else " bad"}">{sign} {escape(words.summary(matrix))}.</p>\n'
        f"<p>{escape(INTRODUCTION)}</p>" + (f"\n<p>{escape(located)}. {escape(LOCATED)}</p>" if located else "")
    )


# ------------------------------------------------------------------------------------------------------- the matrix


def _matrix(matrix: Matrix) -> str:
    lines = [line for line in matrix.lines if line.row.fault]
    if not lines:
        return ""
    protocols = list(dict.fromkeys(line.row.protocol for line in lines))
    faults = list(dict.fromkeys(line.row.fault for line in lines))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in protocols)
    rows = []
    for fault in faults:
        of_fault = [line for line in lines if line.row.fault == fault]
        cells = "".join(_cell([line for line in of_fault if line.row.protocol == name]) for name in protocols)
        owner = escape(of_fault[0].row.owner)
        rows.append(f'<tr><th scope="row">{escape(fault)}<br><span class="owner">{owner}</span></th>{cells}</tr>')
    return (
        '<h2>Faults</h2>\n<div class="wide"><table class="matrix">\n'
        f'<thead><tr><th scope="col">fault, and whose</th>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(rows)
        + "\n</tbody>\n"
        "</table></div>\n"
        f'<p class="small">{escape(TOLD_AFTER)}</p>'
    )


def _cell(lines: Sequence[Line]) -> str:
    if not lines:
        return "<td></td>"
    amiss = "bad" if not all(line.holds for line in lines) else "" if all(line.complete for line in lines) else "wait"
    state = f' class="{amiss}"' if amiss else ""
    return f"<td{state}>{''.join(map(_trials, lines))}</td>"


def _trials(line: Line) -> str:
    """One row of the plan within its cell."""
    sign, word = words.mark(line)
    proved = f", {words.bound(line)}" if line.trials else ""
    told = f"; told after {words.duration(line.told_s)}" if line.told_s else ""
    located = words.located(line)
    told += f"; located {located}" if located else ""
    tried = line.row.title.removeprefix(line.row.fault).strip()
    return (
        f'<div class="each"><span class="word">{sign} {word}</span> {escape(words.count(line))}{escape(proved)}'
        f'<div class="small">{escape(line.row.form)}: {escape(tried)}<br>'
        f"{escape(words.claim(line.row))}{escape(told)}</div></div>"
    )


# -------------------------------------------------------------------------------------------- pumps that are sound


def _sound(matrix: Matrix) -> str:
    lines = [line for line in matrix.lines if not line.row.fault]
    if not lines:
        return ""
    rows = []
    for line in lines:
        sign, word = words.mark(line)
        said = ", ".join(f"{count} {verdict}" for verdict, count in line.verdicts.items())
        state = "" if line.holds else ' class="bad"'
        rows.append(
            f"<tr><td>{escape(line.row.protocol)}</td><td>{escape(line.row.form)}</td>"
            f'<td{state}><span class="word">{sign} {word}</span></td>'
            f"<td>{escape(words.count(line))}</td><td>{words.bound(line) if line.trials else ''}</td>"
            f"<td>{said}</td></tr>"
        )
    head = "<tr><th>protocol</th><th>form</th><th></th><th>false alarms</th><th>proves</th><th>verdicts</th></tr>"
    return (
        f"<h2>Sound pumps on sound rigs</h2>\n<table><thead>{head}</thead><tbody>\n"
        + "\n".join(rows)
        + f'\n</tbody></table>\n<p class="small">{escape(" ".join(filter(None, (_together(matrix), TRUTH))))}</p>'
    )


def _together(matrix: Matrix) -> str:
    said = words.alarmed_rigs(matrix)
    return f"{said}: the rows of a seed share its rig." if said else ""


def _drawn(matrix: Matrix) -> str:
    if not matrix.drawn_pumps:
        return ""
    missed = words.pumps_missed(matrix)
    amiss = f'\n<p class="verdict bad">✗ {escape(missed)}.</p>' if missed else ""
    said = "\n".join(
        f'<tr><td{"" if each.holds else " class=bad"}><span class="word">{"✓" if each.holds else "✗"}</span> '
        f"{escape(words.pumps(each))}</td></tr>"
        for each in matrix.drawn_pumps
    )
    head = f"<h2>Pumps drawn around their limit</h2>\n<p>{escape(DRAWN)}</p>"
    return f"{head}\n<table><tbody>\n{said}\n</tbody></table>{amiss}"


# ------------------------------------------------------------------------------------------------------------ lists


def _surprises(matrix: Matrix) -> str:
    rows = [
        (
            f"{line.row.protocol}, {line.row.form}: {line.row.title}, seed {trial['seed']}",
            "; ".join(filter(None, (str(trial["why"] or trial["verdict"]), str(trial.get("kept") or "")))),
        )
        for line, trial in matrix.surprises
    ]
    return _reasons("Not as claimed", "trial", rows)


def _reasons(heading: str, what: str, reasons: Iterable[tuple[str, str]]) -> str:
    rows = "\n".join(f"<tr><th scope=row>{escape(name)}</th><td>{escape(why)}</td></tr>" for name, why in reasons)
    if not rows:
        return ""
    head = f"<thead><tr><th>{what}</th><th>why</th></tr></thead>"
    return f"<h2>{escape(heading)}</h2>\n<table>{head}<tbody>\n{rows}\n</tbody></table>"


def _identity(matrix: Matrix) -> str:
    facts = [("made at", matrix.made_at), ("seeds", f"1 to {matrix.plan.seeds}")]
    facts += [(f"station {name}", f"sha256 {digest}") for name, digest in matrix.plan.stations.items()]
    facts += [("plan", f"sha256 {matrix.plan.digest}"), ("code", f"sha256 {matrix.code}")]
    facts += list(matrix.software.items())
    said = "".join(f"<dt>{escape(name)}</dt><dd><code>{escape(value)}</code></dd>" for name, value in facts)
    return f"<h2>What was run</h2>\n<dl>{said}</dl>"
