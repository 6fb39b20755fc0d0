"""The fluid path from the pump to the tip: catheter, valves, syringe pump, relief valve, slip and an air bubble.

Within a stretch in which nothing changes the path is a linear network and is solved exactly (`network`); stretches
end at commands, at fault onsets, and where pressure, volume or temperature reaches what changes it.  The relief valve
opens and closes at its pressure wherever in an interval that is reached; the rollers slip from the next grid
point.  A ramp of the back pressure is a staircase of its mean in each interval.  Viscosity is that of a temperature
rounded to `TEMPERATURE_STEP_K`; a bubble is as soft as the pressure lets it be (`bubble`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from instruments.simulation.bubble import NO_BUBBLE, STEP, entering
from instruments.simulation.drive import Supply
from instruments.simulation.environment import EnvironmentChunk
from instruments.simulation.grid import CHUNK, DT_S
from instruments.simulation.mounting import BRIDGE_KPA_S_PER_UL, RIGID, Mounted
from instruments.simulation.network import Network, Response, crossing_s, part_of_interval, respond
from instruments.simulation.occlusion_alarm import OcclusionAlarm
from instruments.simulation.parameters import Draws
from instruments.simulation.path import LineChunk, LineState, Settings
from instruments.simulation.properties import BODY_DEGC, ROOM_DEGC, ZERO_CELSIUS_K, Thickness
from instruments.simulation.reservoir import Reservoir
from instruments.simulation.signal import FloatArray
from instruments.simulation.stepping import running_sum

WATER_EXPANSION_PER_K = 2.2e-4
"""Thermal expansion of water at 22 °C."""

MOST_TURNS = 4
"""How often the relief valve may move within one interval; a linear network hardly ever needs two."""

FREE_FLOW_STEP = 100
"""Intervals (10 s) in which the reservoir pressure of a free-flowing pump counts as constant."""

TEMPERATURE_STEP_K = 0.1
"""Resistances move in steps of this, 0.2 % each."""

FASTER = 4
"""A bubble that changed the network after n intervals is next followed for this many times n at first."""


class Line:
    """The path; see the module docstring."""

    def __init__(self, draws: Draws, settings: Settings, reservoir: Reservoir, *, slips: bool) -> None:
        self.d = draws
        self.settings = settings
        self.reservoir = reservoir
        self.slip_conductance = draws["pump.slip_ul_per_s_kpa"] if slips else 0.0
        self.leak_conductance = draws["catheter.leak_conductance_ul_per_s_kpa"]
        self.relief_conductance = draws["relief.conductance_ul_per_s_kpa"]
        self.relief_kpa = draws["relief.opening_kpa"]
        self.creep_share = draws["catheter.creep_share"]
        self.alarm = OcclusionAlarm(draws["pump.occlusion_alarm_kpa"], settings.alarm_is_broken)
        self.thickness = Thickness(draws["fluid.viscosity_mpa_s"], draws["fluid.viscosity_temperature_degc"])

    def start(self) -> LineState:
        """At rest against the back pressure."""
        head = self.head_kpa(-1)
        return LineState(head, head, (head, head) if self.creep_share else ())

    def head_kpa(self, k: int) -> float:
        """Gauge pressure at the tip in the interval that begins at ``k``."""
        return self.d["outlet.static_head_kpa"] + self._held(k) * self.settings.back_pressure_kpa.at(k)

    def heads_kpa(self, k: int, end: int) -> float | FloatArray:
        """Gauge pressure at the tip from ``k`` to ``end``, in which it stands or moves evenly."""
        back = self.settings.back_pressure_kpa
        if not back.moves(k):
            return self.head_kpa(k)
        return self.d["outlet.static_head_kpa"] + self._held(k) * back.over(k, end)

    def tip_kpa(self, k0: int, k1: int) -> FloatArray:
        """The same in each of the intervals that begin at k0 … k1-1."""
        mounting = self.settings.mounting
        dislodged = mounting.tip_is_dislodged.over(k0, k1) * (1.0 - mounting.is_off.over(k0, k1))
        return self.d["outlet.static_head_kpa"] + (1.0 - dislodged) * self.settings.back_pressure_kpa.over(k0, k1)

    def _held(self, k: int) -> float:
        """1 where the tip sees the back pressure, 0 where it is dislodged; a bridge has none that could be."""
        mounting = self.settings.mounting
        return 0.0 if mounting.tip_is_dislodged.at(k) and not mounting.is_off.at(k) else 1.0

    def advance(
        self,
        state: LineState,
        k0: int,
        supply: Supply,
        environment: EnvironmentChunk,
        reservoir_ul: float,
        pushed_ul: FloatArray | None = None,
    ) -> tuple[LineChunk, LineState]:
        """Compute one chunk.

        Parameters
        ----------
        reservoir_ul : the reservoir's volume at the start of the chunk.
        pushed_ul : what a syringe pump at the access port pushes in each interval (n,), if there is one at work.
        """
        passage = _Passage(self, state, k0, supply, environment, reservoir_ul, pushed_ul)
        cuts = sorted(self._cuts(k0, supply, environment))
        k = k0
        for cut in cuts:
            while k < cut:
                k = passage.stretch(k, cut)
        return passage.finish()

    def _cuts(self, k0: int, supply: Supply, environment: EnvironmentChunk) -> set[int]:
        """Indices at which something may change in the chunk, and its end."""
        k1 = k0 + CHUNK
        cuts = self.settings.changes(k0, k1) | {k for k, _ in supply.conductance if k0 < k < k1}
        if any(value for _, _, value in self.settings.free_flow_ul_per_h.pieces(k0, k1)):
            cuts.update(range(k0 + FREE_FLOW_STEP, k1, FREE_FLOW_STEP))
        rounded = np.rint(environment.bath_degc[:-1] / TEMPERATURE_STEP_K)
        cuts.update((k0 + 1 + np.flatnonzero(np.diff(rounded))).tolist())
        return cuts | {k1}

    def viscosity(self, temperature_degc: float, reference_degc: float) -> float:
        """Viscosity at a temperature over that of water at another."""
        return self.thickness.over_water(
            round(temperature_degc / TEMPERATURE_STEP_K) * TEMPERATURE_STEP_K, reference_degc
        )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Everything that is constant between two cuts."""

    sealed: Network  # while the relief valve is closed
    feedback: float  # pump flow lost per kPa
    slip: float  # the same above the slip pressure
    slip_kpa: float
    free: float
    reservoir_kpa: float
    leak: float
    distal_leak: float
    relief: float  # conductance of the relief valve when it is open
    relieves: bool  # whether it is, at the start
    tip: float
    vent: float
    head_kpa: float | FloatArray
    air: float  # compliance of the bubble

    def network(self, *, relieves: bool) -> Network:
        """The network with the relief valve open or closed."""
        return replace(self.sealed, g1=self.sealed.g1 + self.relief) if relieves else self.sealed


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
        pushed_ul: FloatArray | None,
    ) -> None:
        self._line, self._start, self._k0, self._supply = line, state, k0, supply
        self._environment, self._reservoir_ul, self._pushed = environment, reservoir_ul, pushed_ul
        start = (state.p1_kpa, state.p2_kpa, *state.crept_kpa)
        self._pressures = [np.empty(CHUNK + 1) for _ in start]
        for column, pressure in zip(self._pressures, start, strict=True):
            column[0] = pressure
        self._pump, self._passed, self._lost, self._tray = (np.empty(CHUNK) for _ in range(4))
        self._added = np.diff(environment.lab_degc) * (line.d["catheter.line_volume_ul"] * WATER_EXPANSION_PER_K)
        self._pumped_ul, self._line_ul = 0.0, state.line_ul
        self._bubble = state.bubble
        self._bubbles = [self._bubble] if self._bubble.nominal_ul else []
        self._reach = CHUNK

    def stretch(self, k: int, end: int) -> int:
        """Solve from ``k`` until ``end`` or until the network changes by itself; returns the index reached."""
        a = k - self._k0
        p1, p2, *crept = (float(column[a]) for column in self._pressures)
        p2 += self._swept_kpa(k)
        self._admit_bubble(k, p1)
        if self._bubble.nominal_ul:
            end = min(end, k + self._reach)
            p1 = self._settle_bubble(k, p1)
        s = self._constants(k, end, p1)
        piece = slice(a, end - self._k0)
        breath = self._breath_ul(piece, p1)
        added = self._added[piece] + breath
        slip_kpa, relief_kpa = s.slip_kpa, self._line.relief_kpa
        s1 = self._supply.flow_ul_per_s[piece] + (s.free * s.reservoir_kpa + s.slip * slip_kpa)
        if self._pushed is not None:
            s1 = s1 + self._pushed[piece] / DT_S
        s2 = added / DT_S + s.tip * s.head_kpa
        relieved = s1 + s.relief * relief_kpa if s.relieves else s1
        response = respond(s.network(relieves=s.relieves), p1, p2, relieved, s2, crept)
        n = self._steady(response, slip_kpa, slips=s.slip > 0.0)
        n = self._same_bubble(response, k, p1, n)
        n, tray = self._relieved(s, response, s1, s2, (p1, p2, *crept), n)
        passed = s.tip * (response.integral2 - s.head_kpa * DT_S) if s.tip else np.zeros(end - k)
        n = self._until_bubble_leaves(passed, n)
        piece, kept = slice(a, a + n), slice(0, n)
        for column, values in zip(self._pressures, (response.p1, response.p2, *response.crept), strict=True):
            column[a + 1 : a + n + 1] = values[1 : n + 1]
        self._passed[piece] = passed[kept]
        integral1 = response.integral1[kept]
        pumped = self._supply.flow_ul_per_s[piece] * DT_S - s.feedback * integral1
        pumped += s.free * (s.reservoir_kpa * DT_S - integral1) - s.slip * (integral1 - slip_kpa * DT_S)
        self._pump[piece] = pumped
        tray += s.distal_leak * response.integral2
        self._tray[piece] = tray[kept]
        self._lost[piece] = tray[kept] + s.vent * response.integral2[kept]
        self._added[piece] = added[kept]
        self._added[a] += self._swept_ul(k)
        self._pumped_ul += float(np.cumsum(pumped)[-1])
        self._line_ul += float(np.cumsum(passed[kept])[-1])
        if self._bubble.nominal_ul:
            pressed_ul = s.air * (float(response.p1[n]) - p1) - float(np.sum(breath[kept]))
            self._bubble = self._bubble.booked(self._bubble.book_ul - pressed_ul)
            self._release_bubble()
        return k + n

    def finish(self) -> tuple[LineChunk, LineState]:
        """The chunk and what it leaves behind."""
        steps = (self._pump, self._passed, self._lost, self._tray, self._added)
        start = self._start
        starts = (start.pump_ul, start.line_ul, start.lost_ul, start.tray_ul, start.added_ul)
        pump, line, lost, tray, added = map(running_sum, steps, starts)
        d, p1_kpa = self._line.d, self._pressures[0]
        sounding, alarm = self._line.alarm.advance(start.alarm, self._k0, p1_kpa, self._supply.flow_ul_per_s)
        chunk = LineChunk(
            p1_kpa,
            self._pressures[1],
            pump,
            line,
            lost,
            tray,
            added,
            self._crept_ul(),
            self._passed,
            self._air(line, d["catheter.bubble_to_sensor_ul"]),
            self._air(line, d["catheter.bubble_to_tip_ul"]),
            sounding,
        )
        p1, p2, *crept = (float(column[-1]) for column in self._pressures)
        pump_ul, line_ul, lost_ul, tray_ul, added_ul = (float(c[-1]) for c in (pump, line, lost, tray, added))
        end = LineState(p1, p2, tuple(crept), pump_ul, line_ul, lost_ul, tray_ul, added_ul, self._bubble, alarm)
        return chunk, end

    def _crept_ul(self) -> FloatArray:
        """Volume behind the nodes beyond that at the start of the run."""
        volume = np.zeros(CHUNK + 1)
        rest_kpa = self._line.head_kpa(-1)
        for compliance, pressure in zip(self._creep_compliances(), self._pressures[2:], strict=False):
            volume += compliance * (pressure - rest_kpa)
        return volume

    # -- what the network is made of

    def _constants(self, k: int, end: int, p1: float) -> _Stretch:
        line, d, at = self._line, self._line.d, self._line.settings
        feedback = [g for first, g in self._supply.conductance if first <= k][-1]
        mounted = at.mounting.at(k, d)
        slip_kpa = at.slip_kpa.at(k)
        slip = line.slip_conductance if p1 >= slip_kpa else 0.0
        free = at.free_flow_ul_per_h.at(k) / 3600.0 / line.reservoir.nominal_kpa
        is_open = at.outlet_is_open.at(k) * (1.0 if mounted.off else at.tip_is_open.at(k))
        tip = self._to_tip(k) * is_open
        vent = d["valves.vent_conductance_ul_per_s_kpa"] * at.vent_is_open.at(k)
        resistance = d["catheter.resistance_kpa_s_per_ul"] * at.resistance_factor.at(k) * mounted.resistance
        viscosity = line.viscosity(float(self._environment.bath_degc[k - self._k0]), BODY_DEGC)
        through = mounted.through / (viscosity * (BRIDGE_KPA_S_PER_UL if mounted.off else resistance))
        leak = line.leak_conductance + at.leak_ul_per_s_kpa.at(k) + mounted.open_end
        c1, c2 = self._compliances(mounted)
        air = self._bubble.compliance(self._ambient_kpa(k) + p1) if self._bubble.nominal_ul else 0.0
        network = Network(c1 + air, c2, feedback + slip + free + leak, through, tip + vent + mounted.leak)
        if line.creep_share:
            behind1, behind2 = (RIGID * c if mounted.off else c for c in self._creep_compliances())
            network = replace(network, creep1=behind1, creep2=behind2, creep_s=d["catheter.creep_s"])
        return _Stretch(
            network,
            feedback,
            slip,
            slip_kpa,
            free,
            self._reservoir_kpa(k) if free else 0.0,
            leak,
            mounted.leak,
            line.relief_conductance,
            p1 >= line.relief_kpa,
            tip,
            vent,
            line.heads_kpa(k, end),
            air,
        )

    def _to_tip(self, k: int) -> float:
        """Conductance from the catheter's distal end to the tip; the flow sensor has the room's temperature."""
        d, room_degc = self._line.d, float(self._environment.lab_degc[k - self._k0])
        sensor = d["flow_sensor.resistance_kpa_s_per_ul"] * self._line.viscosity(room_degc, ROOM_DEGC)
        return 1.0 / (1.0 / d["catheter.tip_conductance_ul_per_s_kpa"] + sensor)

    def _compliances(self, mounted: Mounted) -> tuple[float, float]:
        """Of the two nodes, air aside; a bridge leaves that of the plumbing, a longer catheter has more."""
        d = self._line.d
        half, syringe = d["catheter.distal_compliance_ul_per_kpa"], d["pusher.compliance_ul_per_kpa"]
        if mounted.off:
            return d["catheter.bare_compliance_ul_per_kpa"] + syringe, RIGID * half
        more = half * (mounted.longer - 1.0)
        return d["catheter.proximal_compliance_ul_per_kpa"] + syringe + more, half + more

    def _creep_compliances(self) -> tuple[float, float]:
        d, share = self._line.d, self._line.creep_share
        return (
            share * d["catheter.proximal_compliance_ul_per_kpa"],
            share * d["catheter.distal_compliance_ul_per_kpa"],
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

    # -- what changes the network by itself

    def _steady(self, response: Response, slip_kpa: float, *, slips: bool) -> int:
        """Intervals until the rollers begin or cease to slip."""
        n = len(response.integral1)
        if self._line.slip_conductance:
            p1 = response.p1[1:]
            crossed = p1 < slip_kpa if slips else p1 >= slip_kpa
            if crossed.any():
                n = int(np.argmax(crossed)) + 1
        return n

    def _until_bubble_leaves(self, passed: FloatArray, n: int) -> int:
        if self._bubble.nominal_ul:
            gone = self._line_ul + np.cumsum(passed[:n]) >= self._bubble_gone_ul()
            if gone.any():
                n = int(np.argmax(gone)) + 1
        return n

    def _same_bubble(self, response: Response, k: int, p1: float, n: int) -> int:
        """Intervals until the bubble is by so much stiffer or softer that the network changes."""
        if not self._bubble.nominal_ul:
            return n
        moved = np.abs(response.p1[1 : n + 1] - p1) > STEP * (self._ambient_kpa(k) + p1)
        found = int(np.argmax(moved)) + 1 if moved.any() else n
        self._reach = FASTER * found
        return found

    def _relieved(
        self, s: _Stretch, response: Response, s1: FloatArray, s2: FloatArray, start: tuple[float, ...], n: int
    ) -> tuple[int, FloatArray]:
        """Intervals until the relief valve has opened or closed, and what went to the tray in each.

        The interval in which it does so is put right in the response: the valve moves when node 1 reaches its opening
        pressure.  ``s1`` is the source without it.
        """
        opening = self._line.relief_kpa
        p1 = response.p1[1 : n + 1]
        crossed = p1 < opening if s.relieves else p1 >= opening
        j = int(np.argmax(crossed)) if crossed.any() else -1
        through = 0.0
        if j >= 0:
            columns = (response.p1, response.p2, *response.crept)
            before = start if j == 0 else tuple(float(column[j]) for column in columns)
            after, integral1, integral2, through = self._moving_relief(s, before, float(s1[j]), float(s2[j]))
            for column, value in zip(columns, after, strict=True):
                column[j + 1] = value
            response.integral1[j], response.integral2[j] = integral1, integral2
            n = j + 1
        tray = s.leak * response.integral1
        if s.relieves:
            tray += s.relief * (response.integral1 - opening * DT_S)
        if j >= 0:
            tray[j] = s.leak * response.integral1[j] + through
        return n, tray

    def _moving_relief(
        self, s: _Stretch, pressures: tuple[float, ...], s1: float, s2: float
    ) -> tuple[tuple[float, ...], float, float, float]:
        """An interval in parts: pressures at its end, their integrals, and the volume through the relief valve."""
        opening, left_s, relieves = self._line.relief_kpa, DT_S, s.relieves
        integral1 = integral2 = through = 0.0
        for turn in range(MOST_TURNS):
            network = s.network(relieves=relieves)
            source = s1 + s.relief * opening if relieves else s1
            part_s = left_s
            part = part_of_interval(network, pressures, source, s2, part_s)
            if (part.pressures[0] >= opening) != relieves and turn + 1 < MOST_TURNS:
                part_s = crossing_s(network, pressures, source, s2, opening, left_s)
                part = part_of_interval(network, pressures, source, s2, part_s)
            integral1, integral2 = integral1 + part.integral1, integral2 + part.integral2
            if relieves:
                through += s.relief * (part.integral1 - opening * part_s)
            pressures, left_s, relieves = part.pressures, left_s - part_s, not relieves
            if left_s <= 0.0:
                break
        return pressures, integral1, integral2, through

    # -- the bubble

    def _ambient_kpa(self, k: int) -> float:
        return 0.1 * float(self._environment.pressure_hpa[k - self._k0])

    def _admit_bubble(self, k: int, p1: float) -> None:
        volume = self._line.settings.bubble_ul.at(k)
        if volume and volume != self._line.settings.bubble_ul.at(k - 1):
            room_degc = float(self._environment.lab_degc[k - self._k0])
            self._bubble = entering(volume, self._line_ul, p1, self._ambient_kpa(k), room_degc)
            self._bubbles.append(self._bubble)

    def _settle_bubble(self, k: int, p1: float) -> float:
        """Give the bubble the volume that its gas takes up; returns the pressure that this makes."""
        room_degc, ambient_kpa = float(self._environment.lab_degc[k - self._k0]), self._ambient_kpa(k)
        stiff = self._compliances(self._line.settings.mounting.at(k, self._line.d))[0]
        p1 = self._bubble.settled(p1, ambient_kpa, room_degc, stiff)
        self._bubble = self._bubble.booked(self._bubble.ul(ambient_kpa + p1, room_degc))
        return p1

    def _bubble_gone_ul(self) -> float:
        return self._bubble.from_ul + self._line.d["catheter.bubble_to_tip_ul"] + self._bubble.nominal_ul

    def _release_bubble(self) -> None:
        if self._line_ul >= self._bubble_gone_ul():
            self._bubble = NO_BUBBLE

    def _breath_ul(self, piece: slice, p1: float) -> FloatArray:
        """What the bubble gives to the line as it grows with temperature and shrinks with ambient pressure."""
        here = slice(piece.start, piece.stop + 1)
        volume = self._bubble.book_ul
        if not volume:
            return np.zeros(piece.stop - piece.start)
        warmer = np.diff(self._environment.lab_degc[here]) / (self._environment.lab_degc[piece] + ZERO_CELSIUS_K)
        ambient = 0.1 * self._environment.pressure_hpa[here]
        breath: FloatArray = volume * (warmer - np.diff(ambient) / (ambient[:-1] + p1))
        return breath

    def _air(self, line_ul: FloatArray, distance_ul: float) -> FloatArray:
        """1 in the intervals in which air passes a place so far down the line."""
        air = np.zeros(CHUNK)
        for bubble in self._bubbles:
            begin = bubble.from_ul + distance_ul
            air[(line_ul[1:] > begin) & (line_ul[1:] <= begin + bubble.nominal_ul)] = 1.0
        return air
