"""What a run shows besides its checks, all of it in order; here its contacts and flow that a syringe pump forced."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from data.checks import Check, Evaluation
from data.run import Event, Run
from protocols.analysis.catheter.findings import DISCONNECTED
from protocols.analysis.catheter.record import CatheterRecord
from protocols.analysis.grid import RecordError
from protocols.analysis.locator.flows import HOUR_S, sensor_and_balance, sensor_itself, until_the_alarm
from protocols.analysis.locator.losses import lost
from protocols.analysis.locator.pump import pump_says, requests
from protocols.analysis.locator.shown import AT_LIMIT, CERTAIN, Shown, clipped, happened

DROP_KPA = 0.02
"""What two means of the outlet pressure differ by while nothing changes."""

DISCONNECTED_PERCENT = 100.0 * DISCONNECTED

RISEN_PERCENT = 50.0
"""A syringe pump that reaches less of the pressure it was to reach pushes into an open line: no leak takes so much."""


def of_record(run: Run, evaluation: Evaluation) -> Iterator[Shown]:
    """Every quantity that a run shows besides its checks; titles are given later."""
    checks = {check.name: check for check in evaluation.checks}
    yield from pump_says(run)
    yield from requests(run)
    yield from sensor_and_balance(run, evaluation, checks)
    yield from until_the_alarm(run, evaluation)
    yield from lost(run)
    yield from sensor_itself(run)
    yield from _contacts(run)
    yield from _forced(run, checks)
    yield from _risen(run)
    if "insertion-force" in checks and checks["needle-at-stop"].value is not None:
        yield happened("not-pierced", checks["insertion-force"].value is None, "insertion-force")


def _contacts(run: Run) -> Iterator[Shown]:
    """Contacts that an interlock of the station watches: emergency stop and leak tray."""
    watched: Mapping[str, Any] = run.station.get("interlocks") or {}
    tripped = [event for event in run.records("interlock") if event.fields.get("action") != "none"]
    for name, words in (("e-stop", ("e-stop", "e_stop")), ("tray", ("leak-tray", "leak_tray"))):
        if any(_about(words, key, str(table.get("channel"))) for key, table in watched.items()):
            found = [
                event for event in tripped if _about(words, str(event.fields["name"]), str(event.fields["channel"]))
            ]
            yield _contact(name, found)


def _about(words: tuple[str, ...], *texts: str) -> bool:
    return any(word in text for word in words for text in texts)


def _contact(name: str, found: list[Event]) -> Shown:
    at_s = found[0].t if found else None
    value, z = (None, CERTAIN) if found else (0.0, 0.0)
    return Shown(name, "", value, "1", z, "interlocks", at_s=at_s)


def _forced(run: Run, checks: Mapping[str, Check]) -> Iterator[Shown]:
    """Whether a forced flow passes the catheter, and what it needs against the bridge."""
    spans = {phase.name: (phase.t0, phase.t1) for phase in run.phases}
    if "arrives" in checks and "straight-slow-settle" in spans:
        yield happened("blocked", checks["arrives"].value is None, "arrives")
    if not {"flush", "bridge-slow"} <= spans.keys() or not run.has("outlet_pressure"):
        return
    pressure = run.corrected("outlet_pressure").good()
    with_it, without = (pressure.within(spans[name]).values for name in ("flush", "bridge-slow"))
    if min(with_it.size, without.size) < 5:
        return
    record = CatheterRecord(run)
    try:
        expected = record.poiseuille_kpa_s_per_ul * record.rates_ul_per_h["slow"] / HOUR_S
    except RecordError:
        return  # no temperature, no viscosity
    over = 100.0 * float(with_it.mean() - without.mean()) / expected
    u = 100.0 * math.hypot(DROP_KPA, *(float(one.std()) / math.sqrt(one.size) for one in (with_it, without))) / expected
    spread = math.hypot(u, (100.0 - DISCONNECTED_PERCENT) / AT_LIMIT)
    z = clipped(min(0.0, (over - 100.0) / spread))
    yield Shown("drop", "", over, "%", z, run.roles["outlet_pressure"], u, low=DISCONNECTED_PERCENT, spread=spread)


def _risen(run: Run) -> Iterator[Shown]:
    """How far a syringe pump raised the pressure behind the valves that a test had closed, of what it was to reach."""
    rises = [phase for phase in run.phases if phase.name.startswith("rise-") and phase.complete]
    asked = run.params.get("pressure_kpa")
    if not rises or not asked or not run.has("outlet_pressure"):
        return
    pressure = run.corrected("outlet_pressure").good()
    tops = [part.max() for phase in rises if (part := pressure.within(phase).values).size]
    if tops:
        percent = 100.0 * float(min(tops)) / float(asked)
        spread = (100.0 - RISEN_PERCENT) / AT_LIMIT
        z = clipped(min(0.0, (percent - 100.0) / spread))
        yield Shown("risen", "", percent, "%", z, run.roles["outlet_pressure"], low=RISEN_PERCENT, spread=spread)
