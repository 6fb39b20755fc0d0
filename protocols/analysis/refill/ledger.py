"""The ledger of a refill: what was filled in, less what was delivered, less what came back.

Two emptyings bound it, so what no needle can draw is the same at both ends but for its scatter.  Units: uL at 20 degC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from data.run import Run
from protocols.analysis import gravimetry
from protocols.analysis.budget import Budget, Component, bounded
from protocols.analysis.gravimetric_record import GravimetricRecord

GRADUATION_UL = 200.0
"""A reading of a syringe's graduation may be off by this."""

SCALE_PPM = 50.0
"""Relative standard uncertainty of a laboratory scale's gain."""

RUN_OUT_S = 120.0
"""After the pump has stopped, line and catheter give off the rest."""


@dataclass(frozen=True)
class Syringes:
    """What the syringes say; None where one was not measured.

    Attributes
    ----------
    filled_ul, overfilled_ul, emptied_ul : volumes that left a syringe, or came into it at each emptying.
    u_reading_ul : standard uncertainty of one reading of a syringe.
    u_gain : relative standard uncertainty of the scale.
    """

    filled_ul: float | None
    emptied_ul: tuple[float | None, float | None]
    overfilled_ul: float | None
    u_reading_ul: float
    u_gain: float
    by_mass: bool

    def volume(self, name: str, volume_ul: float) -> Budget:
        """Budget of one volume: two readings of one syringe."""
        source = "weighing a syringe" if self.by_mass else "graduation of a syringe"
        reading = Component(source, math.sqrt(2.0) * self.u_reading_ul)
        return Budget(name, "uL", (reading, Component("gain of the scale", abs(volume_ul) * self.u_gain)))


def syringes(run: Run, fluid_mg_per_ul: float, air_mg_per_ul: float) -> Syringes:
    """Read the answers; a mass becomes a volume with its buoyancy."""
    by_mass = run.params["ledger"] == "weighed"
    kind = "mass" if by_mass else "graduation"
    per = gravimetry.z_factor_ul_per_mg(air_mg_per_ul, fluid_mg_per_ul) if by_mass else 1.0

    def lost(before: str, after: str) -> float | None:
        values = [run.answers.get(f"{key}-{kind}") for key in (before, after)]
        if any(value is None for value in values):
            return None
        return (float(values[0]) - float(values[1])) * per  # type: ignore[arg-type]  # neither is None

    def gained(number: int) -> float | None:
        found = lost(f"empty-{number}", f"emptied-{number}")
        return None if found is None else -found

    u = float(run.params["weighing_mg"]) * per if by_mass else bounded("", GRADUATION_UL).u
    gain = SCALE_PPM * 1e-6 if by_mass else 0.0
    overfilled = lost("over-fill", "over-filled")
    return Syringes(lost("fill", "filled"), (gained(1), gained(2)), overfilled, u, gain, by_mass)


@dataclass(frozen=True)
class Ledger:
    """Volumes and what is missing, in uL.

    Attributes
    ----------
    missing_ul : filled - delivered - emptied; what went beside the port, or leaked.
    budget : of ``missing_ul``.
    by_residual_ul : filled - emptied: what the pump has delivered if nothing is missing.
    residual_budget : of ``by_residual_ul``.
    """

    filled_ul: float
    delivered_ul: float
    emptied_ul: float
    programmed_ul: float
    missing_ul: float
    budget: Budget
    by_residual_ul: float
    residual_budget: Budget


def ledger(run: Run, record: GravimetricRecord, found: Syringes) -> Ledger | None:
    """Close the ledger; None where a syringe, or the delivery, was not measured to its end."""
    emptied = found.emptied_ul[1]
    stopped_s = _stopped(run, record.started_s)
    if found.filled_ul is None or emptied is None or stopped_s is None:
        return None
    delivered, delivery = record.collected.delivered(record.started_s, stopped_s + RUN_OUT_S)
    by_residual = found.filled_ul - emptied
    residual = residual_budget(run, found, by_residual)
    both = residual.plus(by_the_balance(delivery))
    programmed = float(record.schedule.expected_volume_ul(0.0, stopped_s - record.started_s))
    return Ledger(
        found.filled_ul,
        delivered,
        emptied,
        programmed,
        by_residual - delivered,
        both,
        by_residual,
        residual,
    )


def residual_budget(run: Run, found: Syringes, by_residual_ul: float) -> Budget:
    """Budget in uL of what was filled less what came back."""
    # Both syringes stand on one scale: of its gain only the difference counts.
    readings = Component(found.volume("", 0.0).components[0].source, 2.0 * found.u_reading_ul)
    gain = Component("gain of the scale", abs(by_residual_ul) * found.u_gain)
    leftover = Component("what an emptying leaves", math.sqrt(2.0) * float(run.params["emptying_ul"]))
    return Budget("delivered by the residual", "uL", (readings, gain, leftover))


def by_the_balance(delivery: Budget) -> Component:
    """The delivered volume's part of what is missing."""
    return Component("delivered, by the balance", delivery.u, delivery.dof)


def _stopped(run: Run, started_s: float) -> float | None:
    """When the pump was stopped after the watch, by its own confirmation."""
    stops = [
        float(event.fields["confirmed_s"])
        for event in run.records("pump-command")
        if str(event.fields["command"]).startswith("STOP") and event.t > started_s
    ]
    return stops[0] if stops else None
