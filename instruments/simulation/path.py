"""What can change in the fluid path, its state at the start of a chunk, and what a chunk of it holds."""

from __future__ import annotations

from dataclasses import dataclass

from instruments.simulation.bubble import NO_BUBBLE, Bubble
from instruments.simulation.grid import Forced, Timeline, Track
from instruments.simulation.mounting import Mounting
from instruments.simulation.occlusion_alarm import SILENT, AlarmState
from instruments.simulation.signal import FloatArray


@dataclass(frozen=True, slots=True)
class Settings:
    """What can change in the path; valves as they stand, not as they are energised."""

    outlet_is_open: Forced
    vent_is_open: Timeline
    back_pressure_kpa: Track
    tip_is_open: Timeline
    resistance_factor: Timeline
    slip_kpa: Timeline  # from which on the rollers slip
    alarm_is_broken: Timeline
    free_flow_ul_per_h: Timeline  # at the nominal reservoir pressure
    bubble_ul: Timeline
    leak_ul_per_s_kpa: Timeline  # to ambient, at the pump's outlet
    mounting: Mounting

    def changes(self, k0: int, k1: int) -> set[int]:
        """Indices in (k0, k1) at which any of them changes."""
        everything: tuple[Forced | Timeline | Track, ...] = (
            self.outlet_is_open,
            self.vent_is_open,
            self.back_pressure_kpa,
            self.tip_is_open,
            self.resistance_factor,
            self.slip_kpa,
            self.free_flow_ul_per_h,
            self.bubble_ul,
            self.leak_ul_per_s_kpa,
            *self.mounting.timelines,
        )
        return {k for timeline in everything for k in timeline.changes(k0, k1)}


@dataclass(frozen=True, slots=True)
class LineState:
    """Pressures, volumes since the start, and the bubble in the line."""

    p1_kpa: float
    p2_kpa: float
    crept_kpa: tuple[float, ...] = ()
    pump_ul: float = 0.0
    line_ul: float = 0.0
    lost_ul: float = 0.0
    tray_ul: float = 0.0
    added_ul: float = 0.0
    bubble: Bubble = NO_BUBBLE
    alarm: AlarmState = SILENT


@dataclass(frozen=True, slots=True)
class LineChunk:
    """The path at the n + 1 grid points of a chunk; volumes in µL since the start of the run.

    ``line_ul`` has passed the flow sensor, ``lost_ul`` left by vent, leak or relief valve, of which ``tray_ul`` not by
    the vent; ``added_ul`` came from thermal expansion and a moving valve, ``crept_ul`` fills what silicone has given
    way.  ``sensor_air`` and ``tip_air`` are 1 in the intervals (n,) in which air passes, ``occlusion_alarm`` is 1 while
    the pump's alarm sounds.
    """

    p1_kpa: FloatArray
    p2_kpa: FloatArray
    pump_ul: FloatArray
    line_ul: FloatArray
    lost_ul: FloatArray
    tray_ul: FloatArray
    added_ul: FloatArray
    crept_ul: FloatArray
    line_step_ul: FloatArray
    sensor_air: FloatArray
    tip_air: FloatArray
    occlusion_alarm: FloatArray
