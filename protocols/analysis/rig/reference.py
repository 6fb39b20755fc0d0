"""What a run knows of its rig from the rig check that it relies on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from data.checks import Check, Verdict
from data.run import Run

GAIN_STABILITY_PERCENT = 0.5
"""How far a flow sensor's gain may have moved since the rig check: 0.1-0.15 %/K over some kelvin, and its drift."""

ZERO_STABILITY = 0.2
"""How far its zero may have moved since then, in parts of its certificate's u: twice what may change within a run."""


@dataclass(frozen=True)
class KnownRig:
    """The record "rig-check" of a run; ``values`` are what the rig check measured, unit in the name.

    ``same_fluid`` is whether it was made with the fluid of the run: a flow sensor has a gain for each.
    """

    demanded: bool
    holds: bool
    why: str
    run_id: str
    values: dict[str, float] = field(default_factory=dict)
    same_fluid: bool = True

    @property
    def flow_gain(self) -> tuple[float, float] | None:
        """Gain of the flow sensor over the balance, and its standard uncertainty today in percent; None if unknown."""
        gain, u = self.values.get("flow_gain"), self.values.get("u_flow_gain")
        if not (self.holds and self.same_fluid) or gain is None or u is None or not gain > 0.0:
            return None
        return gain, math.hypot(100.0 * u / gain, GAIN_STABILITY_PERCENT)

    def flow_zero(self, u_certificate_ul_per_h: float) -> tuple[float, float] | None:
        """Zero of the flow sensor and its standard uncertainty today in uL/h; None if unknown.

        Parameters
        ----------
        u_certificate_ul_per_h : standard uncertainty of the zero by the sensor's certificate.
        """
        zero, u = self.values.get("flow_zero_ul_per_h"), self.values.get("u_flow_zero_ul_per_h")
        if not self.holds or zero is None or u is None:
            return None
        return zero, math.hypot(u, ZERO_STABILITY * u_certificate_ul_per_h)


def known_rig(run: Run) -> KnownRig | None:
    """What the run's record says; None for a run that does not rely on a rig check."""
    records = run.records("rig-check")
    if not records:
        return None
    said = records[-1].fields
    holds, why = bool(said.get("holds")), str(said.get("text") or "")
    if holds and (exchanged := _exchanged(serials_of(run), dict(said.get("serials") or {}))):
        holds, why = False, exchanged
    fluid = dict(said.get("fluid") or {})
    return KnownRig(
        bool(said.get("demanded")),
        holds,
        why,
        str(said.get("check_run_id") or ""),
        dict(said.get("values") or {}),
        not fluid or fluid == fluid_of(run),
    )


def fluid_of(run: Run) -> dict[str, Any]:
    """What of a run's fluid decides a flow sensor's gain: another lot of it has the same."""
    return {name: run.fluid.get(name) for name in ("name", "drug", "concentration_ug_per_ml")}


def serials_of(run: Run) -> dict[str, str]:
    """Serial numbers that a run's instruments told, without the pump under test."""
    told = {name: str((said.get("identity") or {}).get("serial") or "") for name, said in run.instruments.items()}
    under_test = str(run.roles.get("pump", "")).partition(".")[0]
    return {name: serial for name, serial in told.items() if serial and name != under_test}


def _exchanged(now: dict[str, str], checked: dict[str, str]) -> str:
    """Which instrument is another one than in the rig check, as a sentence; "" for none."""
    for name, serial in checked.items():
        if now.get(name, serial) != serial:
            return f'"{name}" has serial number {now[name]}, and had {serial} in the rig check; run rig-check again'
    return ""


def rig_was_checked(run: Run) -> Iterator[Check]:
    """The suitability check "rig-check", where the station demands one.

    A person who overrode a missing one lets the run be judged; its passes are conditional then.
    """
    known = known_rig(run)
    if known is None or not known.demanded:
        return
    taken = [event.fields for event in run.records("override") if event.fields.get("finding") == "rig-check"]
    verdict, note = Verdict.INVALID, known.why
    if known.holds:
        verdict, note = Verdict.PASS, f"run {known.run_id}"
    elif taken:
        verdict, note = Verdict.PASS, f"{known.why}; let pass by {taken[-1].get('person')}: {taken[-1].get('reason')}"
    yield Check("rig-check", "Rig check", float(known.holds), "1", verdict, "rig", suitability=True, note=note)
