"""NI-DAQmx instruments on simulated devices: blocks, qualities, valves, and everything that goes wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.samples import Block, Quality
from instruments.clock import Clock, VirtualClock, WallClock
from instruments.daq import NiDaqmx
from instruments.daq_settings import NiDaqmxSettings
from instruments.instrument import (
    Connection,
    InstrumentDisconnected,
    InstrumentOverflow,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
)
from instruments.simulation.daqserver import thermocouples
from instruments.simulation.daqserver.server import DaqServer

DEVICES = {
    "cDAQ1Mod1": "NI 9219",
    "cDAQ1Mod2": "NI 9215",
    "cDAQ1Mod3": "NI 9208",
    "cDAQ1Mod4": "NI 9213",
    "cDAQ1Mod5": "NI 9217",
    "cDAQ1Mod6": "NI 9472",
    "cDAQ1Mod7": "NI 9237",
}
OUTLET, RESERVOIR, BAROMETER, BACK, BATH, VESSEL = (
    "cDAQ1Mod1/ai0",
    "cDAQ1Mod2/ai0",
    "cDAQ1Mod2/ai1",
    "cDAQ1Mod3/ai0",
    "cDAQ1Mod4/ai0",
    "cDAQ1Mod5/ai0",
)
CHANNELS: list[dict[str, Any]] = [
    {
        "name": "outlet",
        "physical": OUTLET,
        "kind": "bridge",
        "points": [["0 mV/V", "0 kPa"], ["2 mV/V", "100 kPa"]],
        "reference": "gauge",
    },
    {"name": "reservoir", "physical": RESERVOIR, "kind": "voltage", "points": [["0 V", "0 kPa"], ["5 V", "100 kPa"]]},
    {
        "name": "barometer",
        "physical": BAROMETER,
        "kind": "voltage",
        "points": [["0 V", "800 hPa"], ["2.5 V", "950 hPa"], ["5 V", "1100 hPa"]],
        "reference": "absolute",
    },
    {"name": "back", "physical": BACK, "kind": "current", "points": [["4 mA", "0 kPa"], ["20 mA", "40 kPa"]]},
    {"name": "bath", "physical": BATH, "kind": "thermocouple", "type": "K"},
    {"name": "vessel", "physical": VESSEL, "kind": "rtd"},
]
VALVES = {
    "outlet": "cDAQ1Mod6/port0/line0",
    "vent": {"line": "cDAQ1Mod6/port0/line1", "normally": "open", "safe": "energised"},
}
ALL = {"rate": "10 Hz", "channels": CHANNELS, "valves": VALVES}
SLACK = 8


class Level:
    """A signal that can be set, plus a slope in time."""

    def __init__(self, value: float, slope: float = 0.0) -> None:
        self.value, self.slope = value, slope

    def at(self, t: float) -> float:
        return self.value + self.slope * t

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return self.value + self.slope * (t0 + np.arange(first, first + n) * dt)


class Lab:
    """A server with levels at its terminals, and an instrument on it."""

    def __init__(self, clock: Clock, table: dict[str, Any] | None = None, clock_ppm: float = 0.0) -> None:
        self.clock = clock
        self.levels = {
            OUTLET: Level(1e-3),
            RESERVOIR: Level(2.5),
            BAROMETER: Level(3.5),
            BACK: Level(12e-3),
            BATH: Level(float(thermocouples.emf_v("K", 37.0) - thermocouples.emf_v("K", 22.0))),
            "cDAQ1Mod4/_cjtemp": Level(22.0),
            VESSEL: Level(109.7347),
            "cDAQ1Mod7/ai0": Level(1e-3),
        }
        self.server = DaqServer(clock, DEVICES, self.levels, clock_ppm=clock_ppm).start()
        self.daq = self.instrument(table or ALL)

    def instrument(self, table: dict[str, Any]) -> NiDaqmx:
        connection = Connection.through(daq=self.server.target)
        return NiDaqmx("daq", NiDaqmxSettings.model_validate(table), self.clock, connection)

    def block(self, seconds: float) -> Block:
        """Let time pass and read what came, as the sampler does."""
        self.clock.sleep(seconds)
        return self.daq.read(round(seconds / self.daq.interval_s) + SLACK)

    def close(self) -> None:
        self.daq.close()
        self.server.close()


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab(VirtualClock())
    made.daq.open()
    yield made
    made.close()


# ------------------------------------------------------------------------------------------------ measuring


def test_six_channels_on_five_modules_come_as_one_block_in_the_units_of_the_bench(lab: Lab) -> None:
    lab.daq.start()
    block = lab.block(30.0)
    assert block.values.shape == (301, 6)
    assert block.values[0] == pytest.approx([50.0, 50.0, 101.0, 20.0, 37.0, 25.0], abs=0.01)
    assert not block.quality.any()
    assert block.t[:3] == pytest.approx([0.0, 0.1, 0.2])
    assert [channel.unit for channel in lab.daq.channels] == ["kPa"] * 4 + ["degC"] * 2
    assert lab.daq.channels[2].reference == "absolute"


def test_one_call_a_block_is_all_that_the_device_server_sees(lab: Lab) -> None:
    lab.daq.start()
    before = lab.server.calls.copy()
    for _ in range(20):
        lab.block(30.0)
        lab.daq.anchor()
    assert lab.server.calls - before == {"ReadAnalogF64": 20}


def test_a_block_may_be_short_or_empty(lab: Lab) -> None:
    lab.daq.start()
    assert len(lab.daq.read(100).t) == 1
    assert lab.daq.read(100).values.shape == (0, 6)
    lab.clock.sleep(0.25)
    block = lab.daq.read(100)
    assert (block.first, len(block.t)) == (1, 2)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.0, 8.0), min_size=1, max_size=10))
def test_how_long_blocks_are_changes_no_sample(spans: list[float]) -> None:
    def run(pieces: list[float]) -> list[Block]:
        lab = Lab(VirtualClock(), clock_ppm=40.0)
        lab.levels[OUTLET].slope = 1e-6
        lab.levels[BATH].slope = 1e-5
        lab.daq.open()
        lab.daq.start()
        blocks = [lab.block(span) for span in pieces]
        blocks.append(lab.block(0.0))
        lab.close()
        return blocks

    cut, whole = run(spans), run([sum(spans)])
    for field in ("t", "values", "quality"):
        assert np.array_equal(*(np.concatenate([getattr(block, field) for block in blocks]) for blocks in (cut, whole)))


def test_the_anchors_tell_the_speed_of_the_devices_crystal() -> None:
    lab = Lab(VirtualClock(), clock_ppm=-80.0)
    lab.daq.open()
    lab.daq.start()
    anchors = []
    for _ in range(120):
        block = lab.block(60.0)
        anchors.append(lab.daq.anchor())
    lab.close()
    host, counts = np.array(anchors).T
    slope = np.polyfit(counts, host, 1)[0]
    assert slope / 0.1 - 1.0 == pytest.approx(80e-6, abs=8e-6)
    assert anchors[-1][1] == block.first + len(block.t)


def test_an_anchor_after_a_full_block_asks_the_device(lab: Lab) -> None:
    lab.daq.start()
    lab.clock.sleep(30.0)
    assert len(lab.daq.read(100).t) == 100
    assert lab.daq.anchor() == (30.0, 301)


def test_a_wrong_sensitivity_shows_as_a_wrong_pressure(lab: Lab) -> None:
    table = {"channels": [CHANNELS[0] | {"points": [["0 mV/V", "0 kPa"], ["3 mV/V", "100 kPa"]]}]}
    daq = lab.instrument(table)
    daq.start()
    assert daq.read(1).values[0, 0] == pytest.approx(100.0 / 3.0, abs=1e-3)
    daq.close()


def test_a_half_bridge_setting_on_a_full_bridge_shows_as_half_the_pressure(lab: Lab) -> None:
    daq = lab.instrument({"channels": [CHANNELS[0] | {"configuration": "half"}]})
    daq.start()
    assert daq.read(1).values[0, 0] == pytest.approx(25.0, abs=1e-3)
    daq.close()


def test_a_table_of_points_bends_a_bridge(lab: Lab) -> None:
    bent = {"points": [["0 mV/V", "0 kPa"], ["1 mV/V", "60 kPa"], ["2 mV/V", "100 kPa"]]}
    daq = lab.instrument({"channels": [CHANNELS[0] | bent]})
    daq.start()
    assert daq.read(1).values[0, 0] == pytest.approx(60.0, abs=1e-3)
    daq.close()


@pytest.mark.parametrize(
    ("bridge", "kpa", "flags"),
    [
        (2.1e-3, 104.0, Quality.GOOD),
        (2.5e-3, 120.0, Quality.SATURATED),  # beyond the range of -10 to 110 kPa: an interlock at 115 kPa sees it
        (-0.1e-3, -6.0, Quality.GOOD),
    ],
)
def test_the_table_of_a_bridge_reaches_further_than_its_range(
    lab: Lab, bridge: float, kpa: float, flags: Quality
) -> None:
    lab.levels[OUTLET].value = bridge
    bent = {"points": [["0 mV/V", "0 kPa"], ["1 mV/V", "60 kPa"], ["2 mV/V", "100 kPa"]]}
    daq = lab.instrument({"channels": [CHANNELS[0] | bent]})
    daq.start()
    block = daq.read(1)
    assert block.values[0, 0] == pytest.approx(kpa, abs=1e-3)
    assert block.quality[0, 0] == flags
    daq.close()


def test_a_bridge_whose_table_falls_may_have_a_range_beyond_it(lab: Lab) -> None:
    falling = {"points": [["-2 mV/V", "100 kPa"], ["-1 mV/V", "60 kPa"], ["0 mV/V", "0 kPa"]]}
    lab.levels[OUTLET].value = -2.4e-3
    daq = lab.instrument({"channels": [CHANNELS[0] | falling | {"range": ["-20 kPa", "130 kPa"]}]})
    daq.start()
    assert daq.read(1).values[0, 0] == pytest.approx(116.0, abs=1e-3)
    daq.close()


@pytest.mark.parametrize(
    ("volts", "kpa", "flags"),
    [
        (-0.01, 79.94, Quality.GOOD),  # noise around the first point is not rectified
        (5.2, 111.2, Quality.GOOD),
        (6.0, 116.0, Quality.SATURATED),  # and seen by an interlock at 112 kPa
        (-1.0, 74.0, Quality.SATURATED),
    ],
)
def test_the_outermost_lines_of_a_voltage_go_on_beyond_its_points(
    lab: Lab, volts: float, kpa: float, flags: Quality
) -> None:
    lab.levels[BAROMETER].value = volts
    lab.daq.start()
    block = lab.daq.read(1)
    assert block.values[0, 2] == pytest.approx(kpa, abs=0.01)
    assert block.quality[0, 2] == flags


def test_a_stated_cold_junction_is_believed(lab: Lab) -> None:
    daq = lab.instrument({"channels": [CHANNELS[4] | {"cold_junction": "27 degC"}]})
    daq.start()
    assert daq.read(1).values[0, 0] == pytest.approx(42.0, abs=0.1)
    daq.close()


@pytest.mark.parametrize(
    ("terminal", "electrical", "column", "flags"),
    [
        (OUTLET, 2.3e-3, 0, Quality.SATURATED),  # 115 kPa, stated range up to 110
        (OUTLET, float("nan"), 0, Quality.SATURATED),  # a broken bridge rails
        (RESERVOIR, 12.0, 1, Quality.SATURATED),
        (BACK, 3.7e-3, 3, Quality.SATURATED),
        (BACK, 3.5e-3, 3, Quality.SATURATED | Quality.DEVICE_ERROR),  # NAMUR NE 43: the transmitter's own fault
        (BACK, 0.0, 3, Quality.SATURATED | Quality.DEVICE_ERROR),  # a broken loop
        (BACK, 21.2e-3, 3, Quality.SATURATED | Quality.DEVICE_ERROR),
        (BACK, 4e-3, 3, Quality.GOOD),
        (BACK, 20.4e-3, 3, Quality.GOOD),
        (BATH, float("nan"), 4, Quality.SATURATED | Quality.DEVICE_ERROR),  # open
        (BATH, 5e-3, 4, Quality.SATURATED),  # hot, but connected
        (VESSEL, float("nan"), 5, Quality.SATURATED),
    ],
)
def test_what_cannot_be_believed_is_flagged(
    lab: Lab, terminal: str, electrical: float, column: int, flags: Quality
) -> None:
    lab.levels[terminal].value = electrical
    lab.daq.start()
    quality = lab.daq.read(1).quality[0].tolist()
    assert quality.pop(column) == int(flags)
    assert not any(quality)


# ------------------------------------------------------------------------------------------------- identity


def test_the_instrument_is_its_chassis_and_modules(lab: Lab) -> None:
    identity = lab.daq.identify()
    assert identity.maker == "NI"
    assert identity.model == "cDAQ-9178 (NI 9219, NI 9215, NI 9208, NI 9213, NI 9217, NI 9472)"
    assert identity.firmware == "NI-DAQmx 26.0.0"
    lab.instrument(ALL | {"serial": identity.serial}).identify()


def test_another_chassis_than_the_stated_one_is_refused(lab: Lab) -> None:
    with pytest.raises(InstrumentReplyError, match="not 0123ABCD"):
        lab.instrument(ALL | {"serial": "0123ABCD"}).open()


def test_probe_names_what_is_not_there(lab: Lab) -> None:
    assert lab.daq.probe() == []
    wrong = [CHANNELS[0] | {"physical": "cDAQ1Mod1/ai7"}, CHANNELS[1] | {"physical": "cDAQ1Mod9/ai0"}]
    problems = lab.instrument({"channels": wrong, "valves": {"out": "cDAQ1Mod1/port0/line0"}}).probe()
    assert problems[0] == 'channel "outlet": NI 9219 "cDAQ1Mod1" has no "cDAQ1Mod1/ai7"; correct the station'
    assert problems[1].startswith('channel "reservoir": there is no device "cDAQ1Mod9"; there are cdaq1')
    assert problems[2].startswith('valve "out": NI 9219')


def test_modules_that_cannot_sample_so_slowly_are_refused(lab: Lab) -> None:
    daq = lab.instrument({"rate": "10 Hz", "channels": [CHANNELS[0] | {"physical": "cDAQ1Mod7/ai0"}]})
    with pytest.raises(InstrumentRefusal, match=r"1612\.90322 Hz, not at 10 Hz"):
        daq.open()
    assert len(lab.server.system.tasks) == 2  # those of the lab's own instrument


@pytest.mark.parametrize(
    "asked", ["10 Hz", "1612.9 Hz", "1650 Hz", "1.7 kHz", "7 kHz", "12 kHz", "24.99 kHz", "26 kHz"]
)
def test_the_rate_that_a_refusal_names_is_accepted_as_it_is_written(lab: Lab, asked: str) -> None:
    table = {"channels": [CHANNELS[0] | {"physical": "cDAQ1Mod7/ai0"}]}
    with pytest.raises(InstrumentRefusal) as refused:
        lab.instrument({**table, "rate": asked}).open()
    named = re.search(r"sample at (\S+ Hz), not at", str(refused.value))
    assert named is not None
    daq = lab.instrument({**table, "rate": named[1]})
    daq.open()
    daq.close()


def test_a_range_that_a_module_does_not_have_is_refused_in_the_words_of_the_driver(lab: Lab) -> None:
    daq = lab.instrument({"channels": [CHANNELS[1] | {"range": ["-50 V", "50 V"]}]})
    daq.open()
    with pytest.raises(InstrumentRefusal, match="-200077"):
        daq.start()


def test_a_module_in_use_by_somebody_else_is_refused(lab: Lab) -> None:
    lab.daq.start()
    other = lab.instrument({"channels": [CHANNELS[0]]})
    with pytest.raises(InstrumentRefusal, match="-50103"):
        other.start()


# ------------------------------------------------------------------------------------------- what goes wrong


def test_an_overflow_is_reported_with_its_count_and_shifts_nothing(lab: Lab) -> None:
    lab.levels[RESERVOIR].value, lab.levels[RESERVOIR].slope = 0.0, 1e-3
    lab.daq.start()
    lab.block(10.0)
    lab.clock.sleep(700.0)  # longer than the ten minutes of the buffer
    with pytest.raises(InstrumentOverflow) as lost:
        lab.daq.read(100)
    assert lost.value.lost == 6999
    lab.daq.start()  # what a sampler does after an overflow: acquisition goes on already
    block = lab.block(10.0)
    assert block.first == 101 + 6999
    assert block.values[:, 1] == pytest.approx(20.0 * 1e-3 * block.t, abs=0.01)
    assert block.t[-1] == pytest.approx(720.0)


def test_an_empty_block_becomes_a_timeout_when_the_silence_is_too_long(lab: Lab) -> None:
    lab.daq.start()
    lab.block(1.0)
    lab.server.stall("cDAQ1")
    assert len(lab.block(1.0).t) == 0
    with pytest.raises(InstrumentTimeout, match=r"no new sample for 2\.2 s"):
        lab.block(1.2)
    with pytest.raises(InstrumentTimeout, match="next attempt in 0"):
        lab.block(0.2)
    with pytest.raises(InstrumentTimeout, match="no sample yet"):
        lab.block(1.0)
    lab.server.resume("cDAQ1")
    with pytest.raises(InstrumentTimeout):
        lab.block(2.5)
    block = lab.block(3.0)
    assert len(block.t) == 1
    block = lab.block(1.0)
    assert block.t[-1] == pytest.approx(lab.clock.now(), abs=0.1)


def test_a_clock_that_stands_still_within_a_long_block_leaves_a_hole_of_its_length(lab: Lab) -> None:
    lab.levels[OUTLET].value, lab.levels[OUTLET].slope = 0.0, 2e-6
    lab.daq.start()
    lab.clock.sleep(10.0)
    lab.server.stall("cDAQ1Mod1")
    assert len(lab.block(20.0).t) == 101
    assert lab.daq.anchor() == (0.0, 1)  # nothing to compare: the count belongs to an earlier moment
    with pytest.raises(InstrumentTimeout):
        lab.block(30.0)
    lab.server.resume("cDAQ1Mod1")
    assert lab.block(30.0).first == 900
    block = lab.block(1.0)
    assert block.first == 901
    assert block.values[:, 0] == pytest.approx(0.1 * block.t, abs=0.02)


@pytest.mark.parametrize("pulled", ["cDAQ1Mod2", "cDAQ1"])
def test_a_pulled_module_is_a_gap_and_its_return_goes_on_at_the_right_index(lab: Lab, pulled: str) -> None:
    lab.levels[OUTLET].value, lab.levels[OUTLET].slope = 0.0, 2e-6
    lab.daq.start()
    before = lab.block(10.0)
    lab.server.unplug(pulled)
    for _ in range(5):
        with pytest.raises(InstrumentDisconnected):
            lab.block(1.0)
    lab.server.plug(pulled)
    lab.clock.sleep(30.0)
    lab.daq.read(1)
    after = lab.block(5.0)
    assert after.first > before.first + 300
    assert after.values[:, 0] == pytest.approx(0.1 * after.t, abs=0.02)
    assert [note.text for note in lab.daq.take_notes()] == [
        f'instrument "daq": acquisition goes on at sample {after.first - 1}'
    ]


def test_after_a_day_a_gap_is_as_long_as_the_crystal_says() -> None:
    lab = Lab(VirtualClock(), {"channels": CHANNELS[:1]}, clock_ppm=100.0)
    lab.daq.open()
    lab.daq.start()
    for _ in range(288):
        lab.block(300.0)
    lab.server.unplug("cDAQ1Mod1")
    with pytest.raises(InstrumentDisconnected):
        lab.block(1.0)
    lab.server.plug("cDAQ1Mod1")
    lab.clock.sleep(60.0)
    block = lab.daq.read(1)
    assert block.first == pytest.approx(10.0 * (1.0 + 100e-6) * lab.clock.now(), abs=1.5)
    lab.close()


def test_a_device_server_that_dies_and_comes_back_is_a_gap() -> None:
    lab = Lab(VirtualClock())
    lab.daq.open()
    lab.daq.start()
    lab.block(5.0)
    port = int(lab.server.target.rpartition(":")[2])
    lab.server.close()
    for _ in range(3):
        with pytest.raises(InstrumentDisconnected):
            lab.block(1.0)
    with pytest.raises(InstrumentDisconnected, match="cannot be reached"):
        lab.daq.set_valve("outlet", True)
    lab.server.start(port)  # a new process would know nothing of the old tasks
    lab.server.system.tasks.clear()
    lab.clock.sleep(60.0)
    lab.daq.read(1)
    block = lab.block(5.0)
    assert (block.first, len(block.t)) == (681, 50)
    lab.daq.set_valve("outlet", True)
    assert lab.daq.valves()["outlet"]
    lab.close()


def test_a_device_server_that_forgot_our_task_is_a_gap(lab: Lab) -> None:
    lab.daq.start()
    lab.block(5.0)
    lab.server.system.tasks.clear()
    with pytest.raises(InstrumentDisconnected, match="-200088"):
        lab.block(1.0)
    lab.clock.sleep(4.0)
    assert lab.daq.read(1).first == 100


def test_a_server_that_does_not_answer_is_a_timeout(hurried: Callable[[], None]) -> None:
    lab = Lab(VirtualClock(), ALL | {"deadline": "70 s"})
    lab.daq.open()
    lab.daq.start()
    assert lab.daq._new_session()._channel._deadline_s == 70.0
    hurried()
    with lab.server.system.lock, pytest.raises(InstrumentTimeout, match="did not answer in time"):
        lab.daq.read(1)
    lab.close()


def test_nothing_is_read_before_the_start(lab: Lab) -> None:
    with pytest.raises(InstrumentReplyError, match="call start first"):
        lab.daq.read(1)


def test_a_station_without_ni_daqmx_is_told_what_to_install() -> None:
    daq = NiDaqmx("daq", NiDaqmxSettings.model_validate(ALL), VirtualClock(), Connection.through())
    with pytest.raises(InstrumentDisconnected, match="install it, or name a device server"):
        daq.open()


def test_stop_and_close_leave_nothing_behind(lab: Lab) -> None:
    lab.daq.start()
    lab.block(1.0)
    lab.daq.stop()
    assert len(lab.server.system.tasks) == 1  # the valves' own
    lab.daq.start()
    assert lab.block(1.0).first == 0
    lab.daq.close()
    assert lab.server.system.tasks == {}
    lab.daq.close()


# ------------------------------------------------------------------------------------------------ wall clock


def test_on_the_wall_clock_blocks_of_50_ms_at_1_khz_lose_nothing() -> None:
    lab = Lab(WallClock(), {"rate": "1 kHz", "channels": CHANNELS[1:3]})
    lab.daq.open()
    lab.daq.start()
    blocks = [lab.block(0.05) for _ in range(10)]
    lab.close()
    first = np.cumsum([0, *(len(block.t) for block in blocks)])
    assert [block.first for block in blocks] == first[:-1].tolist()
    assert first[-1] >= 400
    assert np.allclose(np.concatenate([block.values for block in blocks]), [50.0, 101.0], atol=0.01)
