"""``pumpbench locate``: whether what is odd in a run comes from the pump, the catheter, the rig or the record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.paths import FilePath
from bench.cli.review import readable, tell_altered

if TYPE_CHECKING:
    from protocols.analysis.locator import Cause, Location, Shown

WHOSE = {"dut": "pump", "catheter": "catheter", "rig": "rig", "record": "record", "nobody": "nobody"}
MOST, LEAST, FAR_BEHIND = 5, 2, 10.0
"""Causes that are printed: at most so many, and beyond the first two none so far behind; --json has all."""

EXIT_ODD = 1


@click.command()
@click.argument("run_file", type=FilePath())
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, with every cause and quantity.")
def locate(run_file: Path, as_json: bool) -> int:
    """Say whether what is odd in RUN_FILE comes from pump, catheter, rig or record, and what to do next.

    Exit code 0 when nothing is odd, 1 when something is or the file is altered.  It changes no verdict.
    """
    from bench.closing import evaluate
    from data.run import Run
    from protocols.analysis.locator import NOTHING
    from protocols.analysis.locator import locate as ranked

    with readable(run_file), Run.open(run_file) as run:
        stored = run.evaluation
        found = ranked(run, evaluate(run_file) if stored is None else stored)
    altered = tell_altered(run_file)
    if as_json:
        click.echo(json.dumps(document(found), indent=1, allow_nan=False))
    else:
        for line in told(found):
            click.echo(line)
    return 0 if found.first.name == NOTHING and not altered else EXIT_ODD


def document(found: Location) -> dict[str, Any]:
    """Everything, as plain data; what is not known is null."""
    return {
        "first": found.first.name,
        "owner": found.owner,
        "whose": list(found.whose),
        "objections": list(found.objections),
        "tied": list(found.tied),
        "next_action": found.next_action,
        "causes": [_cause(one) for one in found.causes],
        "shown": [asdict(one) for one in found.shown],
        "unseen": list(found.unseen),
        "alike": list(found.alike),
        "besides": found.besides,
    }


def _cause(one: Cause) -> dict[str, Any]:
    return {
        "name": one.name,
        "owner": one.owner,
        "says": one.says,
        "behind": round(one.behind, 3),
        "weight": round(one.weight, 6),
        "size_percent": one.size_percent,
        "explains": [each.name for each in one.explains],
        "leaves": [each.name for each in one.leaves],
        "lacks": [each.name for each in one.lacks],
    }


def told(found: Location) -> list[str]:
    """The answer for people: whose, the causes with their evidence, and what to do next."""
    from protocols.analysis.locator import UNKNOWN

    first = found.first
    whose = " or of the ".join(WHOSE[one] for one in found.whose if one != "nobody")
    said = [f"{first.says}: {first.name}, of the {whose}" if first.owner != "nobody" else first.says]
    if len(found.tied) > 1:
        said.append(f"  this run cannot tell it from {', '.join(name for name in found.tied if name != first.name)}")
    if found.alike:
        said.append(f"  and could not have shown {', '.join(found.alike)}, which would look the same")
    if first.name == UNKNOWN and found.objections:
        said.append(f"  it is odd by {', '.join(found.objections)}")
    if found.besides:
        said.append(f"  it does not explain everything; besides it {found.besides} does")
    said += ["", f"{'cause':24}{'whose':10}{'weight':>8}  likelihood behind the first"]
    for number, one in enumerate(found.causes[:MOST]):
        if number >= LEAST and one.behind > FAR_BEHIND:
            break
        size = f", size {one.size_percent:.3g} %" if one.size_percent else ""
        said.append(f"{one.name:24}{WHOSE[one.owner]:10}{one.weight:8.1%}  e^-{one.behind:.1f}{size}")
        said += _evidence("explains", one.explains)
        said += _evidence("does not explain", one.leaves)
        said += _evidence("has not shown", one.lacks)
    return [*said, "", f"next: {found.next_action}"]


def _evidence(word: str, found: Sequence[Shown]) -> list[str]:
    return [f"    {word}: {one}" for one in found]
