"""The matrix on a terminal."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import TYPE_CHECKING

from bench.qualify import words
from bench.qualify.matrix import Line, Matrix

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 110
SURPRISES = 20


def print_matrix(matrix: Matrix) -> None:
    """Print every row with its count and what that proves, then what cannot be seen and what was not run."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    for (protocol, form), lines in groupby(matrix.lines, key=lambda line: (line.row.protocol, line.row.form)):
        _block(console, protocol, form, list(lines))
    if matrix.drawn_pumps:
        console.print("\n[bold]pumps drawn around their limit[/bold], by what truly left the tip")
        for each in matrix.drawn_pumps:
            console.print(f"  {'✓' if each.holds else '✗'} {words.pumps(each)}")
        if missed := words.pumps_missed(matrix):
            console.print(f"  ✗ {missed}")
    if matrix.surprises:
        console.print("\n[bold]not as claimed[/bold]")
        for line, trial in matrix.surprises[:SURPRISES]:
            said = trial["why"] or trial["verdict"] or trial["status"]
            kept = f"; {trial['kept']}" if trial.get("kept") else ""
            console.print(f"  {line.row.protocol}, {line.row.title}, seed {trial['seed']}: {said}{kept}", markup=False)
        if len(matrix.surprises) > SURPRISES:
            console.print(f"  and {len(matrix.surprises) - SURPRISES} more: see --json or matrix.html")
    if located := words.located_by(matrix):
        console.print(f"\n{located}.", markup=False)
    _reasons(console, "claimed, and found in no trial by", words.never_found_by(matrix))
    if rigs := words.alarmed_rigs(matrix):
        console.print(f"\nSound pumps: {rigs}.", markup=False)
    _reasons(console, "cannot be seen, and why", dict(matrix.plan.unseen))
    _reasons(console, "not run, and why", {each.protocol: each.why for each in matrix.plan.left_out})
    console.print(f"\n{words.summary(matrix)}.  Bounds are one-sided, 95 %.", markup=False)


def _block(console: Console, protocol: str, form: str, lines: list[Line]) -> None:
    from rich.table import Table
    from rich.text import Text

    console.print(f"\n[bold]{protocol}[/bold], {form}, on {lines[0].row.station}")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("")
    table.add_column("tried", ratio=3, overflow="fold")
    table.add_column("has to say it", ratio=3, overflow="fold")
    table.add_column("", no_wrap=True)
    table.add_column("count", no_wrap=True)
    table.add_column("proves", justify="right", no_wrap=True)
    table.add_column("located", no_wrap=True)
    table.add_column("told after", justify="right", no_wrap=True)
    for line in lines:
        sign, word = words.mark(line)
        style = "" if line.holds else "bold red"
        cells = (
            sign,
            line.row.title,
            words.claim(line.row),
            word,
            words.count(line),
            words.bound(line) if line.trials else "",
            words.located(line),
            words.duration(line.told_s),
        )
        table.add_row(*(Text(cell, style=style if k in (0, 3) else "") for k, cell in enumerate(cells)))
    console.print(table)


def _reasons(console: Console, heading: str, reasons: dict[str, str]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not reasons:
        return
    console.print(f"\n[bold]{heading}[/bold]")
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, why in reasons.items():
        table.add_row(Text(name), Text(why))
    console.print(table)
