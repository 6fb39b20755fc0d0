"""Before anything moves: what stands against this run on this station, and what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from bench.station import OpenStation, sampled
from data.schedule import Schedule
from instruments.clock import Clock
from instruments.instrument import Buffered
from protocols.procedure import Measures, Procedure
from protocols.steps import Program

HEADROOM = 1.2
"""Room that a run needs beyond what it is expected to use."""

BYTES_PER_SAMPLE = 2.2 * 10
"""Journal and run file together, for one value with its quality (the plan until a run is sealed)."""

UNUSUAL = 10.0
"""A rate this many times above or below the usual ones is asked for twice."""


class PreflightError(ValueError):
    """Findings that block the run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of the preflight.

    ``code`` is what an override names; a ``blocks`` finding keeps the run from starting unless it is overridden.
    """

    code: str
    level: Literal["blocks", "warns"]
    text: str

    def to_json(self) -> dict[str, str]:
        """Fields as they are journalled."""
        return dict(asdict(self))


def insist(findings: Sequence[Finding], overridden: Sequence[str]) -> None:
    """Refuse the run while a finding blocks it that nobody took upon themselves; raises PreflightError."""
    blocking = [finding for finding in findings if finding.level == "blocks" and finding.code not in overridden]
    if blocking:
        raise PreflightError("\n".join(finding.text for finding in blocking))


def findings(
    procedure: Procedure,
    opened: OpenStation,
    roles: Mapping[str, str],
    articles: Mapping[str, Mapping[str, Any]],
    out: Path,
    clock: Clock,
) -> list[Finding]:
    """Everything that can be known before the run."""
    duration_s = sum(step.most_s for step in procedure.steps())
    found: list[Finding] = []
    found.extend(_calibrations(opened, roles, clock, duration_s))
    found.extend(_interlocks(opened))
    found.extend(_roles(procedure, opened, roles))
    found.extend(_disk(opened, out, duration_s))
    for schedule in (step.schedule for step in procedure.steps() if isinstance(step, Program)):
        found.extend(_pump(schedule, articles["dut"], duration_s))
        found.extend(_vessel(schedule, opened, articles["fluid"], duration_s))
        found.extend(_sensor_range(schedule, opened, roles, duration_s))
    return found


def _calibrations(opened: OpenStation, roles: Mapping[str, str], clock: Clock, duration_s: float) -> Iterator[Finding]:
    """Every calibrated channel is due after the run's expected END."""
    end = (clock.utc(clock.now()) + timedelta(seconds=duration_s)).date()
    for name, table in opened.station.instruments.items():
        for channel, calibration in table.calibration.items():
            if calibration.due < end:
                yield Finding(
                    "calibration",
                    "blocks",
                    f'{opened.path}: instrument "{name}": calibration {calibration.certificate} of {channel} is due '
                    f"{calibration.due}, before the run's end on {end}; renew it, or start with "
                    f'--override calibration --reason "..."',
                )
    for role, target in roles.items():
        if role == "reference_mass" and opened.calibration(target) is None:
            yield Finding(
                "calibration",
                "blocks",
                f'{opened.path}: "{target}" is the reference and has no calibration; add '
                f"[instruments.{target.replace('.', '.calibration.')}] with certificate, due and u, or start with "
                f'--override calibration --reason "..."',
            )


def _interlocks(opened: OpenStation) -> Iterator[Finding]:
    streams = sampled(opened)
    for interlock in opened.interlocks:
        name = interlock.channel.partition(".")[0]
        if interlock.slew_per_s is None and isinstance(streams.get(name), Buffered):
            yield Finding(
                "slew",
                "warns",
                f'{opened.path}: interlocks.{interlock.name} has no "slew", so every block of {name} is read one by '
                f"one; state the fastest honest change of the channel",
            )


def _roles(procedure: Procedure, opened: OpenStation, roles: Mapping[str, str]) -> Iterator[Finding]:
    from data.quantities import same_dimension

    for role in procedure.roles:
        if role.role not in roles or not isinstance(role, Measures):
            continue
        _, channel = opened.channel(roles[role.role])
        if channel.unit != role.unit and not same_dimension(channel.unit, role.unit):
            yield Finding(
                "role",
                "blocks",
                f'{opened.path}: key "roles.{role.role}": channel {roles[role.role]} is in {channel.unit}, but '
                f"{procedure.name} needs a channel in {role.unit}",
            )


def _disk(opened: OpenStation, out: Path, duration_s: float) -> Iterator[Finding]:
    values = 0.0
    for instrument in sampled(opened).values():
        interval = instrument.interval_s if isinstance(instrument, Buffered) else instrument.period_s
        values += duration_s / interval * len(instrument.channels)
    needed = values * BYTES_PER_SAMPLE * HEADROOM
    free = shutil.disk_usage(out if out.exists() else out.absolute().parent).free
    if free < needed:
        yield Finding(
            "disk",
            "blocks",
            f"{out}: {free / 1e9:.2f} GB are free, but the run needs about {needed / 1e9:.2f} GB; make room or choose "
            f"another --out",
        )


def _pump(schedule: Schedule, dut: Mapping[str, Any], duration_s: float) -> Iterator[Finding]:
    """Rates, reservoir and usual range of the pump under test."""
    model = dut["model"]
    low, high = dut["rate_range_ul_per_h"]
    rates = sorted({segment.rate_ul_per_h for segment in schedule.segments(0.0, duration_s)})
    for rate in rates:
        if rate and not low <= rate <= high:
            yield Finding(
                "rate",
                "blocks",
                f"the schedule asks {model} for {rate:.6g} uL/h ({rate * 0.024:.4g} mL/day), outside its range of "
                f"{low * 0.024:.4g} to {high * 0.024:.4g} mL/day; choose another rate",
            )
    usual = dut.get("usual_rates_ul_per_h")
    for rate in rates:
        if usual and rate and not usual[0] / UNUSUAL <= rate <= usual[1] * UNUSUAL:
            yield Finding(
                "unusual-rate",
                "blocks",
                f"{rate * 0.024:.4g} mL/day is more than {UNUSUAL:g} times outside the usual rates of {model}; if it "
                f'is meant, start with --override unusual-rate --reason "..."',
            )
    needed = schedule.expected_volume_ul(0.0, duration_s)
    available = dut["reservoir_ul"] - dut["residual_ul"]
    if needed > available:
        yield Finding(
            "reservoir",
            "blocks",
            f"the run is expected to deliver {needed / 1000:.3g} mL, but the reservoir of {model} gives "
            f"{available / 1000:.3g} mL above its residual volume; shorten the run or lower the rate",
        )


def _vessel(schedule: Schedule, opened: OpenStation, fluid: Mapping[str, Any], duration_s: float) -> Iterator[Finding]:
    collection = opened.station.collection
    needed = schedule.expected_volume_ul(0.0, duration_s) * HEADROOM
    if collection is not None and needed > collection.vessel_capacity_ul:
        yield Finding(
            "vessel",
            "blocks",
            f"the run is expected to deliver {needed / HEADROOM / 1000:.3g} mL into a vessel of "
            f"{collection.vessel_capacity_ul / 1000:.3g} mL; use a larger vessel or shorten the run",
        )


def _sensor_range(
    schedule: Schedule, opened: OpenStation, roles: Mapping[str, str], duration_s: float
) -> Iterator[Finding]:
    if "flow" not in roles:
        return
    name = roles["flow"].partition(".")[0]
    full_scale = getattr(opened.instruments[name].settings, "full_scale_ul_per_h", None)
    highest = max((segment.rate_ul_per_h for segment in schedule.segments(0.0, duration_s)), default=0.0)
    if full_scale is not None and highest > full_scale:
        yield Finding(
            "sensor-range",
            "warns",
            f"the schedule reaches {highest:.6g} uL/h, but {name} saturates at {full_scale:.6g} uL/h; the flow curve "
            f"will be cut there, the balance is not affected",
        )
