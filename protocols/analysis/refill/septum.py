"""The septum's leak, by what the pump loses against a dummy or by the meniscus of a coupon's capillary; its life."""

from __future__ import annotations

import math
from dataclasses import replace

from data.checks import Check, Limits, Verdict
from data.run import Run
from protocols.analysis.budget import Budget, Component, bounded
from protocols.analysis.decision import reported, result
from protocols.analysis.flow_budget import LINE_EXPANSION_PER_K
from protocols.analysis.suitability import CERTAIN

BORE_MM = 0.1
U_BORE = 0.01
"""Relative standard uncertainty of the capillary's bore; the leak goes with its square."""

READING_MM = 0.1
COUPON_UL = 20.0
"""Fluid before the meniscus, at most; it swells with the room's temperature."""

ROOM_K = 1.0
HOUR_S = 3600.0

GAINED = {
    "mass": "the pump gained mass against the dummy: the sign (it is pump less dummy), or a wet pump",
    "coupon": "the meniscus went back: the sign, or the capillary dries",
}
"""A septum gives off and takes nothing in; a limit from above alone would pass what was read the wrong way round."""

NAME, TITLE = "septum-leak", "Leak of the septum"


def leak(
    run: Run, fluid_mg_per_ul: float, limit_ul_per_h: float | None, source: str, depends_on: tuple[str, ...]
) -> Check:
    """Leak in uL/day; a pressure in the reservoir would never show it."""
    how = run.params["septum"]
    if how == "none":
        note = "not asked for: --set septum=mass, or septum=coupon; no pressure shows it"
        return reported(NAME, TITLE, None, "uL/day", note, depends_on)
    times = {event.fields["key"]: event.t for event in run.records("answer")}
    limit = None if limit_ul_per_h is None else Limits(None, 24.0 * limit_ul_per_h, source)
    if not {"leak-before", "leak-after"} <= times.keys():
        missing = reported(NAME, TITLE, None, "uL/day", "it was not read twice", depends_on)
        return replace(missing, optional=limit is None)
    days = (times["leak-after"] - times["leak-before"]) / HOUR_S / 24.0
    moved = float(run.answers["leak-after"]) - float(run.answers["leak-before"])
    if how == "mass":
        volume, budget = _by_mass(run, moved, fluid_mg_per_ul)
    else:
        volume, budget = _by_capillary(moved)
    daily = budget.scaled("leak", "uL/day", 1.0 / days)
    punctured = _punctures(run)
    note = f"after {punctured + int(run.dut.get('punctures') or 0)} punctures, over {days:.2f} days, by {how}"
    check = result(NAME, TITLE, volume / days, daily, limit, depends_on=depends_on, note=note)
    if volume / days < -CERTAIN * daily.u:
        note += f"; {GAINED[how]}"
        return replace(check, verdict=Verdict.INVALID, conformity_probability=None, note=note)
    return check


def life(run: Run) -> Check:
    """Punctures of the septum, with those of this run, against its stated life."""
    used = _punctures(run) + int(run.dut.get("punctures") or 0)
    stated = run.dut.get("septum_punctures")
    note = "no life is stated" if stated is None else f"{stated} are stated"
    if stated is not None and used > stated:
        note += "; the septum is beyond its life"
    return reported("punctures", "Punctures of the septum", float(used), "1", note)


def _punctures(run: Run) -> int:
    """Of this run."""
    answered = set(run.answers)
    series = int(run.params["punctures"]) if "series" in answered else 0
    return series + sum(f"insert-{number}" in answered for number in (1, 2))


def u_leak(run: Run, fluid_mg_per_ul: float) -> Budget:
    """Budget in uL of a septum that does not leak, by the way that was chosen."""
    return (_by_mass(run, 0.0, fluid_mg_per_ul) if run.params["septum"] == "mass" else _by_capillary(0.0))[1]


def _by_mass(run: Run, gained_mg: float, fluid_mg_per_ul: float) -> tuple[float, Budget]:
    """The pump is closed and rigid: what it loses takes no buoyancy with it."""
    weighing = Component("weighing against the dummy", math.sqrt(2.0) * float(run.params["septum_weighing_mg"]))
    return -gained_mg / fluid_mg_per_ul, Budget("leak", "mg", (weighing,)).scaled("leak", "uL", 1.0 / fluid_mg_per_ul)


def _by_capillary(moved_mm: float) -> tuple[float, Budget]:
    area_mm2 = math.pi / 4.0 * BORE_MM**2
    volume = moved_mm * area_mm2
    parts = (
        Component("reading the meniscus", math.sqrt(2.0) * READING_MM * area_mm2),
        Component("bore", abs(volume) * 2.0 * U_BORE),
        bounded("room temperature", COUPON_UL * LINE_EXPANSION_PER_K * ROOM_K),
    )
    return volume, Budget("leak", "uL", parts)
