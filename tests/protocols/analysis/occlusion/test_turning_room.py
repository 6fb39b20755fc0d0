"""A room that turns while a closed line is held: its leak is known within U, and a sound line is not refused for it."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace

import numpy as np
import pytest

from data.checks import Verdict
from data.run import Series
from data.samples import Channel
from protocols.analysis.occlusion.fitness import _tight, metered_line
from protocols.analysis.occlusion.metered import metered_step
from protocols.analysis.occlusion.record import OcclusionRecord
from protocols.analysis.occlusion.warming import AWAY_K, warming

C, CREEP, TAU, PUSH = 0.49, 0.05, 300.0, 300.0 / 3600.0
BEGUN_S, PUSHED_S, HELD_S = 300.0, 420.0, 434.0
PER_K = 0.22
READ = ("key", "answered_s", "infused_ul", "withdrawn_ul")
SLOW, USUAL = "0.1 mL/day", "1 mL/day"


def series(t_s, values):
    return Series(t_s, values, np.zeros(t_s.size, np.uint16), Channel("x", "1"))


def room(rng, end_s, turn_k=0.0):
    """Air that wanders by 0.2 K in 2 h and swings by 1 K over the day, and a thermometer half an hour behind it.

    It turns by ``turn_k`` besides, there and back, somewhere in the time after the step.
    """
    t_s = np.arange(-5400.0, end_s)
    knots = np.arange(-5400.0 - 600.0 * rng.uniform(), end_s + 600.0, 600.0)
    kept, x = math.exp(-600.0 / 7200.0), [0.2 * rng.normal()]
    for _ in knots[1:]:
        x.append(kept * x[-1] + 0.2 * math.sqrt(1.0 - kept**2) * rng.normal())
    air = np.interp(t_s, knots, x) - np.cos(2.0 * math.pi * (t_s / 86400.0 + rng.uniform()))
    air += turn_k * np.clip(1.0 - np.abs(t_s - rng.uniform(684.0, 1084.0)) / 450.0, 0.0, None)
    late, shown = air[0], []
    for value in air.tolist():
        late += (value - late) / 1800.0
        shown.append(late)
    return t_s[5400:], air[5400:], np.array(shown)[5400:]


@functools.cache
def held(
    seed,
    *,
    leak=0.0,
    creep=CREEP,
    turn_k=0.0,
    hold_s=900.0,
    drawn_back=True,
    rates=SLOW,
    roles=("room_temperature",),
    lets_go_s=math.inf,
    silent_s=math.inf,
):
    """A metered step into a line that leaks ``leak`` uL/h at 60 kPa, by a transducer with a play of 0.2 kPa.

    From ``lets_go_s`` on it leaks 20 mL/h; from ``silent_s`` on there is no thermometer.
    """
    rng = np.random.default_rng(seed)
    end_s = HELD_S + hold_s
    t_s, air, thermometer = room(rng, end_s + 600.0, turn_k)
    flow = np.where((t_s >= BEGUN_S) & (t_s < PUSHED_S), PUSH, 0.0)
    if drawn_back:
        flow -= np.where((t_s >= PUSHED_S + 1.0) & (t_s < HELD_S - 1.0), PUSH, 0.0)
    flow += np.gradient(air) * PER_K
    p = x = 0.0
    shown, last = [], 0.0
    for k in range(t_s.size):
        last = min(max(last, p - 0.1), p + 0.1)
        shown.append(last)
        if t_s[k] > 180.0:
            loses = leak if t_s[k] < lets_go_s else 20000.0
            p += (flow[k] - loses / 3600.0 / 60.0 * p - creep * C * (p - x) / TAU) / C
            x += (p - x) / TAU
    channels = {
        "outlet_pressure": series(t_s, np.array(shown) + rng.normal(0.1, 0.01, t_s.size)),
        "room_temperature": series(t_s, thermometer + rng.normal(0.0, 0.002, t_s.size)),
        "line_temperature": series(t_s[::30], np.round(air[::30], 2)),
    }
    for role in ("room_temperature", "line_temperature"):
        channels[role] = channels[role].within(0.0, silent_s)
    read = (("metered-begin", BEGUN_S, 0.0, 0.0), ("metered-end", PUSHED_S + 1.0, 10.0, 0.0))
    read += (("metered-back", HELD_S - 1.0, 10.0, 1.0),) if drawn_back else ()
    run = SimpleNamespace(
        params={"step_rate_ul_per_h": 300.0, "threshold_kpa": 60.0, "rates": rates, "hold_s": hold_s},
        station={"collection": {"dead_volume_ul": 1000.0}, "rig_check": {"leak_ul_per_h": 2.0}},
        phases=[SimpleNamespace(name="metered-hold", t0=HELD_S, t1=end_s)],
        roles={"pusher": "pusher"},
        has=lambda role: role in roles,
        corrected=lambda role: channels[role],
        records=lambda _: [SimpleNamespace(fields=dict(zip(READ, one, strict=True))) for one in read],
        calibration=lambda _: {"u_percent": 0.1},
    )
    record = OcclusionRecord(run)
    line = metered_line(record)
    scale = 60.0 * 3600.0
    return line.leak_ul_per_s_kpa * scale, line.u_leak * scale, _tight(record, line)


@pytest.mark.parametrize(
    ("line", "seeds"),
    [
        ({}, 10),
        ({"turn_k": 0.2}, 10),
        ({"leak": 1.0}, 10),
        ({"creep": 0.0, "leak": 1.0}, 8),
        ({"creep": 0.15}, 8),
        ({"hold_s": 3600.0}, 6),
        ({"roles": ("room_temperature", "line_temperature"), "turn_k": 0.2}, 8),
        ({"roles": ()}, 8),
    ],
)
def test_the_leak_of_a_line_in_a_room_that_turns_is_known_within_its_uncertainty(line, seeds):
    off = np.array(
        [(value - line.get("leak", 0.0)) / u for value, u, _ in (held(seed, **line) for seed in range(seeds))]
    )
    assert math.sqrt(np.mean(off**2)) < 1.25
    assert np.count_nonzero(np.abs(off) > 2.0) <= 1


def test_a_sound_line_is_tight_at_either_rate_whatever_the_room_does():
    for seed in range(8):
        assert held(seed)[2].verdict is Verdict.PASS
        assert held(seed, turn_k=0.2, rates=USUAL)[2].verdict is Verdict.PASS


def test_a_thermometer_that_fell_silent_is_said_to_have_done_so():
    both = ("room_temperature", "line_temperature")
    assert held(1, rates=USUAL, roles=both)[2].note == ""
    value, u, check = held(1, rates=USUAL, roles=both, silent_s=600.0)
    without = held(1, rates=USUAL, roles=())
    assert (value, u) == without[:2]
    assert check.verdict is Verdict.PASS
    said = "line_temperature fell silent while the line was held; room_temperature fell silent while the line was held"
    assert check.note == said


def test_a_leak_that_takes_a_tenth_of_the_flow_is_seen_at_either_rate():
    for seed in range(4):
        assert held(seed, leak=12.0, rates=USUAL)[2].verdict is Verdict.INVALID
        assert held(seed, leak=0.8, hold_s=3600.0)[2].verdict is Verdict.INVALID


@pytest.mark.parametrize("leak", [540.0, 2000.0, 3000.0, 5000.0, 8000.0])
@pytest.mark.parametrize("hold_s", [900.0, 3600.0])
@pytest.mark.parametrize("creep", [0.0, 0.15])
def test_a_leak_by_which_the_line_is_empty_soon_after_the_step_is_the_rigs(leak, hold_s, creep):
    value, u, check = held(1, leak=leak, hold_s=hold_s, creep=creep, rates=USUAL)
    assert (check.verdict, check.owner) == (Verdict.INVALID, "rig")
    assert value == pytest.approx(leak, abs=2.0 * u)
    assert u < 0.1 * leak


@pytest.mark.parametrize("lets_go_s", [PUSHED_S + 5.0, 600.0, 1000.0])
def test_a_line_that_held_and_then_let_go_leaks(lets_go_s):
    assert held(1, lets_go_s=lets_go_s, rates=USUAL)[2].verdict is Verdict.INVALID


@pytest.mark.parametrize("creep", [0.05, 0.3])
def test_a_tight_line_is_tight_however_much_it_creeps_and_however_long_it_is_held(creep):
    value, u, check = held(1, creep=creep, hold_s=14400.0)
    assert check.verdict is Verdict.PASS
    assert value == pytest.approx(0.0, abs=3.0 * u)


def test_where_the_room_hides_half_of_the_slowest_rate_nobody_knows_whether_the_line_is_tight():
    found = [held(seed, turn_k=0.6)[2] for seed in range(8)]
    untold = [check for check in found if check.verdict is Verdict.NOT_MEASURED]
    assert untold
    assert not any(check.optional for check in untold)
    assert all("does not tell a leak from creep and a room that turns; set hold to " in check.note for check in untold)
    assert all("role line_temperature" in check.note for check in untold)
    assert all(30.0 <= float(check.note.split("set hold to ")[1].split(" min")[0]) <= 240.0 for check in untold)
    assert not any(check.verdict is Verdict.INVALID for check in found)


def test_what_is_drawn_back_lets_a_transducer_with_play_follow_a_leak_that_it_else_hides():
    hidden, u_hidden, _ = held(1, creep=0.0, leak=1.0, drawn_back=False)
    seen, u, _ = held(1, creep=0.0, leak=1.0)
    assert hidden < 0.3
    assert seen == pytest.approx(1.0, abs=2.0 * u)
    assert hidden == pytest.approx(1.0, abs=2.0 * u_hidden)
    assert u < u_hidden


def test_what_is_drawn_back_counts_in_no_compliance():
    t_s = np.arange(0.0, 1034.0)
    p = np.interp(t_s, [0.0, 120.0, 121.0, 133.0, 1034.0], [0.0, 20.0, 20.0, 17.0, 17.0])
    line = metered_step(t_s, p + np.random.default_rng(1).normal(0.0, 0.005, t_s.size), 134.0, PUSH, 0.005, 0.001)
    assert line.ul_per_kpa == pytest.approx(PUSH * 120.0 / 20.0, rel=0.002)


def test_a_line_that_may_be_half_an_hour_sooner_than_its_thermometer_leaves_open_what_that_makes():
    t_s = np.arange(0.0, 3600.0, 10.0)
    rising = series(t_s, 20.0 + 1e-4 * np.clip(t_s - 1800.0, 0.0, None))
    run = SimpleNamespace(has=lambda role: role == "room_temperature", corrected=lambda _: rising)
    found = warming(run, t_s, PER_K)
    assert found.swelled_ul[-1] == pytest.approx(PER_K * 1e-4 * (1800.0 + 900.0), rel=0.01)
    assert found.open_ul[0][-1] == pytest.approx(PER_K * 1e-4 * 900.0)
    assert found.soonest_ul[-1] == pytest.approx(PER_K * 1e-4 * 3600.0, rel=0.01)
    assert max(float(np.ptp(step)) for step in found.open_ul[2:]) >= AWAY_K * PER_K
