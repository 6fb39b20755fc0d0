"""What must be there before a bench may push, and what is told of interlocks that cannot act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.safeguards import Bench, fastest_ul_per_h, safeguards
from bench.station import load_station, open_station, shipped_stations, station_path
from data.tomlfile import FileError
from instruments.clock import VirtualClock, WallClock
from protocols.interlock import Interlock
from protocols.steps import (
    AwaitSyringe,
    HaltSyringe,
    Infuse,
    MoveValve,
    Phase,
    SetPressure,
    StartDelivery,
    Step,
    VentPressure,
    Withdraw,
)

STATION = """
name = "lab"
visa = "@py"
daq = "local"

[instruments.pusher]
driver = "newera-ne1000"
resource = "ASRL/dev/ttyUSB9::INSTR"
diameter = "14.5 mm"
volume = "10 mL"
max_rate = "30 mL/h"

[instruments.daq]
driver = "ni-daqmx"

[[instruments.daq.channels]]
name = "line"
kind = "bridge"
physical = "cDAQ1Mod1/ai0"
points = [["0 mV/V", "0 kPa"], ["2 mV/V", "400 kPa"]]
reference = "gauge"

[instruments.daq.valves]
vent = { line = "cDAQ1Mod6/port0/line0", normally = "open" }
outlet = "cDAQ1Mod6/port0/line1"

[roles]
pusher = "pusher"

[interlocks.line]
channel = "daq.line"
high = "150 kPa"
slew = "50 kPa/min"
action = "hold"
max_outage = "2 s"

[[hold]]
valve = "daq.vent"
on = false

[[hold]]
instrument = "pusher"
do = "halt"

[[safe_state]]
instrument = "pusher"
do = "halt"

[[safe_state]]
valve = "daq.vent"
on = false

[protection]
relief = "250 kPa"
relief_valve = "Example RV-1, SN 12, tested 2026-02"
vent = "daq.vent"
proof = "300 kPa"
compliance = "0.5 uL/kPa"
e_stop = "line"
"""

VALVE = 'relief_valve = "Example RV-1, SN 12, tested 2026-02"'
HALTS = '[[hold]]\ninstrument = "pusher"\ndo = "halt"'
OPENS = '[[safe_state]]\nvalve = "daq.vent"\non = false'


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Bench]:
    """A bench with a pusher: bench({"old": "new"} of its file, steps)."""
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))

    def make(changes: dict[str, str] | None = None, *steps: Step, interlocks: Sequence[Interlock] = ()) -> Bench:
        text = STATION
        for old, new in (changes or {}).items():
            assert old in text, old
            text = text.replace(old, new, 1)
        path = tmp_path / "lab.toml"
        path.write_text(text, "utf-8")
        station = load_station(str(path))
        with open_station(station, path, WallClock()) as opened:
            return Bench(opened, station.roles, steps, [*opened.interlocks, *interlocks])

    return make


def texts(bench: Bench, code: str) -> list[str]:
    return [finding.text for finding in safeguards(bench) if finding.code == code]


# -------------------------------------------------------------------------------------------- what must be there


def test_a_bench_that_states_its_protection_has_nothing_against_it(bench: Any) -> None:
    assert list(safeguards(bench())) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({'relief = "250 kPa"\n': ""}, "state relief in [protection]"),
        ({f"{VALVE}\n": "", 'vent = "daq.vent"\n': ""}, "state relief_valve, vent"),
        ({'compliance = "0.5 uL/kPa"\n': ""}, "state compliance"),
        ({'normally = "open"': 'normally = "closed"'}, "a power cut closes the line"),
        ({OPENS: ""}, "does not open the vent"),
        ({'relief = "250 kPa"': 'relief = "310 kPa"'}, "the line holds 300 kPa"),
        ({'relief = "250 kPa"': 'relief = "140 kPa"'}, "acts at 150 kPa, the relief valve at 140 kPa"),
        ({'action = "hold"': 'action = "log"', 'e_stop = "line"\n': ""}, "There are none"),
    ],
)  # fmt: skip
def test_a_pusher_without_its_protection_does_not_start(bench: Any, changes: dict[str, str], says: str) -> None:
    (text,) = texts(bench(changes), "protection")
    assert says in text


LOSES = {'max_outage = "2 s"\n': ""}
STOP = '[interlocks.stop]\nchannel = "daq.line"\nhigh = "1 kPa"\n'
NAMED = {'e_stop = "line"': 'interlock = "line"\ne_stop = "stop"'}


def test_an_interlock_that_protects_does_not_lose_its_channel_unnoticed(bench: Any) -> None:
    (text,) = texts(bench({**LOSES, 'e_stop = "line"\n': ""}), "protection")
    assert 'lab.toml: interlock "line", which stops the pusher, may lose its channel; give it a max_outage' in text
    (text,) = texts(bench({"[[hold]]": f"{STOP}\n[[hold]]", **NAMED}), "e-stop")
    assert 'interlock "stop", the emergency stop, may lose its channel; give it a max_outage' in text


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('armed = "delivery"', 'armed always; write armed = "always"'),
        ('armed = "phase:rise"', 'armed always; write armed = "always"'),
        ('action = "log"', 'neither stops nor holds; write action = "stop"'),
    ],
)
def test_an_emergency_stop_that_acts_only_sometimes_blocks(bench: Any, keys: str, says: str) -> None:
    stop = f'{STOP}max_outage = "1 s"\n{keys}\n\n[[hold]]'
    (text,) = texts(bench({"[[hold]]": stop, **NAMED}), "e-stop")
    assert says in text


PUSH = (Infuse("pusher", 1000.0), Phase("filling", for_s=9.0), AwaitSyringe("pusher", 9.0), Phase("rest", for_s=9.0))


@pytest.mark.parametrize(
    ("armed", "steps", "where"),
    [
        ('"always"', PUSH, None),
        ('"delivery"', PUSH, 'phase "filling", step "AwaitSyringe pusher 9.0"'),
        ('"delivery"', (StartDelivery("pump"), *PUSH), None),
        ('"phase:filling"', PUSH, 'step "AwaitSyringe pusher 9.0"'),
        ('"phase:filling"', (*PUSH[:2], HaltSyringe("pusher"), PUSH[3]), None),
        ('"phase:filling"', (*PUSH[:2], Withdraw("pusher", 1.0), PUSH[3]), None),
        ('"phase:filling"', (*PUSH[:2], PUSH[3]), 'phase "rest"'),
        ('"phase:filling"', (SetPressure("pace", 50.0), PUSH[1], VentPressure("pace"), PUSH[3]), None),
        ('"phase:filling"', (SetPressure("pace", 50.0), PUSH[3], PUSH[1]), 'phase "rest"'),
        ('"phase:filling"', (SetPressure("pace", 50.0), SetPressure("pace", 0.0), PUSH[3]), None),
        ('"phase:other"', (PUSH[3],), None),
    ],
)
def test_the_interlock_that_protects_is_armed_wherever_the_plan_drives(
    bench: Any, armed: str, steps: Sequence[Step], where: str | None
) -> None:
    changes = {'action = "hold"': f'action = "hold"\narmed = {armed}', 'e_stop = "line"\n': ""}
    found = texts(bench(changes, *steps), "protection")
    assert len(found) == (where is not None)
    assert all(f'interlock "line" is not armed while the plan drives: {where};' in text for text in found)


def test_a_safe_state_of_one_phase_must_open_the_vent_too(bench: Any) -> None:
    changes = {"[protection]": '[[safe_state]]\nvalve = "daq.outlet"\non = true\nphases = ["rise"]\n\n[protection]'}
    (text,) = texts(bench(changes), "protection")
    assert 'the safe state of phase "rise" does not open the vent "daq.vent"' in text


def test_with_several_pressures_the_station_says_which_stops_the_pusher(bench: Any) -> None:
    second = '[interlocks.other]\nchannel = "daq.line"\nhigh = "160 kPa"\nmax_outage = "2 s"\n\n[[hold]]'
    (text,) = texts(bench({"[[hold]]": second}), "protection")
    assert "There are line, other; name one" in text
    assert list(safeguards(bench({"[[hold]]": second, "[protection]": '[protection]\ninterlock = "other"'}))) == []


# ------------------------------------------------------------------------------------------------ the pusher's cap


def test_the_cap_is_what_the_line_takes_up_until_the_interlock_has_acted(bench: Any) -> None:
    assert fastest_ul_per_h(bench()) == pytest.approx(3600.0 * (300.0 - 150.0) * 0.5 / 0.15)
    slow = bench({'slew = "50 kPa/min"': 'slew = "50 kPa/min"\nreaction = "2 s"'})
    assert fastest_ul_per_h(slow) == pytest.approx(135_000.0)


def test_a_pressure_that_is_polled_is_later_by_its_period(bench: Any) -> None:
    keys = 'driver = "keller-x"\nresource = "ASRL/dev/ttyUSB8::INSTR"\nperiod = "2 s"\nreference = "gauge"'
    gauge = f"[instruments.gauge]\n{keys}"
    changes = {"[roles]": f"{gauge}\n\n[roles]", 'channel = "daq.line"': 'channel = "gauge.pressure"', **LOSES}
    assert fastest_ul_per_h(bench(changes)) == pytest.approx(3600.0 * (300.0 - 150.0) * 0.5 / 2.15)


def test_a_pressure_against_vacuum_does_not_stop_a_pusher(bench: Any) -> None:
    (text,) = texts(bench({'reference = "gauge"': 'reference = "absolute"'}), "protection")
    assert "which interlock stops the pusher at a high pressure? There are none" in text


@pytest.mark.parametrize(("reaction_s", "blocked"), [(8.9, 0), (9.1, 1)])
def test_a_pusher_that_may_be_faster_than_its_interlock_does_not_start(
    bench: Any, reaction_s: float, blocked: int
) -> None:
    """30 mL/h against 270 mL / reaction."""
    found = texts(bench({'slew = "50 kPa/min"': f'slew = "50 kPa/min"\nreaction = "{reaction_s} s"'}), "pusher")
    assert len(found) == blocked
    assert all('instrument "pusher" may push 30 mL/h, but interlock "line" can only catch' in text for text in found)


def test_a_plan_that_asks_for_more_is_refused(bench: Any) -> None:
    changes = {'slew = "50 kPa/min"': 'slew = "50 kPa/min"\nreaction = "9.1 s"', "30 mL/h": "20 mL/h"}
    assert texts(bench(changes, Infuse("pusher", 29_000.0)), "pusher") == []
    (text,) = texts(bench(changes, Infuse("pusher", 30_000.0)), "pusher")
    assert "the plan asks pusher for 30 mL/h" in text


# ------------------------------------------------------------------------------------------------------ interlocks


def test_an_interlock_that_waits_for_a_phase_that_does_not_come_is_told(bench: Any) -> None:
    closed = Interlock("no-flow", "daq.line", high=1.0, action="log", armed=("closed", "shut"))
    (text,) = texts(bench(None, Phase("open", for_s=1.0), interlocks=[closed]), "arming")
    assert "not armed in this run, which has no phase closed or shut" in text
    assert texts(bench(None, Phase("shut", for_s=1.0), interlocks=[closed]), "arming") == []


def test_two_interlocks_of_one_name_block(bench: Any) -> None:
    (text,) = texts(bench(interlocks=[Interlock("line", "daq.line", high=1.0)]), "interlocks")
    assert 'both have an interlock "line"' in text


def test_a_hold_without_steps_and_a_missing_emergency_stop_are_told(bench: Any) -> None:
    found = bench({'[[hold]]\nvalve = "daq.vent"\non = false': "", HALTS: "", 'e_stop = "line"\n': ""})
    assert "there is no [[hold]]" in texts(found, "hold")[0]
    assert "pusher can be driven, but there is no emergency stop" in texts(found, "e-stop")[0].replace("daq, ", "")


CLOSED = '[[ready]]\nvalve = "daq.vent"\non = true\n\n[protection]'


@pytest.mark.parametrize(
    ("changes", "steps", "told"),
    [
        ({}, (), True),
        ({"[protection]": CLOSED}, (), False),
        ({"[protection]": CLOSED.replace("true", "false")}, (), True),
        ({'pusher = "pusher"\n': 'pusher = "pusher"\nvent = "daq.vent"\n'}, (MoveValve("vent", False),), False),
        ({'pusher = "pusher"\n': 'pusher = "pusher"\nvent = "daq.vent"\n'}, (), True),
        ({'normally = "open"': 'normally = "closed"'}, (), False),
    ],
)
def test_a_vent_that_stands_open_while_the_pump_delivers_is_told(
    bench: Any, changes: dict[str, str], steps: Sequence[Step], told: bool
) -> None:
    assert texts(bench(changes, *steps), "vent") == []  # nothing flows
    found = texts(bench(changes, *steps, StartDelivery("pump")), "vent")
    assert bool(found) is told
    assert all('the vent "daq.vent" is open without current and nothing closes it' in text for text in found)


@pytest.mark.parametrize("name", [*shipped_stations(), "template"])
def test_no_shipped_station_leaves_its_vent_open(name: str) -> None:
    path = station_path(name)
    station = load_station(name)
    with open_station(station, path, VirtualClock()) as opened:
        assert texts(Bench(opened, station.roles, (StartDelivery("pump"),), opened.interlocks), "vent") == []


CONTROLLER = """[instruments.pace]
driver = "druck-pace"
resource = "TCPIP::10.0.0.9::5025::SOCKET"
max_pressure = "70 kPa"

[instruments.daq]
"""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ["pace goes on regulating when the computer is gone", "name it in [protection] as supply"]),
        ({'vent = "daq.vent"': 'vent = "daq.vent"\nsupply = "daq.outlet"'}, ["does not release the valve"]),
    ],
)
def test_a_controller_that_nothing_takes_off_the_line_is_told(
    bench: Any, changes: dict[str, str], says: list[str]
) -> None:
    (text,) = texts(bench({"[instruments.daq]\n": CONTROLLER, **changes}), "supply")
    assert all(part in text for part in says)


def test_a_controller_behind_a_valve_that_the_safe_state_releases_has_nothing_against_it(bench: Any) -> None:
    released = f'{OPENS}\n\n[[safe_state]]\nvalve = "daq.outlet"\non = false'
    stated = {"[instruments.daq]\n": CONTROLLER, OPENS: released}
    assert (
        texts(
            bench({**stated, 'vent = "daq.vent"\nproof': 'vent = "daq.vent"\nsupply = "daq.outlet"\nproof'}), "supply"
        )
        == []
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({'e_stop = "line"': 'e_stop = "lime"'}, "there are line"),
        ({'vent = "daq.vent"': 'vent = "daq.vnet"'}, 'no valve "daq.vnet"'),
        ({'do = "halt"': 'do = "vent"'}, '"pusher" cannot vent, since it is no PressureController'),
        ({'[[hold]]\nvalve = "daq.vent"': '[[hold]]\nvalve = "daq.vnet"'}, "daq has vent, outlet"),
        ({'[[hold]]\nvalve = "daq.vent"': '[[hold]]\nvalve = "dac.vent"'}, "did you mean"),
        ({'action = "hold"': 'action = "hold"\nflags = ["daq.line"]'}, "only with the action"),
        ({'max_outage = "2 s"': 'max_outage = "0.1 s"'}, "would find daq.line lost although it is not"),
        ({'action = "hold"': 'action = "hold"\narmed = "rise"'}, 'write "phase:NAME"'),
        ({'action = "hold"': 'action = "hold"\nreset_band = "80 kPa"\nlow = "0 kPa"'}, "smaller reset_band"),
    ],
)
def test_a_slip_in_the_file_is_one_sentence_that_names_it(bench: Any, changes: dict[str, str], says: str) -> None:
    with pytest.raises(FileError, match=r"lab\.toml") as found:
        bench(changes)
    assert says in str(found.value)


def test_what_goes_on_by_itself_in_a_hold_is_told(bench: Any) -> None:
    (text,) = texts(bench({HALTS: ""}), "hold")
    assert 'interlock "line" holds, but pusher pushes on until somebody resets it' in text
    assert text.endswith('add a step to [[hold]] with do = "halt"')
    found = texts(bench({"[instruments.daq]\n": CONTROLLER}), "hold")
    assert [text for text in found if "pace regulates on" in text]


@pytest.mark.parametrize(
    ("rate", "least"),
    [("10 Hz", "0.2 s"), ("100 Hz", "0.11 s"), ("30 Hz", "0.134 s"), ("0.5 Hz", "4 s"), ("0.1 Hz", "20 s")],
)
def test_a_channel_is_not_lost_sooner_than_its_samples_come_and_are_judged(bench: Any, rate: str, least: str) -> None:
    daq = '[instruments.daq]\ndriver = "ni-daqmx"\n'
    sampled = {daq: f'{daq}rate = "{rate}"\n'}
    number, unit = least.split()
    with pytest.raises(FileError) as found:
        bench({**sampled, 'max_outage = "2 s"': f'max_outage = "{float(number) * 0.99:g} {unit}"'})
    said = str(found.value)
    assert 'lab.toml: key "interlocks.line": max_outage = ' in said
    assert said.endswith(f'later; write at least "{least}", or sample it more often')
    bench({**sampled, 'max_outage = "2 s"': f'max_outage = "{least}"'})


def test_a_protocols_own_interlock_that_finds_a_sound_channel_lost_blocks_the_run(bench: Any) -> None:
    own = Interlock("own", "daq.line", max_outage_s=0.15)
    (text,) = texts(bench({}, interlocks=[own]), "interlocks")
    assert 'lab.toml: interlock "own": max_outage = 0.15 s would find daq.line lost' in text
    assert texts(bench({}, interlocks=[replace(own, max_outage_s=0.2)]), "interlocks") == []


@pytest.mark.parametrize("name", shipped_stations())
def test_every_shipped_station_gives_its_channels_the_time_that_their_samples_take(name: str) -> None:
    station, path = load_station(name), station_path(name)
    clock = VirtualClock() if station.simulated else WallClock()
    with open_station(station, path, clock) as opened:
        assert [each for each in opened.interlocks if each.max_outage_s is not None] or name == "replay"


def test_phases_and_qualities_are_read(bench: Any) -> None:
    keys = 'armed = ["phase:rise", "phase:hold"]\nquality = ["overload", "device-error"]\nreset_band = "5 kPa"'
    (interlock,) = bench({'action = "hold"': f'action = "hold"\n{keys}'}).opened.interlocks
    assert interlock.phases == ("rise", "hold")
    assert int(interlock.quality) == 4 | 128
    assert interlock.state(146.0, 0) is None


@pytest.mark.parametrize(("band", "slew"), [("1 K", "1 K/min"), ("1 degC", "1 degC/min")])
def test_a_difference_of_temperature_may_be_written_in_kelvin(bench: Any, band: str, slew: str) -> None:
    valves = "[instruments.daq.valves]"
    bath = f'[[instruments.daq.channels]]\nname = "bath"\nkind = "rtd"\nphysical = "cDAQ1Mod5/ai0"\n\n{valves}'
    keys = (
        f'[interlocks.bath]\nchannel = "daq.bath"\nhigh = "42 degC"\nreset_band = "{band}"\nslew = "{slew}"\n\n[[hold]]'
    )
    interlocks = {each.name: each for each in bench({valves: bath, "[[hold]]": keys}).opened.interlocks}
    assert interlocks["bath"].reset_band == 1.0
    assert interlocks["bath"].slew_per_s == pytest.approx(1.0 / 60.0)
