"""The closed line under proof pressure: compliance from the ramp, leak from the second half of what it held.

Units: kPa, uL, s; leaks in uL/h.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from data.checks import Status
from protocols.analysis.assumed import PLAY_KPA
from protocols.analysis.budget import Component, bounded
from protocols.analysis.catheter.leaking import CERTAIN, Seen, Soft, leak_of
from protocols.analysis.catheter.plan import BACK_UL, LONGEST_RAMP_S, RIG_SHARE
from protocols.analysis.catheter.record import HOUR_S, CatheterRecord
from protocols.analysis.catheter.taken import Taken, taken
from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.metered import at_once
from protocols.analysis.occlusion.regression import least_squares
from protocols.analysis.occlusion.rise import integrated
from protocols.analysis.occlusion.warming import warming

REACHED = 0.95
"""A ramp that ended below this share of its aim met a line that is not closed, leaks what is pushed, or is too soft."""

OPEN_UL_PER_KPA = 50.0
"""No closed line takes so much: one that seems to is open."""

LEAKING = 0.1
"""A leak that takes less than this share of what is pushed is not why a line does not come to its pressure."""

MOST_CREEP = 0.15
"""Tubes creep by no larger share."""

MARGIN, FASTEST_UL_PER_H = 1.1, 10_000.0
"""A faster ramp is advised by so much more than needed, and as fast as it may be."""

HELD = 0.5
"""A line that keeps less than this share of its pressure has lost it: the time until then counts."""

TAIL = 10
"""What is left at the end of a record is the mean of so many samples."""

STOPPED_S = 5.0
"""Before the end of a run that was stopped the line may be open already."""

FALLING = (0.9, 0.1)
"""How fast a pressure went is told from between these shares of its fall."""

LEAST_SAMPLES = 15
"""In each half of that time; with fewer the leak is known from below alone."""

GONE_SHARE = 0.01
"""Relative standard uncertainty of a leak by the law alone."""

LEAST_DECAY_S = 300.0

TOP_SHARE, TOP_S = 0.7, 60.0
"""The end of a ramp is above this share of its highest rise, and what follows it lasts so long."""

TORN = "and not as one line all the time: look whether it tears or a fitting gives way, and repeat it"
STANDS = "and not as that of one wall, but it stands; look for air that moves, or set raise to more, and repeat it"

UNEVEN = (
    "the pressure did not rise as that of one line; look for air that moves or a fitting that gives way, and repeat it"
)


@dataclass(frozen=True, slots=True)
class Decay:
    """What a line under proof pressure takes and loses.

    Attributes
    ----------
    reached : whether it came to its pressure and held it; otherwise the leak is that at a lower one, or at least so
        much, and ``why`` says what was seen.
    ul_per_kpa, u_ul_per_kpa : its compliance without pressure; 0 where the record tells none.
    leak_ul_per_h : at the mean pressure ``kpa`` of the judged half, with its components.
    gained : share of what was pushed that the balance gained meanwhile.
    wall_ul_per_kpa, u_wall : its compliance without that of air; ``air_ul`` is what there is of that.
    softer_ul_per_kpa2 : half of what the wall takes more for each kPa.
    """

    reached: bool
    ul_per_kpa: float
    u_ul_per_kpa: float
    leak_ul_per_h: float
    kpa: float
    components: tuple[Component, ...]
    gained: float
    creep_share: float = 0.0
    why: str = ""
    wall_ul_per_kpa: float = 0.0
    u_wall: float = 0.0
    air_ul: float = 0.0
    softer_ul_per_kpa2: float = 0.0

    @property
    def u_ul_per_h(self) -> float:
        """Standard uncertainty of the leak."""
        return math.sqrt(math.fsum(one.u**2 for one in self.components))


@dataclass(frozen=True, slots=True)
class _Ramp:
    """How a line was pushed up, and what came of it.

    Attributes
    ----------
    begun_s, ended_s, held_s : when the syringe pump began and ceased to push, and from when on it stood.
    rate_ul_per_s, base_kpa : what it pushed, and the pressure before; ``u_rate`` is relative.
    top_kpa, reached : the highest rise, and whether that is the proof pressure.
    gained : share of what was pushed that the balance gained meanwhile.
    back_ul : what was drawn back after it.
    """

    begun_s: float
    ended_s: float
    held_s: float
    rate_ul_per_s: float
    u_rate: float
    base_kpa: float
    top_kpa: float
    reached: bool
    gained: float
    back_ul: float

    @property
    def pushed_ul(self) -> float:
        """All of it."""
        return self.rate_ul_per_s * max(self.ended_s - self.begun_s, 1.0)

    @property
    def pushing_s(self) -> tuple[float, float]:
        """Its end, and from when on the syringe stood, since it began."""
        return self.ended_s - self.begun_s, self.held_s - self.begun_s


def decay(record: CatheterRecord, what: str, told: float, u_told: float) -> Decay:
    """Read the test "proof" (with the catheter) or "rig" (with the bridge); raises RecordError where it is not there.

    Parameters
    ----------
    told : volume for each microlitre that the syringe pump pushes by its certificate, and its relative standard
        uncertainty.

    Notes
    -----
    V = C p + C_creep x + G (integral of p): C from the beginning of the ramp, the creep from all of the record, and the
    leak G from the second half of the decay alone, with what creep still takes there taken off.  Of a line that loses
    half of its pressure, the time from the ramp until then is taken: G is that of ln p at the top.  Air takes less the
    more it is pressed, and a wall that softens takes more: where the whole record shows either (`taken`), C is that at
    the judged pressure.  A line that is too soft for its ramp tells its leak in the same way, at the pressure that it
    came to.  What a line has lost and no such leak explains went at once (`_gone`).
    """
    ramp = _ramp(record, what, told, u_told)
    if not ramp.reached and ramp.pushed_ul > OPEN_UL_PER_KPA * ramp.top_kpa:
        return _open(ramp)
    from_s, end_s = record.span(f"{what}-decay")
    if record.run.status is not Status.COMPLETED:
        end_s -= STOPPED_S
    if end_s - from_s < LEAST_DECAY_S:
        raise RecordError("the decay was recorded too briefly")
    seen = _seen(record, ramp, end_s, (from_s, end_s))
    swelled = warming(record.run, seen.t_s, record.ul_per_k).swelled_ul
    law = taken(
        seen.since_s,
        seen.rise_kpa,
        ramp.pushing_s,
        ramp.rate_ul_per_s,
        record.room_kpa,
        math.hypot(u_told, record.u_gain),
        swelled,
    )
    if law is None and not ramp.reached:
        return _lost(seen, ramp)
    why = "" if ramp.reached else _too_soft(record, ramp, law, what, told)
    return _held(record, ramp, seen, law, why)


def _held(record: CatheterRecord, ramp: _Ramp, whole: Seen, law: Taken | None, why: str) -> Decay:
    """What a line lost that was pushed up as one."""
    u_relative = math.hypot(ramp.u_rate, record.u_gain)
    seen, end_s = whole, whole.judged[1]
    lost = min(float(np.mean(seen.rise_kpa[seen.half])), _end_kpa(seen)) < HELD * ramp.top_kpa
    if lost:
        last = int(np.flatnonzero(seen.rise_kpa >= HELD * ramp.top_kpa)[-1])
        until_s = float(seen.t_s[min(last + 1, seen.t_s.size - 1)])
        if int(((seen.t_s >= ramp.held_s) & (seen.t_s < until_s)).sum()) < 2 * LEAST_SAMPLES:  # no law of a decay
            return _gone(whole, ramp, law, why, u_relative)
        seen = _seen(record, ramp, end_s, (ramp.held_s, until_s))
    at_kpa = float(np.mean(seen.rise_kpa[seen.half]))
    soft = _soft(seen, ramp, law, at_kpa, u_relative)
    leak, components, share = leak_of(record, seen, soft, ramp.top_kpa, ramp.pushing_s[1])
    u = math.hypot(*(one.u for one in components))
    certain = leak >= CERTAIN * u
    if (lost and not certain) or _unexplained_ul(seen, ramp, soft, (leak + 2.0 * u) / at_kpa if certain else 0.0) > 0.0:
        return _gone(whole, ramp, law, why, u_relative)  # it stood, and then was gone
    return _with(soft, ramp, leak, at_kpa, components, share, why)


def _end_kpa(seen: Seen) -> float:
    """What is left at the end of the judged time."""
    return float(np.mean(seen.rise_kpa[seen.half][-TAIL:]))


def _unexplained_ul(seen: Seen, ramp: _Ramp, soft: Soft, leak_ul_per_h_kpa: float) -> float:
    """What has left a line by the end of the judged time and is no steady leak, no creep, no play, not drawn back."""
    rows = (seen.t_s >= ramp.held_s) & (seen.t_s <= seen.judged[1])
    end_kpa = min(_end_kpa(seen), float(seen.rise_kpa[rows][-1]))
    leaked = leak_ul_per_h_kpa / HOUR_S * float(integrated(seen.t_s[rows] - ramp.held_s, seen.rise_kpa[rows])[-1])
    softest = max(soft.here[0], soft.bare[0])
    least = min(soft.here[0], soft.bare[0]) * (ramp.top_kpa - end_kpa)
    return least - leaked - ramp.back_ul - MOST_CREEP * ramp.pushed_ul - PLAY_KPA * softest


def _gone(seen: Seen, ramp: _Ramp, law: Taken | None, why: str, u_relative: float) -> Decay:
    """A line that lost pressure at once: it leaks at least what it lost while that fell, or what the ramp tells.

    Where no law tells what it takes, that is what was pushed over the pressure that this made.
    """
    fell_kpa, for_s = _fell(seen, ramp)
    at_kpa = ramp.top_kpa - fell_kpa / 2.0
    secant = (ramp.pushed_ul / ramp.top_kpa, MOST_CREEP / math.sqrt(3.0) * ramp.pushed_ul / ramp.top_kpa)
    here = secant if law is None else (law.ul_per_kpa(at_kpa), law.u_ul_per_kpa(at_kpa))
    leak = here[0] * fell_kpa / for_s * HOUR_S
    parts: tuple[Component, ...] = (Component("compliance", leak * here[1] / here[0]),)
    soft = Soft(secant, here, (0.0, 0.0)) if law is None else _soft(seen, ramp, law, ramp.top_kpa, u_relative)
    by_law = 0.0 if law is None or not why else law.leak_ul_per_s_kpa * ramp.top_kpa * HOUR_S
    if law is not None and by_law > leak:
        leak = by_law
        parts = (
            Component("scatter of the pressure", law.u_leak * ramp.top_kpa * HOUR_S),
            Component("law of the line", GONE_SHARE * leak),
            Component("flow of the syringe", u_relative * leak),
        )
    return _with(soft, ramp, leak, ramp.top_kpa, parts, 0.0, f"no more than {ramp.top_kpa:.3g} kPa, and not held")


def _fell(seen: Seen, ramp: _Ramp) -> tuple[float, float]:
    """How far a pressure went down in most of its fall, and in how many seconds."""
    t_s, rise = (values[seen.t_s >= ramp.ended_s] for values in (seen.t_s, seen.rise_kpa))
    end_kpa = float(np.mean(rise[-TAIL:]))
    above, below = (end_kpa + share * (ramp.top_kpa - end_kpa) for share in FALLING)
    first = int(np.flatnonzero(rise >= above)[-1]) if (rise >= above).any() else 0
    under = np.flatnonzero(rise[first:] <= below)
    last = first + int(under[0]) if under.size else rise.size - 1
    return max(float(rise[first] - rise[last]), 0.0), max(float(t_s[last] - t_s[first]), 1.0)


def _with(
    soft: Soft, ramp: _Ramp, leak: float, kpa: float, components: tuple[Component, ...], share: float, why: str
) -> Decay:
    held = (*soft.wall, soft.air_ul, soft.softer_ul_per_kpa2)
    return Decay(not why, *soft.bare, leak, kpa, components, ramp.gained, share, why, *held)


def _ramp(record: CatheterRecord, what: str, told: float, u_told: float) -> _Ramp:
    """Read how a line was pushed up; raises RecordError where it was not."""
    closed, ramp, hold = (record.span(f"{what}-{part}") for part in ("closed", "ramp", "creep"))
    base = record.mean_kpa("outlet_pressure", closed)[0]
    gain, asked = record.syringe_gain, float(record.params["raise_ul_per_h"])
    rate = asked * (1.0 if what == "proof" else RIG_SHARE) / HOUR_S * told * gain
    begun_s = record.counted_ul(f"{what}-begin")[1]
    gained = _gained(record, closed, ramp, hold, rate)
    _, rising = record.pressure(*ramp)
    most = float(rising.max()) if rising.size else base
    reached = most >= REACHED * float(record.params["proof_kpa"])
    top = max(most - base, 1e-3)
    return _Ramp(begun_s, ramp[1], hold[0], rate, u_told, base, top, reached, gained, gain * BACK_UL)


def _open(ramp: _Ramp) -> Decay:
    """What no closed line can have taken at its pressure has left it."""
    lost = (ramp.pushed_ul - OPEN_UL_PER_KPA * ramp.top_kpa) / (ramp.ended_s - ramp.begun_s) * HOUR_S
    why = f"no more than {ramp.top_kpa:.3g} kPa, as a line that is open"
    return Decay(False, 0.0, 0.0, lost, ramp.top_kpa, _by_flow(ramp, lost), ramp.gained, why=why)


def _by_flow(ramp: _Ramp, leak_ul_per_h: float) -> tuple[Component, ...]:
    """Of a leak that is told by what was pushed alone."""
    return (Component("flow of the syringe", leak_ul_per_h * ramp.u_rate),)


def _lost(seen: Seen, ramp: _Ramp) -> Decay:
    """Where no law holds, what has left between two moments of one pressure, at which the line takes the same.

    At most `MOST_CREEP` of it has gone into the wall.  A pressure that has not fallen by more than the transducer's
    play tells of no leak at all: a line may be soft in its own way.
    """
    rise, top = seen.rise_kpa, int(np.argmax(seen.rise_kpa))
    level = max(HELD * float(rise[top]), float(np.mean(rise[-TAIL:])) + PLAY_KPA)
    fallen = np.flatnonzero((np.arange(rise.size) > top) & (rise < level))
    if level >= float(rise[top]) or not fallen.size:
        hours = float(seen.t_s[-1] - seen.t_s[top]) / HOUR_S
        play = bounded("play of the transducer", PLAY_KPA * ramp.pushed_ul / ramp.top_kpa / hours)
        why = f"no more than {ramp.top_kpa:.3g} kPa, {STANDS}"
        return Decay(False, 0.0, 0.0, 0.0, ramp.top_kpa, (play,), ramp.gained, why=why)
    up, down = int(np.argmax(rise >= level)), int(fallen[0])
    at = [ramp.rate_ul_per_s * min(float(seen.since_s[k]), ramp.pushing_s[0]) for k in (up, down)]
    drawn = ramp.back_ul if float(seen.t_s[down]) >= ramp.held_s else 0.0
    left = max(at[1] - drawn - (1.0 + MOST_CREEP) * at[0], 0.0)
    leak = left / max(float(seen.since_s[down] - seen.since_s[up]), 1.0) * HOUR_S
    mean_kpa = float(np.mean(rise[up : down + 1]))
    why = f"no more than {ramp.top_kpa:.3g} kPa, {TORN}"
    return Decay(False, 0.0, 0.0, leak, mean_kpa, _by_flow(ramp, leak), ramp.gained, why=why)


def _too_soft(record: CatheterRecord, ramp: _Ramp, law: Taken | None, what: str, told: float) -> str:
    """Why a line that follows a law did not come to its pressure, and what to do."""
    assert law is not None  # else nothing is known of why
    lost = law.leak_ul_per_s_kpa * ramp.top_kpa
    said = [f"no more than {ramp.top_kpa:.3g} kPa"]
    if lost > LEAKING * ramp.rate_ul_per_s:
        said.append(f"where {100.0 * lost / ramp.rate_ul_per_s:.3g} % of what was pushed leaked")
    proof_kpa = float(record.params["proof_kpa"]) - ramp.base_kpa
    rate = law.needed_ul(proof_kpa) / LONGEST_RAMP_S + law.leak_ul_per_s_kpa * proof_kpa
    raised = MARGIN * rate * HOUR_S / told / record.syringe_gain / (1.0 if what == "proof" else RIG_SHARE)
    doing = []
    if law.air_ul > 0.0:
        said.append(f"about {law.air_ul:.0f} uL of air in the line")
        doing.append("bleed it")
    elif lost <= LEAKING * ramp.rate_ul_per_s:
        softer = f", {law.ul_per_kpa(ramp.top_kpa):.3g} at the end" if law.softer_ul_per_kpa2 > 0.0 else ""
        said.append(f"a soft line, of {law.wall_ul_per_kpa:.3g} uL/kPa{softer}")
    if raised <= FASTEST_UL_PER_H:
        doing.append(f"set raise to {raised / 1000.0:.2g} mL/h")
    elif not doing:
        doing.append("set proof to less")
    return f"{', '.join(said)}; {', or '.join(doing)}"


def _soft(seen: Seen, ramp: _Ramp, law: Taken | None, at_kpa: float, u_relative: float) -> Soft:
    """What it takes: by the ramp's beginning where it takes the same all the way to its pressure, else by the law."""
    if law is None:
        by_end = _at_top(seen, ramp, u_relative)
        return Soft(by_end, by_end, (0.0, 0.0))  # what of it is the wall's nobody knows
    if law.air_ul > 0.0 or law.softer_ul_per_kpa2 > 0.0 or not ramp.reached:
        bare, here = ((law.ul_per_kpa(kpa), law.u_ul_per_kpa(kpa)) for kpa in (0.0, at_kpa))
        return Soft(bare, here, (law.wall_ul_per_kpa, law.u_wall), law.air_ul, law.softer_ul_per_kpa2)
    value, u = at_once(seen.since_s, seen.rise_kpa, ramp.pushing_s[1], ramp.rate_ul_per_s, u_relative)
    return Soft(*((value, value * u),) * 3)


def _at_top(seen: Seen, ramp: _Ramp, u_relative: float) -> tuple[float, float]:
    """Where no law holds for the whole ramp, as where air comes in on the way: flow over the bend at its end.

    What leaks and creeps there slows the rise and makes the fall after it, both alike.  The whole of what was pushed
    over the whole rise tells how far off that may be.
    """
    ended_s, held_s = ramp.pushing_s
    top = (seen.since_s < ended_s) & (seen.rise_kpa >= TOP_SHARE * ramp.top_kpa)
    after = (seen.since_s >= held_s) & (seen.since_s < held_s + TOP_S)
    fits = [least_squares([np.ones(int(rows.sum())), seen.since_s[rows]], seen.rise_kpa[rows]) for rows in (top, after)]
    if fits[0] is None or fits[1] is None:
        raise RecordError(UNEVEN)
    bend = fits[0].coefficients[1] - fits[1].coefficients[1]
    if not bend > 0.0:
        raise RecordError(UNEVEN)
    value = ramp.rate_ul_per_s / bend
    return value, math.hypot(value * u_relative, (ramp.pushed_ul / ramp.top_kpa - value) / math.sqrt(3.0))


def _seen(record: CatheterRecord, ramp: _Ramp, end_s: float, judged: tuple[float, float]) -> Seen:
    """The record, part by part: a long decay must not thin the ramp, nor what comes soon after it."""
    edges_s = sorted({ramp.begun_s, ramp.ended_s, ramp.held_s, *judged, end_s})
    parts = [record.pressure(*pair) for pair in itertools.pairwise(edges_s)]
    t_s, pressure = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    from_s, to_s = judged
    middle_s = (from_s + to_s) / 2.0
    before, half = (t_s >= from_s) & (t_s < middle_s), (t_s >= middle_s) & (t_s <= to_s)
    return Seen(t_s, t_s - edges_s[0], pressure - ramp.base_kpa, judged, before, half)


def _gained(
    record: CatheterRecord,
    closed: tuple[float, float],
    ramp: tuple[float, float],
    hold: tuple[float, float],
    rate_ul_per_s: float,
) -> float:
    """Share of what was pushed up that the balance gained behind the closed valve."""
    pushed = rate_ul_per_s * max(ramp[1] - ramp[0], 1.0)
    after = (hold[0], min(hold[0] + 30.0, hold[1]))
    return (record.level_mg(after) - record.level_mg(closed)) * record.ul_per_mg / pushed
