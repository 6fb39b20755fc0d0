"""The verdict of a refill: was the rig fit and the needle where it belongs, what is missing, and what came after."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from data.checks import Axis, Check, Curve, Evaluation, Exclusion, Limits, Verdict
from data.run import Run
from protocols.analysis import suitability, syringe
from protocols.analysis.budget import Component, bounded
from protocols.analysis.decision import judge, reported, result
from protocols.analysis.gravimetric_record import GravimetricRecord, GravimetricRecordError, read_record
from protocols.analysis.recurring_falls import steps
from protocols.analysis.refill import after, records, septum
from protocols.analysis.refill.ledger import Ledger, Syringes, ledger, syringes
from protocols.analysis.refill.needle import STEADY_N, Insertion, insertion
from protocols.analysis.rig_fitness import fitness

STOP_MM = 1.0
"""The stop lies within this of its stated depth."""

SETTLE_S = 10.0
NEEDLE = ("needle-at-stop", "needle-free")
SYRINGES = (*NEEDLE, "weighed-counted")
BALANCE = (
    "rig-check",
    "data-complete",
    "excluded",
    "recurring-falls",
    "air-density",
    "post-refill-window",
    "evaporation",
    "blanks-agree",
    "balance-alive",
    "no-air",
    "sensor-balance-ratio",
    "ratio-steady",
    "outlet-pressure",
    "bath-temperature",
)
RECORDS = ("read-back",)


@dataclass(frozen=True)
class _Refill:
    """One run, ready to be judged; ``record`` is None where delivery never started.

    ``unread`` numbers the insertions that were made and not recorded.
    """

    run: Run
    record: GravimetricRecord | None
    found: Syringes | None
    closed: Ledger | None
    insertions: tuple[Insertion, ...]
    unread: tuple[int, ...] = ()

    @property
    def limits(self) -> Mapping[str, Any]:
        """What the pump's file declares of a refill."""
        return dict((self.run.dut.get("limits") or {}).get("refill") or {})

    @property
    def source(self) -> str:
        """Where the limits come from."""
        return f"{self.limits.get('source')}, revision {self.limits.get('revision')}"

    def limit(self, key: str, *, both: bool = False) -> Limits | None:
        """A declared limit, one-sided or on both sides of nothing; None where it is not declared."""
        value = self.limits.get(key)
        return None if value is None else Limits(-value if both else None, value, self.source)


def evaluate(run: Run) -> Evaluation:
    """Judge a refill."""
    refill = _read(run)
    excluded = _exclusions(refill.record)
    fit = [*_needle(refill), *_weighed_counted(refill)]
    if refill.record is not None:
        fit += fitness(refill.record, excluded)
        fit.append(_undisturbed(refill.record, excluded))
    started_s = None if refill.record is None else refill.record.started_s
    date, values = after.alarm_date(run, _filled(refill), refill.limit("count_ul", both=True), started_s)
    judged = [
        *_insertion_force(refill),
        *_ledger(refill),
        *_filling(refill),
        *_delivery(refill),
        date,
        septum.leak(run, _density(refill), refill.limits.get("septum_leak_ul_per_h"), refill.source, NEEDLE),
        septum.life(run),
        *records.reconciled(run),
    ]
    checks = _on_suitability([*judged, *fit])
    return Evaluation(tuple(checks), tuple(_curves(refill)), excluded, {**values, **_values(refill)})


def _read(run: Run) -> _Refill:
    made = {number: insertion(run, number) for number in (1, 2) if f"insert-{number}" in run.answers}
    insertions = tuple(one for one in made.values() if one is not None)
    unread = tuple(number for number, one in made.items() if one is None)
    try:
        record = read_record(run)
    except GravimetricRecordError:
        return _Refill(run, None, None, None, insertions, unread)
    weighing = record.collected.weighing
    found = syringes(run, weighing.fluid_mg_per_ul, weighing.air_mg_per_ul)
    return _Refill(run, record, found, ledger(run, record, found), insertions, unread)


def _density(refill: _Refill) -> float:
    return 1.0 if refill.record is None else refill.record.collected.weighing.fluid_mg_per_ul


def _filled(refill: _Refill) -> tuple[float, float] | None:
    if refill.found is None or refill.found.filled_ul is None:
        return None
    return refill.found.filled_ul, refill.found.volume("", refill.found.filled_ul).u


def _on_suitability(checks: list[Check]) -> list[Check]:
    """A number on an unfit rig, an open ledger or another program says nothing of the pump."""
    bad = {
        check.name
        for check in checks
        if (check.suitability and check.verdict is Verdict.INVALID)
        or (check.owner == "record" and check.verdict is Verdict.FAIL)
    }
    done = []
    for check in checks:
        blamed = sorted(bad & set(check.depends_on))
        if blamed and check.verdict is not Verdict.NOT_MEASURED:
            note = f"{check.note}; " if check.note else ""
            check = replace(check, verdict=Verdict.INVALID, note=f"{note}it stands on what failed: {', '.join(blamed)}")
        done.append(check)
    return done


def _exclusions(record: GravimetricRecord | None) -> tuple[Exclusion, ...]:
    """Falls of the mass while delivery was watched, what a person took out, and what was disturbed."""
    if record is None:
        return ()
    from_s, to_s = record.started_s, record.analysis[1]
    found = steps(record)
    for event in record.run.records("exclusion"):
        what = event.fields
        found.append(Exclusion(what["from_s"], what["to_s"], what["reason"], what["person"]))
    for event in record.run.records("disturbed"):
        what = event.fields
        if record.run.roles["reference_mass"] in what["channels"] and what["to_s"] > from_s and what["from_s"] < to_s:
            found.append(Exclusion(what["from_s"], what["to_s"], str(what.get("why") or "disturbed")))
    return tuple(found)


# ------------------------------------------------------------------------------------------- was the rig fit


def _undisturbed(record: GravimetricRecord, excluded: tuple[Exclusion, ...]) -> Check:
    """Overdoses come in the hours after a refill: nothing of them may be missing."""
    from_s, to_s = record.started_s, record.analysis[1]
    lost = math.fsum(max(0.0, min(one.to_s, to_s) - max(one.from_s, from_s)) for one in excluded)
    note = "something of the hours after the refill is left out" if lost else ""
    limits = Limits(None, 0.0, "protocol")
    return suitability.judged("post-refill-window", "Left out after the refill", "s", lost, 0.0, limits, note)


def _needle(refill: _Refill) -> Iterator[Check]:
    """Whether the needle stood at its stop, at each insertion; the worst counts."""
    name, title = "needle-at-stop", "Force of the needle stop"
    if not refill.insertions:
        yield suitability.not_measured(name, title, "N", "no insertion was recorded")
        return
    params = refill.run.params
    worst = min(refill.insertions, key=lambda one: one.rest_n)
    deep = abs(worst.depth_mm - float(params["stop_mm"]) - float(params["press_mm"])) <= STOP_MM
    limits = Limits(float(params["stop_force_n"]), None, "parameter stop_force")
    note = _at_stop(worst, deep, worst.rest_n >= float(params["stop_force_n"]))
    check = suitability.judged(name, title, "N", worst.rest_n, worst.u_rest_n, limits, note)
    check = check if deep else replace(check, verdict=Verdict.INVALID)
    if refill.unread and check.verdict is Verdict.PASS:
        note = f"insertion {' and '.join(map(str, refill.unread))} was not recorded"
        check = suitability.not_measured(name, title, "N", note)
    yield check
    free = max((one.free_n for one in refill.insertions), key=abs)
    limits = Limits(-STEADY_N, STEADY_N, "protocol")
    touches = "something touches the needle, or the gauge was not zeroed" if abs(free) > STEADY_N else ""
    yield suitability.judged("needle-free", "Force of the free needle", "N", free, 0.0, limits, touches)


def _at_stop(one: Insertion, deep: bool, pressed: bool) -> str:
    """Why the needle is not at the stop; empty when it is."""
    if not deep:
        return f"the stage stood at {one.depth_mm:.1f} mm"
    if pressed:
        return ""
    if one.peak_n is None:
        return "nothing was pierced: the needle went beside the port"
    return f"the septum was pierced at {one.peak_mm:.1f} mm and no stop was felt: the needle is too short"


def _weighed_counted(refill: _Refill) -> Iterator[Check]:
    """What the syringe has lost by weight, or by its graduation, against the count of its pump."""
    name, title = "weighed-counted", "Filling by the syringe less its pump's count"
    counted, u_counted = _counted(refill.run)
    if refill.found is None or refill.found.filled_ul is None or counted is None:
        yield suitability.not_measured(name, title, "uL", "filling was not measured twice")
        return
    filled = refill.found.filled_ul
    held = bounded("compressed in the syringe", _held_ul(refill.run))
    u = math.hypot(u_counted, refill.found.volume("", filled).u, held.u)
    limits = Limits(-suitability.CERTAIN * u, suitability.CERTAIN * u, "3 u of both")
    note = (
        "the scale, or the syringe in its pump, is another one"
        if abs(filled - counted) > suitability.CERTAIN * u
        else ""
    )
    yield suitability.judged(name, title, "uL", filled - counted, u, limits, note)


def _counted(run: Run) -> tuple[float | None, float]:
    """Volume that the pump counted while filling, by its certificate, and its standard uncertainty."""
    found = [event.fields for event in run.records("syringe") if event.fields.get("key") == "filled"]
    if not found:
        return None, 0.0
    counted = syringe.syringe_gain(run, "pusher") * float(found[-1]["infused_ul"])
    return counted, counted * syringe.syringe_u_percent(run, "pusher") / 100.0


def _held_ul(run: Run) -> float:
    """Volume that the pressure limit, or what was seen beyond it, compresses into syringe and line."""
    stated = run.station.get("protection") or {}
    highest = max(float(run.params["full_kpa"]), _highest_kpa(run) or 0.0)
    return float(stated.get("compliance_ul_per_kpa") or 0.0) * highest


# -------------------------------------------------------------------------------------------------- the port


def _insertion_force(refill: _Refill) -> Iterator[Check]:
    pierced = [one for one in refill.insertions if one.peak_n is not None]
    limit = refill.limit("insertion_force_n")
    if not pierced:
        check = reported("insertion-force", "Insertion force, peak", None, "N", "nothing was pierced", NEEDLE)
        yield replace(check, optional=limit is None)
        return
    hardest = max(pierced, key=lambda one: one.peak_n or 0.0)
    fields = judge(hardest.peak_n, hardest.u_peak_n, math.inf, limit)
    yield Check(
        "insertion-force",
        "Insertion force, peak",
        unit="N",
        owner="dut",
        optional=limit is None,
        depends_on=NEEDLE,
        note=f"at {hardest.peak_mm:.1f} mm; " + ", ".join(f"{one.peak_n:.2f} N" for one in pierced),
        **fields,
    )
    plateaus = [one.plateau_n for one in pierced if one.plateau_n is not None]
    if plateaus:
        mean = math.fsum(plateaus) / len(plateaus)
        yield reported("friction", "Friction of the septum, plateau", mean, "N", depends_on=NEEDLE)


# ------------------------------------------------------------------------------------------------ the ledger


def _ledger(refill: _Refill) -> Iterator[Check]:
    """What is missing; whether the ledger closes; and what the residual says of the delivery."""
    closed = refill.closed
    if closed is None:
        note = "filling, delivery and second emptying were not all measured"
        yield _missing("pocket-fill", "Missing after the refill", "uL", note)
        yield _missing("residual", "Delivered, by the residual, against programmed", "%", note)
        return
    note = (
        f"filled {closed.filled_ul / 1000.0:.3f} mL, delivered {closed.delivered_ul / 1000.0:.3f} mL, "
        f"came back {closed.emptied_ul / 1000.0:.3f} mL"
    )
    yield result(
        "pocket-fill",
        "Missing after the refill",
        closed.missing_ul,
        closed.budget,
        refill.limit("pocket_ul", both=True),
        depends_on=(*SYRINGES, *BALANCE),
        note=note,
    )
    half = suitability.CERTAIN * closed.budget.u
    open_note = "more than all uncertainties together is missing" if abs(closed.missing_ul) > half else "it closes"
    closes = suitability.judged(
        "ledger",
        "Filled less delivered less residual",
        "uL",
        closed.missing_ul,
        closed.budget.u,
        Limits(-half, half, "3 u of the ledger"),
        open_note,
        closed.budget.dof,
        owner="record",
    )
    yield replace(closes, depends_on=(*SYRINGES, *BALANCE), budget=closed.budget.rows())
    yield _residual(refill, closed)


def _missing(name: str, title: str, unit: str, note: str) -> Check:
    return Check(name, title, None, unit, Verdict.NOT_MEASURED, "dut", note=note)


def _residual(refill: _Refill, closed: Ledger) -> Check:
    """A residual that is too large is under-delivery, one that is too small over-delivery."""
    declared = refill.run.dut["limits"]["mean"]
    limits = None
    if isinstance(declared, dict):
        source = f"{declared['source']}, revision {declared['revision']}"
        limits = Limits(declared["low_percent"], declared["high_percent"], source)
    if closed.programmed_ul <= 0.0:
        return _missing("residual", "Delivered, by the residual, against programmed", "%", "nothing was programmed")
    budget = closed.residual_budget.scaled("residual", "%", 100.0 / closed.programmed_ul)
    expected = closed.filled_ul - closed.programmed_ul
    note = f"residual {closed.emptied_ul / 1000.0:.3f} mL where the schedule leaves {expected / 1000.0:.3f} mL"
    return result(
        "residual",
        "Delivered, by the residual, against programmed",
        100.0 * (closed.by_residual_ul / closed.programmed_ul - 1.0),
        budget,
        limits,
        depends_on=(*SYRINGES, *RECORDS, "ledger"),
        note=note,
    )


# ----------------------------------------------------------------------------------------------- the filling


def _filling(refill: _Refill) -> Iterator[Check]:
    run = refill.run
    before = next((event.fields for event in run.records("pump") if event.fields.get("key") == "before"), None)
    first = None if refill.found is None else refill.found.emptied_ul[0]
    counted = math.nan if before is None else float(before["reservoir_ul"])
    note = f"its count said {counted / 1000.0:.3f} mL" if math.isfinite(counted) else ""
    yield reported("aspirated", "Aspirated before the refill", first, "uL", note, SYRINGES)
    filled = _filled(refill)
    limited = _limited(run, _PUSHED)
    stopped = f"the pressure limit ended the phase {limited[0]}" if limited else ""
    yield reported("filled", "Filled", None if filled is None else filled[0], "uL", stopped, SYRINGES)
    yield reported("refill-pressure", "Refill pressure, highest", _highest_kpa(run), "kPa")
    capacity = _capacity(refill)
    yield capacity
    yield _told(refill, capacity)


def _told(refill: _Refill, capacity: Check) -> Check:
    """What the pump was told against what went in, by what its count may be off; by 3 u where nothing is declared."""
    filled = _filled(refill)
    u = math.hypot(filled[1] if filled else 0.0, _counted(refill.run)[1], bounded("", _held_ul(refill.run)).u)
    limit = refill.limit("count_ul", both=True)
    closed_early = capacity.verdict.fails and capacity.value is not None and capacity.value < 0.0
    certain_ul = suitability.CERTAIN * u
    return after.told_filled(refill.run, filled, limit, certain_ul, SYRINGES, closed_early=closed_early)


_PUSHED = ("filling", "filling-slowly")
_OVERFILLED = ("over-filling-early", "over-filling")


def _capacity(refill: _Refill) -> Check:
    """Where the reservoir's valve closed, against the stated capacity; at least that where it did not when pushed."""
    name, title = "capacity", "Volume at which the reservoir closed, less its capacity"
    run, found = refill.run, refill.found
    tested = found is not None and found.overfilled_ul is not None
    early, slow = _OVERFILLED if tested else _PUSHED
    ended = _limited(run, (early, slow))
    # A needle's resistance ends the fast phase, too: a reservoir that closed ends the slow one after it as well.
    closed = slow in ended
    fast = f"the pressure limit ended the phase {early}, which closes nothing by itself" if early in ended else ""
    volume = None if found is None else found.overfilled_ul if tested else found.filled_ul
    limit = refill.limit("capacity_ul", both=True)
    if found is None or volume is None or not (closed or tested):
        asked = bool(run.params["overfill"]) and limit is not None
        note = "the over-fill test was not measured" if asked else "the filling did not reach it"
        note = "; ".join(filter(None, (note, fast)))
        return replace(reported(name, title, None, "uL", note, SYRINGES), optional=not asked)
    leaves = Component("what an emptying leaves", float(run.params["emptying_ul"]))
    budget = found.volume("capacity", volume).plus(leaves)
    less = float(run.params["left_ul"]) + volume - float(run.dut["reservoir_ul"])
    check = result(name, title, less, budget, limit, depends_on=SYRINGES)
    if closed:
        return check
    note = "; ".join(filter(None, ("at least: it did not close until there", fast)))
    if check.verdict is Verdict.FAIL and less > 0.0:
        return replace(check, note=f"{note}; nothing protects it from over-filling")
    return replace(check, verdict=Verdict.NOT_MEASURED, conformity_probability=None, note=note)


def _highest_kpa(run: Run) -> float | None:
    """Highest pressure in the refill line while it was pushed, and just after."""
    spans = [(phase.t0, phase.t1 + SETTLE_S) for phase in run.phases if phase.name in (*_PUSHED, *_OVERFILLED)]
    if not spans or not run.has("refill_pressure"):
        return None
    pressure = run.corrected("refill_pressure").good()
    return max((float(part.values.max()) for span in spans if len(part := pressure.within(span))), default=None)


def _limited(run: Run, phases: tuple[str, ...]) -> list[str]:
    """Those of some phases that the pressure limit has ended."""
    return [event.fields["phase"] for event in run.records("condition") if event.fields["phase"] in phases]


# ------------------------------------------------------------------------------------------- what follows


def _delivery(refill: _Refill) -> Iterator[Check]:
    record = refill.record
    limit = refill.limit("surge_ul")
    if record is None:
        yield _missing("surge", "Beyond the schedule in any hour after the refill", "uL", "delivery never started")
        return
    spans = {phase.name: (phase.t0, phase.t1) for phase in refill.run.phases}
    if "free-1" in spans and "withdrawal-1" in spans:
        value, budget = record.collected.delivered(spans["free-1"][0], spans["withdrawal-1"][1])
        title, limits = "Delivered while the pump stood for the refill", refill.limit("surge_ul", both=True)
        yield result("during-refill", title, value, budget, limits, depends_on=BALANCE)
    yield after.surge(record, limit, (*BALANCE, *RECORDS))
    closed = refill.closed
    if closed is not None and closed.programmed_ul > 0.0:
        error = 100.0 * (closed.delivered_ul / closed.programmed_ul - 1.0)
        yield reported("delivered", "Delivered, by the balance, against programmed", error, "%", depends_on=BALANCE)


def _curves(refill: _Refill) -> Iterator[Curve]:
    for number, one in enumerate(refill.insertions, 1):
        axis = Axis("depth", "mm", one.depth_mm_trace)
        yield Curve(f"insertion-{number}", f"Insertion {number}", axis, (Axis("force", "N", one.force_n_trace),))
    record = refill.record
    if record is not None and record.analysis[1] - record.analysis[0] > 3.0 * after.GRID_S:
        seconds, over = after.excess(record)
        time = Axis("time", "h", np.asarray(seconds / 3600.0))
        yield Curve("excess", "Delivered beyond the schedule", time, (Axis("excess", "uL", over),))


def _values(refill: _Refill) -> dict[str, float]:
    closed = refill.closed
    if closed is None:
        return {}
    return {
        "filled_ul": closed.filled_ul,
        "delivered_ul": closed.delivered_ul,
        "emptied_ul": closed.emptied_ul,
        "missing_ul": closed.missing_ul,
        "u_missing_ul": closed.budget.u,
    }
