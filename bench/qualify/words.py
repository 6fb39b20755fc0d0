"""How counts, bounds and times of the matrix are said, on a terminal as on the page."""

from __future__ import annotations

from bench.qualify.bounds import most_share
from bench.qualify.drawn import Count
from bench.qualify.matrix import Line, Matrix
from bench.qualify.plan import Row

STRATA = {
    "inside": "within 2 U inside the limit",
    "outside": "within 2 U outside the limit",
    "rest": "anywhere else",
}


def bound(line: Line) -> str:
    """What the count proves: "at least 86 %", of false alarms "at most 1.5 %"."""
    return f"{'≤' if line.about_alarms else '≥'} {percent(line.proved)}"


def percent(share: float) -> str:
    """A share in percent, with a decimal where it is small."""
    value = 100.0 * share
    return f"{value:.1f} %" if value < 9.95 else f"{value:.0f} %"


def count(line: Line) -> str:
    """How many trials said what is claimed, of how many; of sound pumps how many alarmed."""
    of = f"{len(line.trials)}" + ("" if line.complete else f" ({line.planned} planned)")
    return f"{len(line.surprises) if line.about_alarms else line.as_claimed} of {of}"


def mark(line: Line) -> tuple[str, str]:
    """Sign and word for a row."""
    if not line.trials:
        return "–", "not run yet"
    if any(not trial["verdict"] for trial in line.trials):
        return "✗", "did not run"
    if line.about_alarms:
        return ("✓", "no alarm") if line.holds else ("✗", "false alarm")
    if line.row.expected == "not-passed":
        return ("✓", "not hidden") if line.holds else ("✗", "hidden")
    return ("✓", "found") if line.holds else ("✗", "missed")


def claim(row: Row) -> str:
    """What has to say it, and whose fault it has to say that it is."""
    if row.expected == "sound":
        return "nothing" if row.fault else "pass"
    if row.expected == "not-passed":
        return "anything but a pass"
    return f"{(' and ' if row.every else ' or ').join(row.checks)} ({row.owner})"


def located(line: Line) -> str:
    """What the locator put first: right cause, then right owner where that is another number."""
    found = line.located
    if not found.trials:
        return ""
    owner = "" if found.owner == found.cause else f", owner {found.owner}/{found.trials}"
    return f"{found.cause}/{found.trials}{owner}"


def located_by(matrix: Matrix) -> str:
    """A sentence on what the locator put first, by owner; empty where it was not asked."""
    names = {"dut": "the pump", "rig": "the rig", "catheter": "the catheter", "record": "the record"}
    found = {names[name]: each for name, each in matrix.located.items() if name in names}
    said = ", ".join(f"{each.cause} of {each.trials} faults of {name}" for name, each in found.items())
    owners, runs = sum(each.owner for each in found.values()), sum(each.trials for each in found.values())
    return f"Right cause located first: {said}; right owner first: {owners} of {runs}" if runs else ""


def duration(seconds: float | None) -> str:
    """A time as a person says it."""
    if seconds is None:
        return ""
    for unit, size in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2.0 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"


def pumps(each: Count) -> str:
    """A sentence on the drawn pumps of one stratum."""
    wrong = {"inside": "failed", "outside": "passed", "rest": "judged wrongly"}[each.stratum]
    proof = f"at most {percent(each.at_most)}" if each.pumps else "none was run"
    none = f"; {each.no_verdict} without a verdict ({each.may_be_unjudged} allowed)" if each.no_verdict else ""
    return f"{each.pumps} {STRATA[each.stratum]}: {each.wrong} {wrong} ({each.allowed} allowed), {proof}{none}"


def pumps_missed(matrix: Matrix) -> str:
    """A sentence on drawn pumps that do not count; empty where each does."""
    missed = sum(len(line.surprises) for line in matrix.drawn_lines)
    said = [f"{some(missed, 'pump')} without a judged mean, which counts as a miss"] if missed else []
    if not matrix.drawn_where_aimed:
        said.append("too few pumps fell near the limit")
    return "; ".join(said)


def alarmed_rigs(matrix: Matrix) -> str:
    """What the sound pumps prove together; empty where no rig had all of them."""
    alarmed, rigs = matrix.alarmed_rigs
    if not rigs:
        return ""
    most = percent(most_share(alarmed, rigs))
    return f"{alarmed} of {some(rigs, 'rig')} on which each was run alarmed in any row, which proves at most {most}"


def never_found_by(matrix: Matrix) -> dict[str, str]:
    """Claims that no trial bears out, by protocol and fault."""
    found: dict[str, list[str]] = {}
    for protocol, fault, check in matrix.never_found_by:
        found.setdefault(f"{protocol}, {fault}", []).append(check)
    return {name: ", ".join(checks) for name, checks in found.items()}


def summary(matrix: Matrix) -> str:
    """One sentence on all of it."""
    faults = [line for line in matrix.lines if line.row.fault]
    right = sum(line.holds and line.complete for line in faults)
    alarms, sound = matrix.alarms
    said = f"{right} of {some(len(faults), 'row')} as claimed; {some(alarms, 'false alarm')} in "
    said += f"{some(sound, 'run')} of sound pumps"
    if not matrix.drawn_hold:
        said += "; pumps around their limit not as asked for"
    return said if matrix.complete else f"{said}; trials are missing"


def some(number: int, what: str) -> str:
    """A number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"
