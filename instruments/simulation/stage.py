"""A force stage: a needle that is pushed through the septum of the refill port, and drawn back.

The force is a function of the needle's position and of what has happened before, known at any moment: nothing here
runs on the plant's grid but the commands.  On the way in the septum gives way like a spring until it is pierced; the
force drops to the friction along the shaft, which turns its sign with the motion; at the bottom of the reservoir the
needle meets a stop.  A needle that is too short stays behind the stage; one that goes beside the port meets nothing but
the gel that stands for tissue.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from instruments.simulation.grid import Leg, Timeline, Track
from instruments.simulation.noise import Noise
from instruments.simulation.parameters import Draws
from instruments.simulation.signal import FloatArray

WIDEST_DRAW = 3.0
"""Standard deviations at which the scatter of a puncture force is cut off."""


@dataclass(frozen=True, slots=True)
class Septum:
    """Where the needle stands to the septum: punctures so far, whether it is in, and what drags at its shaft.

    The friction grows with the way that the shaft is dragged, from ``friction_n`` at ``dragged_from_mm``.
    """

    punctures: int
    inside: bool = False
    dragged_from_mm: float = 0.0
    friction_n: float = 0.0


@dataclass(frozen=True, slots=True)
class _Phase:
    """An even motion in which the force has one form, from the grid place ``start`` (a share of an index) on.

    ``position_mm`` is that of the tip, which stays ``behind_mm`` behind the stage.
    """

    start: float
    position_mm: float
    slope: float  # mm an interval
    septum: Septum
    behind_mm: float = 0.0
    beside: bool = False


@dataclass(frozen=True, slots=True)
class _Still:
    """The force while the needle stands, at places after ``after`` up to ``until``; of one revision of the track."""

    revision: int = -1
    after: float = math.inf
    until: float = -math.inf
    force_n: float = 0.0


class Stage:
    """Needle, septum and force sensor.

    Parameters
    ----------
    needle_mm : position of the stage, which is that of the tip of a needle of the right length, growing on its way in.
    short_mm : by how much the needle is too short; what it is when a motion begins holds for the motion.
    beside : 1 while the needle goes beside the port; likewise.
    """

    def __init__(
        self,
        draws: Draws,
        noise: Noise,
        needle_mm: Track,
        short_mm: Timeline | None = None,
        beside: Timeline | None = None,
    ) -> None:
        self._noise = noise
        self._track = needle_mm
        self._short_mm = short_mm or Timeline(0.0)
        self._beside = beside or Timeline(0.0)
        self._through_mm = draws["septum.surface_mm"] + draws["septum.thickness_mm"]
        self._gel_n_per_mm = draws["septum.gel_n_per_mm"]
        self._surface_mm = draws["septum.surface_mm"]
        self._give_mm = draws["septum.give_mm"]
        self._peak_n = draws["septum.peak_force_n"]
        self._spread = draws["septum.peak_spread"]
        self._per_decade = draws["septum.peak_loss_per_decade"]
        self._friction_n = draws["septum.friction_n"]
        self._drag_n_per_mm = draws["septum.friction_n"] / draws["septum.drag_mm"]
        self._stop_mm = draws["septum.stop_mm"]
        self._stop_n_per_mm = draws["septum.stop_n_per_mm"]
        self._gain = 1.0 + draws["stage.gain_error"]
        self._zero_n = draws["stage.zero_error_n"]
        self._fresh = Septum(round(draws["septum.punctures_before"]))
        self._legs: list[Leg] = []
        self._phases: list[list[_Phase]] = []  # of each leg
        self._after: list[Septum] = []  # after each leg
        self._course: list[_Phase] = []
        self._starts = np.empty(0)
        self._revision = -1
        self._still = _Still()

    def force_n(self, place: FloatArray) -> FloatArray:
        """What the force sensor gives, at rising places on the grid (time in s times the grid's rate); shape (n,)."""
        still = self._still
        if still.after < place.item(0) and place.item(-1) <= still.until and still.revision == self._track.revision:
            return np.full(len(place), still.force_n)
        phases, index = self._phases_at(place)
        force = np.empty(len(place))
        for i in set(index.tolist()):  # a gauge asks for one or two: to sort them takes longer than all the rest
            here, phase = index == i, phases[i]
            position = phase.position_mm + phase.slope * (place[here] - phase.start)
            force[here] = self._force_at(phase, position)
        force = force * self._gain + self._zero_n
        first, last = index.item(0), index.item(-1)
        if first == last and not phases[first].slope:
            after = self._starts.item(first) if first else -math.inf
            until = self._starts.item(first + 1) if first + 1 < len(phases) else math.inf
            self._still = _Still(self._revision, after, until, force.item(0))
        return force

    def position_mm(self, place: FloatArray) -> FloatArray:
        """Position of the stage at places on the grid."""
        phases, index = self._phases_at(place)
        start, position, slope = np.array([(p.start, p.position_mm + p.behind_mm, p.slope) for p in phases]).T
        values: FloatArray = position[index] + slope[index] * (place - start[index])
        return values

    def punctures(self, place: FloatArray) -> FloatArray:
        """Punctures of the septum until then, those before the run included."""
        phases, index = self._phases_at(place)
        return np.array([phase.septum.punctures for phase in phases], dtype=np.float64)[index]

    def reaches(self, place: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether the needle ends in the reservoir then: it is through the septum with its whole bevel."""
        phases, index = self._phases_at(place)
        inside = np.array([phase.septum.inside and not phase.beside for phase in phases])
        if not inside.any():
            return np.zeros(len(place), dtype=bool)
        behind = np.array([phase.behind_mm for phase in phases])
        reached: npt.NDArray[np.bool_] = inside[index] & (self.position_mm(place) - behind[index] >= self._through_mm)
        return reached

    # -- history

    def _phases_at(self, place: FloatArray) -> tuple[list[_Phase], npt.NDArray[np.intp]]:
        """All phases in order, and which of them ends in each place or holds there."""
        if self._revision != self._track.revision:
            self._follow(self._track.legs())
            self._revision = self._track.revision
            self._course = [phase for phases in self._phases for phase in phases]
            self._starts = np.array([phase.start for phase in self._course])
        return self._course, np.maximum(np.searchsorted(self._starts, place, side="left") - 1, 0)

    def _follow(self, legs: list[Leg]) -> None:
        """Bring the phases up to date; those of legs that have not changed are kept."""
        same = 0
        while same < min(len(legs), len(self._legs)) and legs[same] == self._legs[same]:
            same += 1
        if same < max(len(legs), len(self._legs)):
            del self._phases[same:], self._after[same:]
            for leg in legs[same:]:
                before = self._after[-1] if self._after else self._fresh
                phases = list(self._passed(leg, before))
                self._phases.append(phases[:-1])
                self._after.append(phases[-1].septum)
            self._legs = legs

    def _passed(self, leg: Leg, septum: Septum) -> Iterator[_Phase]:
        """Phases of a leg, and a last one with the state in which it leaves the septum."""
        behind, beside = self._short_mm.at(leg.start), self._beside.at(leg.start) > 0.0
        start, position = float(leg.start), leg.value - behind
        end_mm = position + leg.slope * (leg.end - leg.start) if leg.slope else position
        septum = Septum(septum.punctures) if beside else self._jumped(septum, position)
        while True:
            yield _Phase(start, position, leg.slope, septum, behind, beside)
            turn_mm = math.copysign(math.inf, leg.slope)
            if not beside:
                turn_mm = self._next_turn_mm(septum, position, leg.slope)
            if not leg.slope or (turn_mm - end_mm) * leg.slope >= 0.0:
                yield _Phase(leg.end, end_mm, 0.0, self._dragged(septum, end_mm))
                return
            start += (turn_mm - position) / leg.slope
            septum, position = self._turned(septum, leg.slope), turn_mm

    def _next_turn_mm(self, septum: Septum, position: float, slope: float) -> float:
        """Where, on the way from ``position``, the septum is pierced or left; infinitely far if nowhere."""
        if slope > 0.0 and not septum.inside:
            return self._surface_mm + self._give_mm * self._peak(septum.punctures + 1) / self._peak_n
        if slope < 0.0 and septum.inside and position > self._surface_mm:
            return self._surface_mm
        return math.copysign(math.inf, slope)

    def _turned(self, septum: Septum, slope: float) -> Septum:
        if slope > 0.0:
            # The septum springs back along the shaft, so the friction is there from the first moment.
            pierced_mm = self._next_turn_mm(septum, 0.0, slope)
            return Septum(septum.punctures + 1, True, pierced_mm, self._friction_n)
        return Septum(septum.punctures)

    def _jumped(self, septum: Septum, position: float) -> Septum:
        """The septum under a needle that is set to a place: a set needle pierces too, and is out when it is set out."""
        if septum.inside:
            return self._dragged(septum, position) if position > self._surface_mm else Septum(septum.punctures)
        if position > self._next_turn_mm(septum, position, 1.0):
            return Septum(septum.punctures + 1, True, position, self._friction_n)
        return septum

    def _dragged(self, septum: Septum, position: float) -> Septum:
        """The septum with the friction that a way to ``position`` leaves."""
        if not septum.inside:
            return septum
        return replace(
            septum, dragged_from_mm=position, friction_n=float(self._friction(septum, np.array([position]))[0])
        )

    # -- forces

    def _peak(self, n: int) -> float:
        """Force that the n-th puncture needs."""
        z = float(self._noise.normals("puncture", n, 1)[0])
        scatter = 1.0 + self._spread * min(max(z, -WIDEST_DRAW), WIDEST_DRAW)
        return self._peak_n * (1.0 - self._per_decade * math.log10(n)) * scatter

    def _friction(self, septum: Septum, position: FloatArray) -> FloatArray:
        force = septum.friction_n + self._drag_n_per_mm * (position - septum.dragged_from_mm)
        return np.minimum(np.maximum(force, -self._friction_n), self._friction_n)

    def _force_at(self, phase: _Phase, position: FloatArray) -> FloatArray:
        if phase.beside:
            gel: FloatArray = self._gel_n_per_mm * np.maximum(position - self._surface_mm, 0.0)
            return gel
        stop = self._stop_n_per_mm * np.maximum(position - self._stop_mm, 0.0)
        if phase.septum.inside:
            return self._friction(phase.septum, position) + stop
        pressed: FloatArray = self._peak_n / self._give_mm * np.maximum(position - self._surface_mm, 0.0)
        return pressed + stop
