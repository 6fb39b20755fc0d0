"""A report as one HTML page: style and drawings inside, no script, nothing fetched."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from data.report.blocks import Block, Cell, Pairs, Plot, Report, Section, Signing, Table, Text
from data.report.figures import Drawing
from data.report.typeset import gathered
from data.report.vouched import Vouched
from data.report.wording import SIGNS
from data.seal import Verification

STYLE = """
:root { color-scheme: light; --ink: #1b2733; --muted: #55626e; --line: #c9d1d9;
  --good: #1f6b3f; --bad: #a3201d; --warn: #8a5200; }
body { font: 15px/1.45 Inter, "Segoe UI", system-ui, sans-serif; color: var(--ink); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
h3 { font-size: .95rem; margin: 1.2rem 0 .4rem; }
.banner { position: sticky; top: 0; background: #fff1d6; border: 1px solid var(--warn); color: var(--warn);
  padding: .4rem; text-align: center; font-weight: 600; }
.verdict { border-left: 6px solid var(--ink); background: #f4f6f8; padding: .6rem 1rem; }
.verdict strong { font-size: 1.4rem; } .verdict p { margin: .2rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9em; margin: .3rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); }
thead th { color: var(--muted); border-bottom-width: 2px; }
.right { text-align: right; } .strong { font-weight: 600; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); } .muted { color: var(--muted); }
dl { display: grid; grid-template-columns: 12rem 1fr; gap: .15rem 1rem; margin: .3rem 0; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 1rem 0; } figure img { max-width: 100%; }
footer { border-top: 1px solid var(--line); color: var(--muted); font-size: .8em; margin-top: 2rem;
  overflow-wrap: anywhere; }
td.room { height: 3rem; }
@media print { .banner { position: static; } h2 { break-after: avoid; } tr, figure { break-inside: avoid; } }
"""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def report_html(path: Path, *, found: Verification | None = None, vouched: Vouched | None = None) -> str:
    """The report of a run file as one page of HTML; arguments and errors as `data.report.typeset.report_pdf`."""
    report, figures, _ = gathered(path, found, vouched)
    return page(report, figures)


def page(report: Report, figures: Sequence[Drawing]) -> str:
    """A report as HTML."""
    return "\n".join(_page(report, figures)) + "\n"


def _page(report: Report, figures: Sequence[Drawing]) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>{escape(report.document)}</title>\n<style>{STYLE}</style>\n</head>\n<body>"
    if report.banner:
        yield f'<div class="banner" role="note">{escape(report.banner)}</div>'
    yield f"<h1>{escape(report.title)}</h1>\n<p>{escape(report.subject)}</p>"
    yield f'<div class="verdict"><strong class="{report.tone}">{escape(SIGNS[report.tone] + report.verdict)}</strong>'
    yield from (f"<p>{escape(line)}</p>" for line in report.verdict_lines)
    yield "</div>"
    for section in report.sections:
        yield from _section(section, figures)
    yield "<footer>"
    yield from (f"<p>{escape(line)}</p>" for line in (*report.footer, report.program))
    yield "</footer>\n</body>\n</html>"


def _section(section: Section, figures: Sequence[Drawing]) -> Iterator[str]:
    if section.title:
        yield f"<h2>{escape(section.title)}</h2>"
    for block in section.blocks:
        yield from _block(block, figures)


def _block(block: Block, figures: Sequence[Drawing]) -> Iterator[str]:
    match block:
        case Pairs():
            rows = (f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in block.rows)
            yield f"<dl>{''.join(rows)}</dl>"
        case Table():
            yield from _table(block)
        case Text(tone="heading"):
            yield f"<h3>{escape(block.text)}</h3>"
        case Text():
            yield f'<p class="{block.tone}">{escape(block.text)}</p>'
        case Plot():
            data = b64encode(figures[block.number].svg).decode()
            yield f'<figure><figcaption class="strong">{escape(block.caption)}</figcaption>'
            yield f'<img alt="{escape(block.alt)}" src="data:image/svg+xml;base64,{data}"></figure>'
        case Signing():
            rows = (
                f'<tr><td class="room">{escape(one)}</td><td></td><td></td><td></td></tr>' for one in block.meanings
            )
            head = "<th>Meaning</th><th>Name in print</th><th>Signature</th><th>Date</th>"
            yield f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        yield f"<h3>{escape(table.caption)}</h3>"
    sides = ["right" if at in table.right else "" for at in range(len(table.headings))]
    head = (
        f'<th scope="col" class="{side}">{escape(one)}</th>' for one, side in zip(table.headings, sides, strict=True)
    )
    yield f"<table><thead><tr>{''.join(head)}</tr></thead><tbody>"
    for row in table.rows:
        yield f"<tr>{''.join(_cell(one, side) for one, side in zip(row, sides, strict=True))}</tr>"
    yield "</tbody></table>"


def _cell(one: str | Cell, side: str) -> str:
    cell = Cell(one) if isinstance(one, str) else one
    classes = " ".join(filter(None, (side, cell.tone, "strong" if cell.strong else "")))
    return f'<td class="{classes}">{escape(cell.text)}</td>'
