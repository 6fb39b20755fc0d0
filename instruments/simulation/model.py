"""The plant as one pure function: the state at the start of a chunk gives the chunk and the state at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields

import numpy as np

from instruments.simulation.drive import AS_BUILT, DRIVES, Drive, DriveState, PumpSurroundings
from instruments.simulation.environment import Environment, EnvironmentChunk, EnvironmentState
from instruments.simulation.faults import FaultSpec, kind_of
from instruments.simulation.grid import CHUNK, Timeline, index_of_onset
from instruments.simulation.line import Line, LineChunk, LineState, Settings
from instruments.simulation.noise import Noise
from instruments.simulation.parameters import Draws, PlantParameters
from instruments.simulation.pump import Pump
from instruments.simulation.reservoir import Reservoir
from instruments.simulation.sensors import FlowSensor, FlowState, Transducer
from instruments.simulation.signal import FloatArray
from instruments.simulation.weighing import AS_DRAWN, Fluid, Weighing, WeighingChunk, WeighingSettings, WeighingState

Columns = dict[str, FloatArray]
"""A chunk: every quantity by name at its n + 1 grid points."""

TRANSDUCERS = ("outlet_transducer", "reservoir_transducer", "back_pressure_transducer")


@dataclass(frozen=True, slots=True)
class Controls:
    """Everything in the plant that a command or a fault can change."""

    outlet_is_open: Timeline
    vent_is_open: Timeline
    back_pressure_kpa: Timeline
    bath_setpoint_degc: Timeline
    is_diverted: Timeline
    pan_mg: Timeline
    twin_pan_mg: Timeline
    bath_is_on: Timeline
    ratio: Timeline
    stalled: Timeline
    reset: Timeline
    free_flow_ul_per_h: Timeline
    tip_is_open: Timeline
    resistance_factor: Timeline
    leak_fraction: Timeline
    bubble_ul: Timeline
    evaporation_mg_per_h: Timeline
    balance_drift_mg_per_h: Timeline
    sensor_drift_per_day: Timeline

    @classmethod
    def at_rest(cls, draws: Draws) -> Controls:
        """All lines off, set points as the parameters say."""
        initial = {
            "outlet_is_open": draws["valves.outlet_is_normally_open"],
            "vent_is_open": draws["valves.vent_is_normally_open"],
            "back_pressure_kpa": draws["outlet.back_pressure_kpa"],
            "bath_setpoint_degc": draws["bath.setpoint_degc"],
            "bath_is_on": 1.0,
            "ratio": AS_BUILT,
            "tip_is_open": 1.0,
            "resistance_factor": 1.0,
            "evaporation_mg_per_h": AS_DRAWN,
        }
        return cls(**{f.name: Timeline(initial.get(f.name, 0.0)) for f in fields(cls)})

    def each(self) -> Iterable[Timeline]:
        """All of them."""
        return (getattr(self, f.name) for f in fields(self))

    def inject(self, fault: FaultSpec) -> None:
        """Let a fault begin; a fault of an instrument's wire is none of the plant's business."""
        if kind_of(fault.name).where == "wire":
            return
        ones = {
            "motor-stall": (self.stalled, 1.0),
            "reset-to-minimum-rate": (self.reset, 1.0),
            "occlusion": (self.tip_is_open, 0.0),
            "bath-off": (self.bath_is_on, 0.0),
        }
        graded = {
            "over-delivery": self.ratio,
            "under-delivery": self.ratio,
            "free-flow": self.free_flow_ul_per_h,
            "leak": self.leak_fraction,
            "kink": self.resistance_factor,
            "dry-evaporation-trap": self.evaporation_mg_per_h,
            "sensor-drift": self.sensor_drift_per_day,
            "balance-drift": self.balance_drift_mg_per_h,
            "air-bubble": self.bubble_ul,
        }
        timeline, value = ones.get(fault.name) or (graded[fault.name], fault.severity)
        timeline.set(index_of_onset(fault.at_s), value)


@dataclass(frozen=True, slots=True)
class PlantState:
    """The plant at the start of a chunk."""

    environment: EnvironmentState
    drive: DriveState
    line: LineState
    weighing: WeighingState
    flow: FlowState
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
        self.pump = Pump(parameters, draws, controls.stalled, controls.reset.first(1.0), lock, changed, now)
        self.reservoir = Reservoir(draws)
        self._drive: Drive = DRIVES[kind](self.pump, draws, self.reservoir, controls.stalled, controls.ratio)
        path = Settings(
            controls.outlet_is_open,
            controls.vent_is_open,
            controls.back_pressure_kpa,
            controls.tip_is_open,
            controls.resistance_factor,
            controls.free_flow_ul_per_h,
            controls.bubble_ul,
        )
        self._line = Line(draws, path, self.reservoir, slips=kind == "peristaltic")
        self._environment = Environment(draws, noise, controls.bath_setpoint_degc, controls.bath_is_on)
        vessel = WeighingSettings(
            controls.is_diverted,
            controls.leak_fraction,
            controls.evaporation_mg_per_h,
            controls.balance_drift_mg_per_h,
            controls.pan_mg,
            controls.twin_pan_mg,
        )
        self.fluid = Fluid(draws)
        self._weighing = Weighing(draws, noise, self.fluid, vessel)
        self._flow_sensor = FlowSensor(draws, noise, controls.sensor_drift_per_day)
        self.transducers = {section: Transducer(section, draws) for section in TRANSDUCERS}

    def start(self) -> PlantState:
        """State at time zero."""
        environment = self._environment.start()
        line = self._line.start()
        return PlantState(
            environment,
            DriveState(),
            line,
            WeighingState(),
            self._flow_sensor.start(),
            (line.p1_kpa, self.reservoir.nominal_kpa, self.controls.back_pressure_kpa.at(-1)),
        )

    def advance(self, chunk: int, state: PlantState) -> tuple[Columns, PlantState]:
        """Compute one chunk."""
        k0 = chunk * CHUNK
        fill_ul = self.draws["reservoir.fill_ul"]
        env, environment = self._environment.advance(state.environment, chunk)
        left_ul = fill_ul - state.line.pump_ul
        around = PumpSurroundings(env, left_ul, state.line.p1_kpa)
        supply, drive = self._drive.advance(state.drive, k0, around)
        path, line = self._line.advance(state.line, k0, supply, env, left_ul)
        weighed, weighing = self._weighing.advance(state.weighing, chunk, path.line_step_ul, path.tip_air, env)
        flow, air, flow_state = self._flow_sensor.advance(state.flow, chunk, path.line_step_ul, path.sensor_air, env)
        reservoir_kpa = self.reservoir.pressure_kpa(fill_ul - path.pump_ul, env.bath_degc, env.pressure_kpa)
        back_kpa = self.controls.back_pressure_kpa.over(k0 - 1, k0 + CHUNK)
        felt = (path.p1_kpa, reservoir_kpa, back_kpa)
        deflections = [
            transducer.deflect(pressure, start)
            for transducer, pressure, start in zip(self.transducers.values(), felt, state.deflections, strict=True)
        ]
        columns = self._columns(k0, env, path, weighed)
        columns |= dict(zip(TRANSDUCERS, deflections, strict=True))
        columns |= {"flow": flow, "air": air, "reservoir_kpa": reservoir_kpa, "back_kpa": back_kpa}
        columns["reservoir_ul"] = fill_ul - path.pump_ul
        ends = tuple(float(deflection[-1]) for deflection in deflections)
        return columns, PlantState(environment, drive, line, weighing, flow_state, ends)

    def _columns(self, k0: int, env: EnvironmentChunk, path: LineChunk, weighed: WeighingChunk) -> Columns:
        columns: Columns = {}
        for part in (env, path, weighed):
            columns |= {f.name: getattr(part, f.name) for f in fields(part)}
        for name in ("line_step_ul", "sensor_air", "tip_air"):
            del columns[name]
        columns["programmed_ul"] = self.pump.commanded_ul(k0, k0 + CHUNK)
        return columns


def flow_ul_per_h(volume_ul: FloatArray) -> FloatArray:
    """Mean flow of the interval that ends at each grid point; the first one's is taken from the next."""
    flow = np.empty(len(volume_ul))
    flow[1:] = np.diff(volume_ul) * 36000.0
    flow[0] = flow[1]
    return flow
