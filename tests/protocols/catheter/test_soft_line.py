"""A soft line is not one that leaks: what does not come to its proof pressure tells which of the two it is."""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from data.checks import Check, Verdict
from data.run import Run
from protocols.analysis.catheter.closed import Decay, decay
from protocols.analysis.catheter.record import CatheterRecord
from protocols.analysis.catheter.taken import taken
from protocols.analysis.catheter.verdict import evaluate

SEALED = Path(__file__).parents[2] / "runs" / "catheter-3.h5"
WALL, RIG, CREEP, CREEP_S = 0.4892, 0.2, 0.05, 300.0
ROOM_KPA, PER_K, PLAY_KPA = 101.325, 0.22, 0.2
RAMP_S, BACK_S = 240.0, 6.0
SHARES = {"proof": 1.0, "rig": 0.4}


@dataclass(frozen=True)
class Line:
    """A closed line: uL/kPa, uL of air, what it leaks in uL/h at 100 kPa, shares by which wall and softness grow.

    At ``tears_kpa`` on the way up, or ``bursts_s`` after the ramp, it opens, until no more than ``slit_kpa`` is left.
    Above ``gives_kpa`` its wall takes ten times as much.
    """

    wall: float = WALL
    air: float = 0.0
    air_from_kpa: float = 0.0
    leak: float = 0.0
    creep: float = CREEP
    creep_s: float = CREEP_S
    softens: float = 0.0  # share of the compliance at 100 kPa
    gives_kpa: float = math.inf
    tears_kpa: float = math.inf
    bursts_s: float = math.inf
    slit_kpa: float = 0.0

    def ul_per_kpa(self, p: float, bubble: float) -> float:
        """What it takes at a rise."""
        wall = self.wall * (10.0 if p > self.gives_kpa else 1.0) * (1.0 + self.softens * p / 100.0)
        return wall + bubble * ROOM_KPA / (ROOM_KPA + p) ** 2


def pressed(t_s, flow, degc, line: Line, burst_s: float):
    """Rise at some moments (n,), by small steps of its equations; torn it leaks 60 mL/h at 100 kPa."""
    p = x = 0.0
    torn, out, bubble = False, [0.0], 0.0
    # Lists: a number taken out of an array costs ten times as much to reckon with, and comes to the same.
    at_s, pushes, warms = t_s.tolist(), flow.tolist(), np.gradient(degc, t_s).tolist()
    for k in range(len(at_s) - 1):
        dt = (at_s[k + 1] - at_s[k]) / 10.0
        for _ in range(10):
            torn = torn or p > line.tears_kpa or at_s[k] > burst_s
            bubble = bubble or line.air * (p >= line.air_from_kpa)
            opened = 60_000.0 / 3600.0 / 100.0 * max(p - line.slit_kpa, 0.0)
            lost = opened if torn else line.leak / 3600.0 / 100.0 * p
            swells = (PER_K + bubble * ROOM_KPA / (ROOM_KPA + p) / 295.0) * warms[k]
            creeps = line.creep * line.wall * (p - x) / line.creep_s
            p += dt * (pushes[k] + swells - lost - creeps) / line.ul_per_kpa(p, bubble)
            x += dt * (p - x) / line.creep_s
        out.append(p)
    return np.array(out)


def shown_by(p, play_kpa):
    """What a transducer with play shows (n,)."""
    out = [0.0]
    for value in p[1:].tolist():
        out.append(min(max(out[-1], value - play_kpa / 2.0), value + play_kpa / 2.0))
    return np.array(out)


@contextmanager
def pushed_up(what: str = "proof", at_most: float = 5.0, **how: float) -> Iterator[Run]:
    """The sealed run whose line, with the catheter or with the bridge, is another that is pushed for up to 4 min."""
    with Run.open(SEALED) as run:
        catheter = copy.deepcopy(dict(run.catheter))
        catheter["limits"]["leak"]["at_most_ul_per_h"] = at_most
        shown = run.series("outlet_pressure")
        base = float(np.mean(shown.within(run.phase(f"{what}-closed")).values))
        begun_s = next(e.fields["answered_s"] for e in run.records("syringe") if e.fields["key"] == f"{what}-begin")
        rows = (shown.t >= begun_s) & (shown.t <= run.phase(f"{what}-decay")[1])
        t_s, rate = shown.t[rows], 3000.0 / 3600.0 * SHARES[what]
        room = run.corrected("line_temperature").good()
        degc = np.interp(t_s, room.t, room.values)
        line, up = Line(**how), t_s <= begun_s + RAMP_S + 5.0
        flow = np.where(t_s < begun_s + RAMP_S, rate, 0.0)
        p = pressed(t_s[up], flow[up], degc[up], line, math.inf)
        above = np.flatnonzero(p + base >= 100.0)
        ended_s = float(t_s[above[0]]) if above.size else begun_s + RAMP_S
        flow = np.where(t_s < ended_s, rate, np.where(t_s < ended_s + BACK_S, -1.0 / BACK_S, 0.0))
        p = shown_by(pressed(t_s, flow, degc, line, ended_s + line.bursts_s), PLAY_KPA)
        values = shown.values.copy()
        values[rows] = base + p + np.random.default_rng(4).normal(0.0, 0.01, t_s.size)
        run._series["outlet_pressure"] = replace(shown, values=values)
        held_s, (_, crept_s) = ended_s + BACK_S + 1.0, run.phase(f"{what}-creep")
        spans = {f"{what}-ramp": (begun_s, ended_s), f"{what}-creep": (held_s, max(crept_s, held_s + 60.0))}
        phases = tuple(
            replace(one, t0=spans[one.name][0], t1=spans[one.name][1]) if one.name in spans else one
            for one in run.phases
        )
        run.__dict__.update(catheter=catheter, phases=phases)
        yield run


@functools.cache
def named(what: str = "proof", **how: float) -> Mapping[str, Check]:
    """Checks by name of a run of another line; judged once, however many ask."""
    with pushed_up(what, **how) as run:
        return MappingProxyType({check.name: check for check in evaluate(run).checks})


@functools.cache
def decayed(what: str = "proof", **line: float) -> Decay:
    with pushed_up(what, **line) as run:
        return decay(CatheterRecord(run), what, 1.0, 0.001)


@pytest.mark.parametrize(("line", "says"), [({"air": 400.0}, "about 40"), ({"wall": 3.0}, "a soft line, of 3 ")])
def test_a_soft_line_that_is_tight_does_not_leak_what_was_pushed(line, says):
    check = named(**line)["leak"]
    assert (check.verdict, check.optional) == (Verdict.NOT_MEASURED, False)
    assert check.value == pytest.approx(0.0, abs=check.expanded_uncertainty)
    assert check.expanded_uncertainty < 5.0
    assert says in check.note
    assert "set raise to " in check.note
    assert ("bleed it" in check.note) == ("air" in line)


@pytest.mark.parametrize("line", [{"air": 400.0}, {"wall": 3.0}])
@pytest.mark.parametrize(
    ("leak", "verdict"), [(3.0, Verdict.NOT_MEASURED), (20.0, Verdict.FAIL), (1000.0, Verdict.FAIL)]
)
def test_a_line_that_is_soft_and_leaks_tells_its_leak_at_the_pressure_that_it_came_to(line, leak, verdict):
    check = named(leak=leak, **line)["leak"]
    seen = decayed(leak=leak, **line)
    assert seen.kpa < 95.0
    assert seen.leak_ul_per_h == pytest.approx(leak * seen.kpa / 100.0, abs=2.0 * seen.u_ul_per_h + 0.005 * leak)
    assert check.value == pytest.approx(seen.leak_ul_per_h, rel=0.01, abs=0.2)
    assert check.verdict is verdict
    assert check.note.startswith("at least, by what leaks at ")


@pytest.mark.parametrize("leak", [3500.0, 8000.0, 30_000.0])
def test_a_line_that_leaks_what_is_pushed_fails_by_that_and_is_not_called_soft(leak):
    check = named(leak=leak)["leak"]
    assert check.value == pytest.approx(3000.0, rel=0.05)
    assert check.verdict is Verdict.FAIL
    assert "soft" not in check.note
    assert "air" not in check.note


def test_a_line_that_tears_on_the_way_up_has_lost_what_left_between_two_moments_of_one_pressure():
    check = named(tears_kpa=50.0)["leak"]
    assert (check.verdict, check.owner) == (Verdict.FAIL, "catheter")
    assert 100.0 < check.value < 3000.0
    assert "repeat it" in check.note


@pytest.mark.parametrize(("leak", "verdict"), [(4.5, Verdict.PASS), (6.0, Verdict.FAIL)])
def test_a_bubble_that_lets_the_line_come_to_its_pressure_does_not_move_the_leak(leak, verdict):
    found = named(air=20.0, leak=leak)
    check = found["leak"]
    assert check.value == pytest.approx(leak, abs=check.expanded_uncertainty)
    assert check.verdict in (verdict, Verdict.CONDITIONAL_PASS if verdict is Verdict.PASS else verdict)
    metres = found["compliance"]
    assert metres.value == pytest.approx(WALL - 0.1992, abs=metres.expanded_uncertainty)
    assert "about 20 uL of air beside it" in metres.note


def test_where_air_comes_in_on_the_way_the_end_of_the_ramp_tells_the_leak_and_nothing_the_wall():
    found = named(air=20.0, air_from_kpa=25.0, leak=4.0)
    leak, metres = found["leak"], found["compliance"]
    assert leak.value == pytest.approx(4.0, abs=leak.expanded_uncertainty)
    assert leak.expanded_uncertainty < 0.5
    assert (metres.value, metres.verdict) == (None, Verdict.NOT_MEASURED)


@pytest.mark.parametrize("creep", [0.0, 0.05])
def test_a_wall_that_softens_and_stands_has_not_lost_what_was_pushed(creep):
    check = named(wall=4.0, softens=10.0, creep=creep)["leak"]
    assert check.verdict is Verdict.NOT_MEASURED
    assert check.value == pytest.approx(0.0, abs=check.expanded_uncertainty)
    assert "a soft line, of 4.0" in check.note


def test_a_line_that_follows_no_law_and_stands_leaks_nothing_that_is_known():
    check = named(wall=2.0, gives_kpa=20.0, creep=0.01)["leak"]
    assert check.verdict is Verdict.NOT_MEASURED
    assert check.value == pytest.approx(0.0, abs=0.1)
    assert "but it stands" in check.note


@pytest.mark.parametrize(
    ("softens", "how"), [(0.02, {"leak": 3.0}), (0.2, {}), (0.2, {"leak": 100.0}), (0.1, {"air": 20.0, "leak": 3.0})]
)
def test_a_wall_that_softens_tells_its_compliance_without_pressure_and_its_leak(softens, how):
    found = named(softens=softens, **how)
    leak, metres = found["leak"], found["compliance"]
    assert metres.value == pytest.approx(WALL - 0.1992, abs=metres.expanded_uncertainty)
    assert metres.expanded_uncertainty < (0.05 if "air" in how else 0.005)
    assert "it softens: " in metres.note
    assert leak.value == pytest.approx(how.get("leak", 0.0), abs=leak.expanded_uncertainty)
    assert leak.expanded_uncertainty < 0.6
    assert ("of air beside it" in metres.note) == ("air" in how)


WALLS = [
    {"wall": 10.0 ** draw.uniform(-0.4, 1.0), "creep": draw.uniform(0.0, 0.05), **kind(draw)}
    for draw in [np.random.default_rng(9)]
    for kind in 2
    * (
        lambda draw: {},
        lambda draw: {"air": draw.uniform(2.0, 200.0)},
        lambda draw: {"softens": draw.uniform(0.0, 0.2)},
        lambda draw: {"softens": draw.uniform(1.0, 12.0)},
        lambda draw: {"gives_kpa": draw.uniform(5.0, 60.0)},
    )
]


@pytest.mark.parametrize("how", WALLS, ids=str)
def test_whatever_its_wall_is_like_a_line_that_loses_nothing_never_fails(how):
    seen = decayed(**how)
    assert seen.leak_ul_per_h - 2.0 * seen.u_ul_per_h < 1.0


@pytest.mark.parametrize("bursts_s", [1.0, 700.0])
@pytest.mark.parametrize("how", [{"leak": 2.0}, {"wall": 3.0}, {"wall": 4.0, "softens": 10.0}])
def test_whatever_its_wall_is_like_a_line_that_bursts_has_leaked_at_least_what_it_held(how, bursts_s):
    seen = decayed(bursts_s=bursts_s, **how)
    assert not seen.reached
    assert seen.leak_ul_per_h - 2.0 * seen.u_ul_per_h > 100.0
    assert "not held" in seen.why or "it tears" in seen.why


def test_a_line_that_bursts_as_the_record_ends_is_not_known_by_what_it_leaked_before():
    seen = decayed(bursts_s=1010.0, leak=2.0)
    assert not seen.reached
    assert seen.leak_ul_per_h > 1000.0


def test_a_soft_line_that_bursts_fails():
    check = named(wall=3.0, bursts_s=2.0)["leak"]
    assert check.verdict is Verdict.FAIL
    assert check.note.endswith("and not held")


@pytest.mark.parametrize("bursts_s", [30.0, 400.0])
def test_a_slit_that_opens_under_pressure_and_closes_again_is_not_tight(bursts_s):
    check = named(bursts_s=bursts_s, slit_kpa=70.0)["leak"]
    assert check.verdict is Verdict.FAIL
    assert check.note.endswith("and not held")


def test_what_the_flow_makes_unsure_counts_once():
    soft = named(wall=3.0, leak=1000.0)["leak"].budget
    gone = named(leak=30_000.0)["leak"].budget
    counted = [[source.partition(",")[0] for source, _ in budget if ", rig" not in source] for budget in (soft, gone)]
    assert [{"flow of the syringe", "compliance"} & set(one) for one in counted] == [
        {"compliance"},
        {"flow of the syringe"},
    ]


def test_a_wall_that_is_too_soft_fails_by_its_compliance_though_no_ramp_came_to_the_pressure():
    check = named(wall=3.0)["compliance"]
    assert check.value == pytest.approx(2.8, rel=0.02)
    assert (check.verdict, check.owner) == (Verdict.FAIL, "catheter")


def test_a_rig_with_air_is_soft_and_does_not_leak():
    found = named("rig", wall=RIG, air=300.0)
    assert found["rig-compliance"].verdict is Verdict.INVALID
    assert "300 uL of air" in found["rig-compliance"].note
    assert found["rig-tight"].verdict is Verdict.NOT_MEASURED
    assert "bleed it" in found["rig-tight"].note
    assert found["leak"].verdict in (Verdict.NOT_MEASURED, Verdict.INVALID)


@pytest.mark.parametrize("leak", [0.0, 0.5, 20.0])
def test_a_sound_line_shows_no_air(leak):
    seen = decayed(leak=leak)
    assert (seen.reached, seen.air_ul, seen.why) == (True, 0.0, "")
    assert seen.ul_per_kpa == seen.wall_ul_per_kpa == pytest.approx(WALL, rel=0.005)
    assert seen.leak_ul_per_h * 100.0 / seen.kpa == pytest.approx(leak, abs=2.0 * seen.u_ul_per_h * 100.0 / seen.kpa)


def test_a_leak_that_begins_at_the_highest_pressure_is_not_taken_for_air():
    t_s = np.arange(0.0, 700.0)
    p = np.concatenate(
        [3000.0 / 3600.0 / WALL * t_s[:60], 3000.0 / 3600.0 / WALL * 59.0 * np.exp(-t_s[: t_s.size - 60] / 600.0)]
    )
    p += np.random.default_rng(1).normal(0.0, 0.01, p.size)
    law = taken(t_s, p, (59.0, 60.0), 3000.0 / 3600.0, ROOM_KPA, 0.001)
    assert law is not None
    assert law.air_ul == 0.0
    assert law.leak_ul_per_s_kpa == pytest.approx(WALL / 600.0, rel=0.02)


def test_what_comes_too_briefly_tells_no_law():
    t_s = np.arange(0.0, 60.0, 5.0)
    assert taken(t_s, 0.1 * t_s, (40.0, 45.0), 0.1, ROOM_KPA, 0.001) is None


@pytest.mark.parametrize("leak", [0.0, 3.0])
@pytest.mark.parametrize(
    ("creep", "creep_s"), [(0.0, 300.0), *itertools.product([0.003, 0.006, 0.009, 0.015], [120.0, 300.0, 900.0])]
)
def test_a_tube_that_creeps_by_less_than_tubes_do_moves_its_leak_within_the_uncertainty(creep, creep_s, leak):
    told = decayed(creep=creep, creep_s=creep_s, leak=leak)
    u = math.sqrt(math.fsum(part.u**2 for part in told.components))

    assert told.leak_ul_per_h == pytest.approx(leak * told.kpa / 100.0, abs=2.0 * u)
    assert u < 0.25
