"""Everything in the plant that a command or a fault can change, on the plant's grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from instruments.simulation.drive import AS_BUILT
from instruments.simulation.faults import FaultSpec, kind_of
from instruments.simulation.grid import FREE, Timeline, Track, index_of_onset
from instruments.simulation.parameters import Draws
from instruments.simulation.weighing import AS_DRAWN

LEAK_KPA = 100.0
"""Pressure at which the severity of a leak of the rig is the flow that it loses."""

DAILY_ML_UL_PER_S, HEAD_KPA = 1000.0 / 86400.0, 0.1
"""The severity of a leak at the tip is its share of 1 mL/day, with a tip that is immersed as deep as this."""


@dataclass(frozen=True, slots=True)
class Controls:
    """Settings by name: first what is commanded, then what only a fault changes."""

    outlet_is_open: Timeline
    vent_is_open: Timeline
    back_pressure_kpa: Track
    bath_setpoint_degc: Timeline
    bath_is_on: Timeline
    is_diverted: Timeline
    pan_mg: Timeline
    twin_pan_mg: Timeline
    taken_mg: Timeline
    weight_mg: Timeline
    door_is_open: Timeline
    pusher_ul_per_h: Timeline
    port_vent_is_open: Timeline
    syringe_is_off: Timeline
    needle_mm: Track
    filled_ul: Timeline
    e_stop: Timeline
    catheter_is_off: Timeline
    bend_mm: Timeline

    outlet_is_held: Timeline
    bath_is_held: Timeline
    e_stop_is_held: Timeline
    ratio: Timeline
    stalled: Timeline
    reset: Timeline
    battery_low: Timeline
    clock_step_s: Timeline
    late_start_s: Timeline
    overshoot: Timeline
    lockout_ignored: Timeline
    maximum_ignored: Timeline
    free_flow_ul_per_h: Timeline
    pocket_share: Timeline
    needle_short_mm: Timeline
    needle_is_beside: Timeline
    septum_leak_factor: Timeline
    capacity_shift_ul: Timeline
    count_error_ul: Timeline
    programmed_factor: Timeline
    label_factor: Timeline
    scale_error: Timeline
    tip_is_open: Timeline
    slip_kpa: Timeline
    alarm_is_broken: Timeline
    resistance_factor: Timeline
    kink_radius_factor: Timeline
    extra_length_mm: Timeline
    catheter_leak_ul_per_s_kpa: Timeline
    is_disconnected: Timeline
    tip_is_dislodged: Timeline
    tip_leak_ul_per_s_kpa: Timeline
    leak_ul_per_s_kpa: Timeline
    bubble_ul: Timeline
    transducer_height_mm: Timeline
    evaporation_mg_per_h: Timeline
    vessel_capacity_ul: Timeline
    balance_drift_mg_per_h: Timeline
    balance_auto_zero: Timeline
    balance_adjustment_ppm: Timeline
    balance_tilt_deg: Timeline
    sensor_drift_per_day: Timeline

    @classmethod
    def at_rest(cls, draws: Draws) -> Controls:
        """All lines off, set points as the parameters say."""
        initial = {
            "outlet_is_open": draws["valves.outlet_is_normally_open"],
            "vent_is_open": draws["valves.vent_is_normally_open"],
            "port_vent_is_open": draws["valves.port_vent_is_normally_open"],
            "back_pressure_kpa": draws["outlet.back_pressure_kpa"],
            "bath_setpoint_degc": draws["bath.setpoint_degc"],
            "bath_is_on": 1.0,
            "outlet_is_held": FREE,
            "bath_is_held": FREE,
            "e_stop_is_held": FREE,
            "ratio": AS_BUILT,
            "tip_is_open": 1.0,
            "slip_kpa": draws["pump.slip_pressure_kpa"],
            "resistance_factor": 1.0,
            "kink_radius_factor": 1.0,
            "septum_leak_factor": 1.0,
            "programmed_factor": 1.0,
            "label_factor": 1.0,
            "transducer_height_mm": draws["outlet_transducer.height_mm"],
            "evaporation_mg_per_h": AS_DRAWN,
            "vessel_capacity_ul": draws["vessel.capacity_ul"],
        }
        moving = {"back_pressure_kpa": Track(initial.pop("back_pressure_kpa")), "needle_mm": Track(0.0)}
        names = [field.name for field in fields(cls) if field.name not in moving]
        return cls(**moving, **{name: Timeline(initial.get(name, 0.0)) for name in names})  # type: ignore[arg-type]  # the other fields

    def each(self) -> Iterable[Timeline | Track]:
        """All of them."""
        return (getattr(self, f.name) for f in fields(self))

    def inject(self, fault: FaultSpec) -> None:
        """Let a fault begin; a fault of an instrument's wire is none of the plant's business."""
        if kind_of(fault.name).where != "plant":
            return
        ones = {
            "motor-stall": (self.stalled, 1.0),
            "reset-to-minimum-rate": (self.reset, 1.0),
            "battery-low": (self.battery_low, 1.0),
            "lockout-ignored": (self.lockout_ignored, 1.0),
            "daily-maximum-ignored": (self.maximum_ignored, 1.0),
            "occlusion": (self.tip_is_open, 0.0),
            "disconnect": (self.is_disconnected, 1.0),
            "tip-dislodged": (self.tip_is_dislodged, 1.0),
            "catheter-leak": (self.catheter_leak_ul_per_s_kpa, fault.severity / 3600.0 / LEAK_KPA),
            "no-occlusion-alarm": (self.alarm_is_broken, 1.0),
            "valve-stuck-open": (self.outlet_is_held, 1.0),
            "valve-stuck-closed": (self.outlet_is_held, 0.0),
            "bath-off": (self.bath_is_held, 0.0),
            "e-stop": (self.e_stop_is_held, 1.0),
            "needle-beside-port": (self.needle_is_beside, 1.0),
            "auto-zero": (self.balance_auto_zero, 1.0),
            "leak": (self.tip_leak_ul_per_s_kpa, fault.severity * DAILY_ML_UL_PER_S / HEAD_KPA),
            "rig-leak": (self.leak_ul_per_s_kpa, fault.severity / 3600.0 / LEAK_KPA),
            "wrong-height": (self.transducer_height_mm, self.transducer_height_mm.at(-1) + fault.severity),
        }
        graded = {
            "over-delivery": self.ratio,
            "under-delivery": self.ratio,
            "pump-clock-offset": self.clock_step_s,
            "late-start": self.late_start_s,
            "set-point-overshoot": self.overshoot,
            "free-flow": self.free_flow_ul_per_h,
            "weak-rollers": self.slip_kpa,
            "pocket-fill": self.pocket_share,
            "short-needle": self.needle_short_mm,
            "septum-coring": self.septum_leak_factor,
            "over-fill": self.capacity_shift_ul,
            "reservoir-count": self.count_error_ul,
            "programming-error": self.programmed_factor,
            "wrong-concentration": self.label_factor,
            "syringe-scale": self.scale_error,
            "kink": self.resistance_factor,
            "kinks-early": self.kink_radius_factor,
            "wrong-length": self.extra_length_mm,
            "dry-evaporation-trap": self.evaporation_mg_per_h,
            "vessel-overflow": self.vessel_capacity_ul,
            "sensor-drift": self.sensor_drift_per_day,
            "balance-drift": self.balance_drift_mg_per_h,
            "auto-adjust": self.balance_adjustment_ppm,
            "out-of-level": self.balance_tilt_deg,
            "air-bubble": self.bubble_ul,
        }
        timeline, value = ones.get(fault.name) or (graded[fault.name], fault.severity)
        timeline.set(index_of_onset(fault.at_s), value)
