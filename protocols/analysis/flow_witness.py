"""The flow sensor of a run as a second channel beside its balance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from data.checks import Exclusion
from protocols.analysis import suitability, witness
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.rig.reference import known_rig

UNCERTIFIED_GAIN_PERCENT = 5.0


def witness_of(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> witness.Witness | None:
    """The flow sensor as a second channel; None without one."""
    if record.flow is None or record.flow.t_s.size == 0:
        return None
    certificate = record.calibration("flow")
    u_zero, u_gain_percent = certificate.get("u", 0.0), certificate.get("u_percent", UNCERTIFIED_GAIN_PERCENT)
    offset, gain, u_today = 0.0, 1.0, u_zero
    rig = known_rig(record.run)
    if rig is not None:
        # Another run found zero and gain: found in this one they would calibrate a leak away.
        offset, u_today = rig.flow_zero(u_zero) or (offset, u_today)
        gain, u_gain_percent = rig.flow_gain or (gain, u_gain_percent)
    collected = record.collected
    flow = replace(record.flow, flow_ul_per_h=(record.flow.flow_ul_per_h - offset) / gain)
    zero = None if record.flow_zero_ul_per_h is None else (record.flow_zero_ul_per_h - offset) / gain
    if zero is not None and abs(zero) > suitability.CERTAIN * u_today:
        zero = None  # more than a zero: something flowed
    return witness.Witness(
        flow,
        u_gain_percent,
        u_zero,
        zero,
        collected.t_s,
        lambda t_s: collected.volume_ul(record.started_s, t_s),
        record.programmed_ul,
        lambda from_s, to_s: collected.delivered(from_s, to_s)[1].u,
        excluded,
        u_today,
    )
