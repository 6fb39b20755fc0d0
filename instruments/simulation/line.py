"""The fluid path from the pump to the tip: catheter, valves, back pressure, free flow, slip and an air bubble.

Within a stretch in which nothing changes the path is a linear network and is solved exactly (`network`); stretches
end at commands, at fault onsets, and where the pressure or the volume reaches what changes the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instruments.simulation.drive import Supply
from instruments.simulation.environment import EnvironmentChunk
from instruments.simulation.grid import CHUNK, DT_S, Timeline
from instruments.simulation.network import Network, Response, respond
from instruments.simulation.parameters import Draws
from instruments.simulation.properties import STANDARD_ATMOSPHERE_KPA, ZERO_CELSIUS_K
from instruments.simulation.reservoir import Reservoir
from instruments.simulation.signal import FloatArray
from instruments.simulation.stepping import running_sum

WATER_EXPANSION_PER_K = 2.2e-4
"""Thermal expansion of water at 22 °C."""

FREE_FLOW_STEP = 100
"""Intervals (10 s) in which the reservoir pressure of a free-flowing pump counts as constant."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can change in the path; valves as they stand, not as they are energised."""

    outlet_is_open: Timeline
    vent_is_open: Timeline
    back_pressure_kpa: Timeline
    tip_is_open: Timeline
    resistance_factor: Timeline
    free_flow_ul_per_h: Timeline  # at the nominal reservoir pressure
    bubble_ul: Timeline

    def changes(self, k0: int, k1: int) -> set[int]:
        """Indices in (k0, k1) at which any of them changes."""
        everything = (
            self.outlet_is_open,
            self.vent_is_open,
            self.back_pressure_kpa,
            self.tip_is_open,
            self.resistance_factor,
            self.free_flow_ul_per_h,
            self.bubble_ul,
        )
        return {k for timeline in everything for k in timeline.changes(k0, k1)}


@dataclass(frozen=True, slots=True)
class LineState:
    """Pressures, volumes since the start, and the bubble in the line: its volume and the line volume at its entry."""

    p1_kpa: float
    p2_kpa: float
    pump_ul: float = 0.0
    line_ul: float = 0.0
    lost_ul: float = 0.0
    added_ul: float = 0.0
    bubble_ul: float = 0.0
    bubble_from_ul: float = 0.0


@dataclass(frozen=True, slots=True)
class LineChunk:
    """The path at the n + 1 grid points of a chunk; volumes in µL since the start of the run.

    ``line_ul`` has passed the flow sensor, ``lost_ul`` left by vent or connector, ``added_ul`` came from thermal
    expansion and a moving valve.  ``sensor_air`` and ``tip_air`` are 1 in the intervals (n,) in which air passes.
    """

    p1_kpa: FloatArray
    p2_kpa: FloatArray
    pump_ul: FloatArray
    line_ul: FloatArray
    lost_ul: FloatArray
    added_ul: FloatArray
    line_step_ul: FloatArray
    sensor_air: FloatArray
    tip_air: FloatArray


class Line:
    """The path; see the module docstring."""

    def __init__(self, draws: Draws, settings: Settings, reservoir: Reservoir, *, slips: bool) -> None:
        self.d = draws
        self.settings = settings
        self.reservoir = reservoir
        self.slip_conductance = draws["pump.slip_ul_per_s_kpa"] if slips else 0.0
        self.slip_kpa = draws["pump.slip_pressure_kpa"]
        self.leak_conductance = draws["catheter.leak_conductance_ul_per_s_kpa"]

    def start(self) -> LineState:
        """At rest against the back pressure."""
        head = self.head_kpa(-1)
        return LineState(head, head)

    def head_kpa(self, k: int) -> float:
        """Gauge pressure at the tip."""
        return self.d["outlet.static_head_kpa"] + self.settings.back_pressure_kpa.at(k)

    def advance(
        self, state: LineState, k0: int, supply: Supply, environment: EnvironmentChunk, reservoir_ul: float
    ) -> tuple[LineChunk, LineState]:
        """Compute one chunk; ``reservoir_ul`` is the reservoir's volume at its start."""
        passage = _Passage(self, state, k0, supply, environment, reservoir_ul)
        cuts = sorted(self._cuts(k0, supply))
        k = k0
        for cut in cuts:
            while k < cut:
                k = passage.stretch(k, cut)
        return passage.finish()

    def _cuts(self, k0: int, supply: Supply) -> set[int]:
        """Indices at which something may change in the chunk, and its end."""
        k1 = k0 + CHUNK
        cuts = self.settings.changes(k0, k1) | {k for k, _ in supply.conductance if k0 < k < k1}
        if any(value for _, _, value in self.settings.free_flow_ul_per_h.pieces(k0, k1)):
            cuts.update(range(k0 + FREE_FLOW_STEP, k1, FREE_FLOW_STEP))
        return cuts | {k1}


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Everything that is constant between two cuts."""

    network: Network
    feedback: float  # pump flow lost per kPa
    slip: float  # the same above the slip pressure
    free: float
    reservoir_kpa: float
    tip: float
    vent: float
    head_kpa: float


class _Passage:
    """One chunk of the path while it is being computed."""

    def __init__(
        self,
        line: Line,
        state: LineState,
        k0: int,
        supply: Supply,
        environment: EnvironmentChunk,
        reservoir_ul: float,
    ) -> None:
        self._line, self._start, self._k0, self._supply = line, state, k0, supply
        self._environment, self._reservoir_ul = environment, reservoir_ul
        self._p1, self._p2 = np.empty(CHUNK + 1), np.empty(CHUNK + 1)
        self._p1[0], self._p2[0] = state.p1_kpa, state.p2_kpa
        self._pump, self._passed, self._lost = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
        self._added = np.diff(environment.lab_degc) * (line.d["catheter.line_volume_ul"] * WATER_EXPANSION_PER_K)
        self._pumped_ul, self._line_ul = 0.0, state.line_ul
        self._bubble = (state.bubble_ul, state.bubble_from_ul)
        self._bubbles = [self._bubble] if state.bubble_ul else []

    def stretch(self, k: int, end: int) -> int:
        """Solve from ``k`` until ``end`` or until the network changes by itself; returns the index reached."""
        a = k - self._k0
        p1, p2 = float(self._p1[a]), float(self._p2[a]) + self._swept_kpa(k)
        self._admit_bubble(k)
        s = self._constants(k, p1)
        piece = slice(a, end - self._k0)
        added = self._added[piece] + self._breath_ul(piece)
        s1 = self._supply.flow_ul_per_s[piece] + (s.free * s.reservoir_kpa + s.slip * self._line.slip_kpa)
        s2 = added / DT_S + s.tip * s.head_kpa
        response = respond(s.network, p1, p2, s1, s2)
        passed = s.tip * (response.integral2 - s.head_kpa * DT_S) if s.tip else np.zeros(end - k)
        n = self._guarded(response, passed, slipping=s.slip > 0.0)
        piece, kept = slice(a, a + n), slice(0, n)
        self._p1[a + 1 : a + n + 1] = response.p1[1 : n + 1]
        self._p2[a + 1 : a + n + 1] = response.p2[1 : n + 1]
        self._passed[piece] = passed[kept]
        integral1 = response.integral1[kept]
        pumped = self._supply.flow_ul_per_s[piece] * DT_S - s.feedback * integral1
        pumped += s.free * (s.reservoir_kpa * DT_S - integral1) - s.slip * (integral1 - self._line.slip_kpa * DT_S)
        self._pump[piece] = pumped
        self._lost[piece] = self._line.leak_conductance * integral1 + s.vent * response.integral2[kept]
        self._added[piece] = added[kept]
        self._added[a] += self._swept_ul(k)
        self._pumped_ul += float(np.cumsum(pumped)[-1])
        self._line_ul += float(np.cumsum(passed[kept])[-1])
        self._release_bubble()
        return k + n

    def finish(self) -> tuple[LineChunk, LineState]:
        """The chunk and what it leaves behind."""
        pump = running_sum(self._pump, self._start.pump_ul)
        line = running_sum(self._passed, self._start.line_ul)
        lost = running_sum(self._lost, self._start.lost_ul)
        added = running_sum(self._added, self._start.added_ul)
        d = self._line.d
        chunk = LineChunk(
            self._p1,
            self._p2,
            pump,
            line,
            lost,
            added,
            self._passed,
            self._air(line, d["catheter.bubble_to_sensor_ul"]),
            self._air(line, d["catheter.bubble_to_tip_ul"]),
        )
        columns = (self._p1, self._p2, pump, line, lost, added)
        p1, p2, pump_ul, line_ul, lost_ul, added_ul = (float(column[-1]) for column in columns)
        return chunk, LineState(p1, p2, pump_ul, line_ul, lost_ul, added_ul, *self._bubble)

    # -- what the network is made of

    def _constants(self, k: int, p1: float) -> _Stretch:
        line, d, at = self._line, self._line.d, self._line.settings
        feedback = [g for first, g in self._supply.conductance if first <= k][-1]
        slip = line.slip_conductance if p1 >= line.slip_kpa else 0.0
        free = at.free_flow_ul_per_h.at(k) / 3600.0 / line.reservoir.nominal_kpa
        is_open = at.outlet_is_open.at(k) * at.tip_is_open.at(k)
        tip = d["catheter.tip_conductance_ul_per_s_kpa"] * is_open
        vent = d["valves.vent_conductance_ul_per_s_kpa"] * at.vent_is_open.at(k)
        through = 1.0 / (d["catheter.resistance_kpa_s_per_ul"] * at.resistance_factor.at(k))
        # Air is as soft as its volume over the absolute pressure.
        c1 = d["catheter.proximal_compliance_ul_per_kpa"] + self._bubble[0] / STANDARD_ATMOSPHERE_KPA
        c2 = d["catheter.distal_compliance_ul_per_kpa"]
        network = Network(c1, c2, feedback + slip + free + line.leak_conductance, through, tip + vent)
        return _Stretch(
            network, feedback, slip, free, self._reservoir_kpa(k) if free else 0.0, tip, vent, line.head_kpa(k)
        )

    def _reservoir_kpa(self, k: int) -> float:
        a = k - self._k0
        volume = np.array([self._reservoir_ul - self._pumped_ul])
        bath, ambient = self._environment.bath_degc[a : a + 1], self._environment.pressure_kpa[a : a + 1]
        return float(self._line.reservoir.pressure_kpa(volume, bath, ambient)[0])

    def _swept_ul(self, k: int) -> float:
        """Volume that the outlet valve pushes into the line when it moves at ``k``."""
        outlet = self._line.settings.outlet_is_open
        return self._line.d["valves.outlet_swept_volume_ul"] * (outlet.at(k - 1) - outlet.at(k))

    def _swept_kpa(self, k: int) -> float:
        return self._swept_ul(k) / self._line.d["catheter.distal_compliance_ul_per_kpa"]

    def _guarded(self, response: Response, passed: FloatArray, *, slipping: bool) -> int:
        """Intervals until the network changes by itself: the rollers begin or cease to slip, the bubble leaves."""
        n = len(passed)
        if self._line.slip_conductance:
            p1 = response.p1[1:]
            crossed = p1 < self._line.slip_kpa if slipping else p1 >= self._line.slip_kpa
            if crossed.any():
                n = int(np.argmax(crossed)) + 1
        if self._bubble[0]:
            gone = self._line_ul + np.cumsum(passed[:n]) >= self._bubble_gone_ul()
            if gone.any():
                n = int(np.argmax(gone)) + 1
        return n

    # -- the bubble

    def _admit_bubble(self, k: int) -> None:
        volume = self._line.settings.bubble_ul.at(k)
        if volume and not self._line.settings.bubble_ul.at(k - 1):
            self._bubble = (volume, self._line_ul)
            self._bubbles.append(self._bubble)

    def _bubble_gone_ul(self) -> float:
        return self._bubble[1] + self._line.d["catheter.bubble_to_tip_ul"] + self._bubble[0]

    def _release_bubble(self) -> None:
        if self._bubble[0] and self._line_ul >= self._bubble_gone_ul():
            self._bubble = (0.0, 0.0)

    def _breath_ul(self, piece: slice) -> FloatArray | float:
        """What the bubble gives to the line as it grows with temperature and shrinks with ambient pressure."""
        volume = self._bubble[0]
        if not volume:
            return 0.0
        here = slice(piece.start, piece.stop + 1)
        warmer = np.diff(self._environment.lab_degc[here]) / (self._environment.lab_degc[piece] + ZERO_CELSIUS_K)
        denser = np.diff(self._environment.pressure_hpa[here]) / self._environment.pressure_hpa[piece]
        breath: FloatArray = volume * (warmer - denser)
        return breath

    def _air(self, line_ul: FloatArray, distance_ul: float) -> FloatArray:
        """1 in the intervals in which air passes a place so far down the line."""
        air = np.zeros(CHUNK)
        for volume, entry in self._bubbles:
            begin = entry + distance_ul
            air[(line_ul[1:] > begin) & (line_ul[1:] <= begin + volume)] = 1.0
        return air
