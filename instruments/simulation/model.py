"""The plant as one pure function: the state at the start of a chunk gives the chunk and the state at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields

import numpy as np

from instruments.simulation.controls import Controls
from instruments.simulation.drive import DRIVES, Drive, DriveFaults, DriveState, PumpSurroundings
from instruments.simulation.environment import Environment, EnvironmentState
from instruments.simulation.faults import FaultSpec
from instruments.simulation.grid import CHUNK, Forced
from instruments.simulation.line import Line
from instruments.simulation.mounting import Mounting, OnCatheter
from instruments.simulation.noise import Noise
from instruments.simulation.parameters import PlantParameters
from instruments.simulation.path import LineState, Settings
from instruments.simulation.properties import ROOM_DEGC
from instruments.simulation.pump import Pump, PumpFaults
from instruments.simulation.reservoir import Reservoir
from instruments.simulation.sensors import FlowSensor, FlowState, Transducer
from instruments.simulation.septum import SeptumLeak, SeptumState
from instruments.simulation.signal import FloatArray
from instruments.simulation.stage import Stage
from instruments.simulation.stepping import running_sum
from instruments.simulation.syringe import AtReservoir, PortSettings, RefillPort, RefillState, Syringe, SyringeState
from instruments.simulation.weighing import Fluid, Weighing, WeighingSettings, WeighingState

Columns = dict[str, FloatArray]
"""A chunk: every quantity by name at its n + 1 grid points."""

TRANSDUCERS = ("outlet_transducer", "reservoir_transducer", "back_pressure_transducer")


GRAVITY = 9.80665
"""Standard acceleration of free fall in m/s²."""


@dataclass(frozen=True, slots=True)
class PlantState:
    """The plant at the start of a chunk."""

    environment: EnvironmentState
    drive: DriveState
    line: LineState
    weighing: WeighingState
    flow: FlowState
    syringe: SyringeState
    refill: RefillState
    septum: SeptumState
    pump_mg: float
    deflections: tuple[float, ...]


class Model:
    """The plant's parts in the order in which they act on each other."""

    def __init__(
        self,
        parameters: PlantParameters,
        noise: Noise,
        faults: Iterable[FaultSpec],
        lock: AbstractContextManager[object],
        changed: Callable[[int], None],
        now: Callable[[], float],
    ) -> None:
        draws = parameters.draw(noise)
        controls = Controls.at_rest(draws)
        for fault in faults:
            controls.inject(fault)
        self.draws = draws
        self.controls = controls
        kind = parameters.text("pump.kind")
        self.thermocouple = parameters.text("thermocouple.type")
        self._refills = parameters.text("pusher.at") == "reservoir"
        self._needle_is_held = parameters.text("pusher.needle") == "stage"
        own = PumpFaults(
            controls.stalled,
            controls.reset,
            controls.battery_low,
            controls.clock_step_s,
            controls.programmed_factor,
            controls.count_error_ul,
            controls.lockout_ignored,
            controls.maximum_ignored,
        )
        self.pump = Pump(parameters, draws, own, lock, changed, now)
        self.reservoir = Reservoir(draws)
        self._drive: Drive = DRIVES[kind](self.pump, draws, self.reservoir, _mechanism(controls))
        self._line = Line(draws, _path(controls), self.reservoir, slips=kind == "peristaltic")
        heater = Forced(controls.bath_is_on, controls.bath_is_held)
        self._environment = Environment(draws, noise, controls.bath_setpoint_degc, heater)
        self.fluid = Fluid(draws)
        self._weighing = Weighing(draws, noise, self.fluid, _vessel(controls, self._line.tip_kpa))
        self._syringe = Syringe(draws, self.fluid, controls.pusher_ul_per_h)
        port = PortSettings(
            controls.pocket_share, controls.port_vent_is_open, controls.capacity_shift_ul, controls.syringe_is_off
        )
        self._port = RefillPort(draws, noise, port)
        self._septum = SeptumLeak(draws, controls.septum_leak_factor)
        self._flow_sensor = FlowSensor(draws, noise, controls.sensor_drift_per_day)
        self.transducers = {section: Transducer(section, draws) for section in TRANSDUCERS}
        self.stage = Stage(draws, noise, controls.needle_mm, controls.needle_short_mm, controls.needle_is_beside)
        room = np.array([draws["laboratory.temperature_degc"]])
        self._kpa_per_mm = float(self.fluid.density_kg_per_m3(room)[0]) * GRAVITY * 1e-6

    def start(self) -> PlantState:
        """State at time zero."""
        environment = self._environment.start()
        line = self._line.start()
        column_kpa = self._kpa_per_mm * self.controls.transducer_height_mm.at(-1)
        return PlantState(
            environment,
            DriveState(),
            line,
            WeighingState(),
            self._flow_sensor.start(),
            SyringeState(),
            RefillState(),
            SeptumState(),
            0.0,
            (line.p1_kpa - column_kpa, self.reservoir.nominal_kpa, self.controls.back_pressure_kpa.at(-1)),
        )

    def advance(self, chunk: int, state: PlantState) -> tuple[Columns, PlantState]:
        """Compute one chunk."""
        k0 = chunk * CHUNK
        # What goes in by hand acts on the flow from the next chunk on, as all that is slow.
        by_hand_ul = self.controls.filled_ul.over(k0 - 1, k0 + CHUNK)
        fill_ul = self.draws["reservoir.fill_ul"] + by_hand_ul
        env, environment = self._environment.advance(state.environment, chunk)
        left_ul = float(fill_ul[0]) - state.line.pump_ul + state.refill.refilled_ul - state.septum.leak_ul
        around = PumpSurroundings(env, left_ul, state.line.p1_kpa)
        supply, drive = self._drive.advance(state.drive, k0, around)
        plunger = self._syringe.plunger_ul(k0, env)
        at_port, at_line = (plunger, None) if self._refills else (None, plunger)
        path, line = self._line.advance(state.line, k0, supply, env, left_ul, at_line)
        place = np.arange(k0, k0 + CHUNK + 1, dtype=np.float64)
        punctures = self.stage.punctures(place[1:])
        reached = self.stage.reaches(place) if self._needle_is_held else np.full(CHUNK + 1, self._refills)
        start_kpa = float(self.reservoir.pressure_kpa(np.array([left_ul]), env.bath_degc[:1], env.pressure_kpa[:1])[0])
        in_needle = self._line.viscosity(float(env.lab_degc[0]), ROOM_DEGC)
        at = AtReservoir(left_ul, start_kpa, path.pump_ul, reached[1:], punctures, in_needle)
        port, from_syringe, refill = self._port.advance(state.refill, k0, at_port, at)
        pushed, syringe = self._syringe.advance(state.syringe, from_syringe if self._refills else at_line, env)
        weighed, weighing = self._weighing.advance(state.weighing, chunk, path.line_step_ul, path.tip_air, env)
        flow, air, flow_state = self._flow_sensor.advance(state.flow, chunk, path.line_step_ul, path.sensor_air, env)
        reservoir_ul = fill_ul - path.pump_ul + port.refilled_ul - state.septum.leak_ul
        reservoir_kpa = self.reservoir.pressure_kpa(reservoir_ul, env.bath_degc, env.pressure_kpa)
        leak, septum = self._septum.advance(state.septum, k0, punctures, reservoir_kpa)
        reservoir_ul = reservoir_ul - (leak.leak_ul - state.septum.leak_ul)
        gained_ul = np.diff(by_hand_ul) + np.diff(port.refilled_ul) - np.diff(path.pump_ul) - np.diff(leak.leak_ul)
        pump_mg = running_sum(gained_ul * (self.fluid.density_kg_per_m3(env.bath_degc[1:]) * 1e-3), state.pump_mg)
        back_kpa = self.controls.back_pressure_kpa.over(k0 - 1, k0 + CHUNK)
        height_mm = self.controls.transducer_height_mm.over(k0 - 1, k0 + CHUNK)
        felt = (path.p1_kpa - self._kpa_per_mm * height_mm, reservoir_kpa, back_kpa)
        deflections = [
            transducer.deflect(pressure, start)
            for transducer, pressure, start in zip(self.transducers.values(), felt, state.deflections, strict=True)
        ]
        columns: Columns = {
            f.name: getattr(p, f.name) for p in (env, path, port, pushed, weighed, leak) for f in fields(p)
        }
        columns |= dict(zip(TRANSDUCERS, deflections, strict=True))
        columns |= {"flow": flow, "air": air, "reservoir_kpa": reservoir_kpa, "back_kpa": back_kpa}
        columns |= {"reservoir_ul": reservoir_ul, "height_mm": height_mm, "pump_mg": pump_mg}
        columns["capillary_mm"] = self._septum.capillary_mm(leak.leak_ul_per_kpa, env)
        refill_kpa = self._port.pressure_kpa(port, reservoir_kpa, reached, in_needle)
        columns |= {"refill_kpa": refill_kpa, "pusher_kpa": refill_kpa if self._refills else path.p1_kpa}
        columns["programmed_ul"] = self.pump.commanded_ul(k0, k0 + CHUNK)
        for name in ("line_step_ul", "sensor_air", "tip_air"):
            del columns[name]
        ends = tuple(float(deflection[-1]) for deflection in deflections)
        end = PlantState(
            environment, drive, line, weighing, flow_state, syringe, refill, septum, float(pump_mg[-1]), ends
        )
        return columns, end


def _mechanism(controls: Controls) -> DriveFaults:
    """What goes wrong with the pump's mechanism."""
    return DriveFaults(controls.stalled, controls.ratio, controls.late_start_s, controls.overshoot)


def _path(controls: Controls) -> Settings:
    """What can change in the fluid path."""
    return Settings(
        Forced(controls.outlet_is_open, controls.outlet_is_held),
        controls.vent_is_open,
        controls.back_pressure_kpa,
        controls.tip_is_open,
        controls.resistance_factor,
        controls.slip_kpa,
        controls.alarm_is_broken,
        controls.free_flow_ul_per_h,
        controls.bubble_ul,
        controls.leak_ul_per_s_kpa,
        Mounting(
            controls.catheter_is_off,
            controls.bend_mm,
            controls.kink_radius_factor,
            controls.extra_length_mm,
            controls.catheter_leak_ul_per_s_kpa,
            controls.is_disconnected,
            controls.tip_is_dislodged,
        ),
    )


def _vessel(controls: Controls, tip_kpa: Callable[[int, int], FloatArray]) -> WeighingSettings:
    """What can change at the vessel and its balance."""
    return WeighingSettings(
        controls.is_diverted,
        OnCatheter(controls.tip_leak_ul_per_s_kpa, controls.catheter_is_off),
        tip_kpa,
        controls.evaporation_mg_per_h,
        controls.balance_drift_mg_per_h,
        controls.pan_mg,
        controls.twin_pan_mg,
        controls.weight_mg,
        controls.door_is_open,
        controls.vessel_capacity_ul,
        controls.balance_adjustment_ppm,
        controls.balance_tilt_deg,
        controls.taken_mg,
    )
