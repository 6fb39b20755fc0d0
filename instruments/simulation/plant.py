"""The simulated plant: pump, catheter, vessel and surroundings, shared by all simulated instruments.

It runs ahead in chunks and is cut back when a command arrives: what is at or before the command's moment stays as it
was, to the last bit.  A chunk is a pure function of the state at its start, so asking in any order, for any lengths,
again, or about the past gives the same numbers; only recent chunks and a few states are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from instruments.clock import Clock
from instruments.simulation.faults import FaultSpec, fault
from instruments.simulation.grid import CHUNK, DT_S, EDGE, RATE_HZ, Forced, Timeline, Track, index_of_command, time_of
from instruments.simulation.model import Columns, Model, PlantState
from instruments.simulation.noise import Noise
from instruments.simulation.outputs import Output, outputs
from instruments.simulation.parameters import Draws, PlantParameters
from instruments.simulation.signal import FloatArray, PumpUnderTest

CHUNKS_KEPT = 6
STATES_KEPT = 64
"""States at chunk starts that are kept from the whole past, evenly spread."""

SAMPLES_BLOCK = 4096
"""Samples of a device's own clock whose noise is one stream."""

NOTHING_HELD: tuple[int, list[float]] = (1 << 62, [])


class PlantSignal:
    """One signal of a plant; meets `instruments.simulation.signal.Signal`."""

    def __init__(self, plant: Plant, output: Output, noise: Noise) -> None:
        self.output = output
        self._plant = plant
        self._noise = noise
        self._held = NOTHING_HELD
        self._white: dict[tuple[float, float], tuple[int, FloatArray]] = {}

    def at(self, t: float) -> float:
        """Value of the last conversion at or before ``t``."""
        base, values = self._held
        k = int(t * RATE_HZ + EDGE) - base
        if 0 <= k < CHUNK:
            return values[k]
        return self._load(t)

    def samples(self, t0: float, dt: float, first: int, n: int) -> FloatArray:
        """Values at ``t0 + (first + k)·dt``; see `instruments.simulation.signal.Signal`."""
        place: FloatArray = (t0 + np.arange(first, first + n, dtype=np.float64) * dt) * RATE_HZ
        np.maximum(place, 0.0, out=place)
        if self.output.held:
            place += EDGE
        values = self._plant.moments(self, place) if self.output.moment else self._from_chunks(place)
        sd = self.output.noise or self.output.noise_sqrt_s / math.sqrt(dt)
        if sd:
            values += sd * self._own_noise(t0, dt, first, n)
        return values

    def forget(self) -> None:
        """Drop what is held; the plant has changed."""
        self._held = NOTHING_HELD

    def _from_chunks(self, place: FloatArray) -> FloatArray:
        """Values at places on the grid."""
        n = len(place)
        values = np.empty(n)
        done = 0
        while done < n:
            chunk = int(place[done]) // CHUNK
            base = chunk * CHUNK
            end = n if place[-1] < base + CHUNK else int(np.searchsorted(place, base + CHUNK))
            within = place[done:end] - base
            values[done:end] = self._between(self._plant.smooth(self, chunk), within)
            done = end
        return values

    def _between(self, grid: FloatArray, within: FloatArray) -> FloatArray:
        """Values of a chunk between its grid points."""
        k = within.astype(np.int64)
        low = grid[k]
        if self.output.held:
            return low
        return low + (within - k) * (grid[k + 1] - low)

    def _load(self, t: float) -> float:
        """Hold the chunk around ``t`` with its noise, as a list: reading one number from an array is slow."""
        k = int(t * RATE_HZ + EDGE) if t > 0.0 else 0
        chunk = k // CHUNK
        with self._plant.lock:  # a command on another thread must not come between computing and holding
            values = self._plant.smooth(self, chunk)[:CHUNK]
            sd = self.output.noise or self.output.noise_sqrt_s / math.sqrt(DT_S)
            if sd:
                kept = self._kept(DT_S)
                values = values + sd * self._noise.hanging_together(self.output.name, chunk, CHUNK, kept)
            listed: list[float] = values.tolist()
            self._held = (chunk * CHUNK, listed)
        return listed[k - chunk * CHUNK]

    def _kept(self, dt: float) -> float:
        """Share of its noise that a value still has after ``dt``."""
        return math.exp(-dt / self.output.noise_s) if self.output.noise_s else 0.0

    def _own_noise(self, t0: float, dt: float, first: int, n: int) -> FloatArray:
        """Standard normal numbers of the sample indices of a device that began to sample at ``t0``, ``dt`` apart."""
        kept = self._kept(dt)
        values = np.empty(n)
        done = 0
        while done < n:
            block, offset = divmod(first + done, SAMPLES_BLOCK)
            held = self._white.get((t0, kept))
            if held is None or held[0] != block:
                if len(self._white) > 8:
                    self._white.clear()
                name = f"{self.output.name} sampled from {t0!r}"
                held = (block, self._noise.hanging_together(name, block, SAMPLES_BLOCK, kept))
                self._white[(t0, kept)] = held
            take = min(n - done, SAMPLES_BLOCK - offset)
            values[done : done + take] = held[1][offset : offset + take]
            done += take
        return values


class PlantActuator:
    """Something of the plant that an instrument drives; meets `instruments.simulation.signal.Actuator`."""

    def __init__(self, plant: Plant, timeline: Timeline | Track, meaning: Callable[[float], float]) -> None:
        self._plant = plant
        self._timeline = timeline
        self._meaning = meaning

    def write(self, value: float, t: float) -> None:
        """Command a value at ``t``; it acts from the next grid point."""
        self._plant.command(self._timeline, index_of_command(t), self._meaning(value))


class PlantMover(PlantActuator):
    """An actuator that can also move evenly; meets `instruments.simulation.signal.RampActuator`."""

    def __init__(self, plant: Plant, track: Track) -> None:
        super().__init__(plant, track, float)
        self._track = track

    def ramp(self, value: float, per_s: float, t: float) -> None:
        """Move to a value from the grid point after ``t`` on; raises ValueError for a rate that is not positive."""
        if not 0.0 < per_s < math.inf:
            raise ValueError(f"a rate of {per_s:g} a second leads nowhere; it is a positive number")
        self._plant.move(self._track, index_of_command(t), value, per_s)


class Plant:
    """The plant.

    Parameters
    ----------
    parameters : see `instruments.simulation.parameters`.
    clock : the run's clock; it learns when the plant may change by a step.
    seed : decides every draw and all noise.
    faults : what goes wrong, and when.

    Attributes
    ----------
    signals, actuators : by name; ``truth`` are those signals that no instrument sees, without their prefix.
    pump : the pump under test.
    draws : what the seed drew.
    lock : held by whoever computes or changes the plant.
    """

    def __init__(
        self, parameters: PlantParameters, clock: Clock, seed: int = 0, faults: Iterable[FaultSpec] = ()
    ) -> None:
        self.seed = seed
        self.faults = tuple(fault(spec.name, spec.severity, spec.at_s) for spec in faults)
        self._clock = clock
        self.lock = clock.lock()
        self._noise = Noise(seed)
        self._chunks: dict[int, Columns] = {}
        self._smooth: dict[tuple[str, int], FloatArray] = {}
        self._spacing = 1
        self._foreseen = -math.inf
        self._signals: dict[str, PlantSignal] = {}
        self._parameters = parameters
        self._model = Model(parameters, self._noise, self.faults, self.lock, self._cut_back, clock.now)
        self._states: dict[int, PlantState] = {0: self._model.start()}
        self._signals = {o.name: PlantSignal(self, o, self._noise) for o in outputs(self._model)}
        self.actuators: Mapping[str, PlantActuator] = self._actuators()
        if self.draws["pump.occlusion_alarm_kpa"]:
            self._model.pump.hears = self._occlusion_alarm
        clock.foresee(self._next_change)

    @property
    def signals(self) -> Mapping[str, PlantSignal]:
        """Every signal by name."""
        return self._signals

    @property
    def truth(self) -> Mapping[str, PlantSignal]:
        """What no instrument sees."""
        prefix = "truth_"
        return {name.removeprefix(prefix): s for name, s in self._signals.items() if name.startswith(prefix)}

    @property
    def pump(self) -> PumpUnderTest:
        """The pump under test."""
        return self._model.pump

    @property
    def draws(self) -> Draws:
        """What the seed drew for each parameter."""
        return self._model.draws

    def standing(self, t: float) -> dict[str, float]:
        """What is driven, as it stands at ``t``: valves as open (1) or shut, not as energised; a stuck one as it is."""
        controls, k = self._model.controls, int(t * RATE_HZ + EDGE)
        with self.lock:
            return {
                "outlet_is_open": Forced(controls.outlet_is_open, controls.outlet_is_held).at(k),
                "vent_is_open": controls.vent_is_open.at(k),
                "is_diverted": controls.is_diverted.at(k),
                "pusher_ul_per_h": controls.pusher_ul_per_h.at(k),
                "back_pressure_kpa": controls.back_pressure_kpa.at(k),
            }

    def text(self, name: str) -> str:
        """A parameter that is a word."""
        return self._parameters.text(name)

    def density_kg_per_m3(self, temperature_degc: float) -> float:
        """True density of the fluid, with what the seed drew: truth volumes at a reference temperature follow."""
        return float(self._model.fluid.density_kg_per_m3(np.array([temperature_degc]))[0])

    def smooth(self, signal: PlantSignal, chunk: int) -> FloatArray:
        """A signal without white noise at the grid points of a chunk, its end included."""
        with self.lock:
            key = (signal.output.name, chunk)
            values = self._smooth.get(key)
            if values is None:
                values = self._smooth[key] = signal.output.smooth(self._columns(chunk), chunk * CHUNK)
            return values

    def moments(self, signal: PlantSignal, place: FloatArray) -> FloatArray:
        """A signal without white noise that is known at any moment, not at grid points alone."""
        assert signal.output.moment is not None
        with self.lock:
            return signal.output.moment(place)

    def command(self, timeline: Timeline | Track, k: int, value: float) -> None:
        """Let a setting have a value from grid index ``k``."""
        with self.lock:
            if timeline.at(k) != value or timeline.next_change(k) is not None:
                timeline.set(k, value)
                self._cut_back(k)

    def move(self, track: Track, k: int, value: float, per_s: float) -> None:
        """Let a setting move evenly to a value from grid index ``k``."""
        with self.lock:
            track.ramp(k, value, per_s)
            self._cut_back(k)

    def _actuators(self) -> dict[str, PlantActuator]:
        controls, draws = self._model.controls, self._model.draws

        def valve(timeline: Timeline, normally_open: float) -> PlantActuator:
            return PlantActuator(self, timeline, lambda v: normally_open if v < 0.5 else 1.0 - normally_open)

        def setting(timeline: Timeline) -> PlantActuator:
            return PlantActuator(self, timeline, float)

        def switch(timeline: Timeline) -> PlantActuator:
            return PlantActuator(self, timeline, lambda v: 0.0 if v < 0.5 else 1.0)

        return {
            "outlet_valve": valve(controls.outlet_is_open, draws["valves.outlet_is_normally_open"]),
            "vent_valve": valve(controls.vent_is_open, draws["valves.vent_is_normally_open"]),
            "port_vent_valve": valve(controls.port_vent_is_open, draws["valves.port_vent_is_normally_open"]),
            "diverter_valve": valve(controls.is_diverted, 0.0),
            "back_pressure_kpa": PlantMover(self, controls.back_pressure_kpa),
            "pusher_ul_per_h": setting(controls.pusher_ul_per_h),
            "bath_setpoint_degc": setting(controls.bath_setpoint_degc),
            "bath_is_on": switch(controls.bath_is_on),
            "pan_mg": setting(controls.pan_mg),
            "twin_pan_mg": setting(controls.twin_pan_mg),
            "taken_mg": setting(controls.taken_mg),
            "weight_mg": setting(controls.weight_mg),
            "door_open": switch(controls.door_is_open),
            "needle_mm": PlantMover(self, controls.needle_mm),
            "filled_ul": setting(controls.filled_ul),
            "e_stop": switch(controls.e_stop),
            "syringe_is_off": switch(controls.syringe_is_off),
            "catheter_is_off": switch(controls.catheter_is_off),
            "bend_mm": setting(controls.bend_mm),
            "air_ul": setting(controls.bubble_ul),
        }

    def _occlusion_alarm(self, t: float) -> tuple[bool, tuple[float, ...]]:
        """Whether the pump's occlusion alarm sounds, and when it began to until then."""
        with self.lock:
            chunk, k = divmod(int(t * RATE_HZ + EDGE), CHUNK)
            sounding = self._columns(chunk)["occlusion_alarm"]
            onsets = self._states[chunk + 1].line.alarm.onsets_s
            return bool(sounding[k]), tuple(onset for onset in onsets if onset <= t)

    # -- chunks

    def _columns(self, chunk: int) -> Columns:
        """A chunk, computed from the nearest state before it where it is not there."""
        columns = self._chunks.get(chunk)
        if columns is None:
            nearest = max(c for c in self._states if c <= chunk)
            for c in range(nearest, chunk + 1):
                columns, self._states[c + 1] = self._model.advance(c, self._states[c])
                self._keep(c, columns)
            self._thin()
        assert columns is not None
        return columns

    def _keep(self, chunk: int, columns: Columns) -> None:
        """Store a chunk in place of the one that was computed first."""
        self._chunks[chunk] = columns
        while len(self._chunks) > CHUNKS_KEPT:
            oldest = next(iter(self._chunks))
            del self._chunks[oldest]
            for key in [key for key in self._smooth if key[1] == oldest]:
                del self._smooth[key]

    def _thin(self) -> None:
        """Forget states until few are left: those next to a kept chunk, and an even selection of the past."""
        while len(self._states) > STATES_KEPT + 2 * CHUNKS_KEPT:
            self._states = {
                c: state for c, state in self._states.items() if c % self._spacing == 0 or c - 1 in self._chunks
            }
            if len(self._states) > STATES_KEPT + CHUNKS_KEPT:
                self._spacing *= 2

    def _cut_back(self, k: int) -> None:
        """Forget what a change at grid index ``k`` may alter."""
        first = k // CHUNK
        self._chunks = {c: columns for c, columns in self._chunks.items() if c < first}
        self._states = {c: state for c, state in self._states.items() if c <= first}
        self._smooth = {key: values for key, values in self._smooth.items() if key[1] < first}
        self._foreseen = -math.inf
        for signal in self._signals.values():
            signal.forget()

    def _next_change(self) -> float:
        """Earliest moment after now at which a fault begins, a command acts or the commanded rate changes."""
        now = self._clock.now()
        if self._foreseen <= now:
            k = int(now * RATE_HZ + EDGE)
            changes = [timeline.next_change(k) for timeline in self._model.controls.each()]
            coming = min((time_of(change) for change in changes if change is not None), default=math.inf)
            self._foreseen = min(coming, self._model.pump.next_change_s(now))
        return self._foreseen
