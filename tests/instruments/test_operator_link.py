"""The operator link driver in front of a simulated person with the programmer of a simulated pump."""

import hashlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schedule import Bolus, Continuous, Flex, PatientBolus, PeriodicBolus, Schedule, Stopped
from instruments.capabilities import Answer, PumpLink, ReservoirCount
from instruments.clock import VirtualClock
from instruments.drivers.operator_link import OperatorLink, OperatorLinkSettings, _schedule, _values
from instruments.instrument import (
    Connection,
    InstrumentDisconnected,
    InstrumentRefusal,
    InstrumentReplyError,
)
from instruments.simulation.faults import fault
from instruments.simulation.operator import SimulatedOperator
from instruments.simulation.parameters import PlantParameters
from instruments.simulation.plant import Plant

PLAIN = Schedule.parse("1 mL/day")
DRUG = Schedule(Continuous(20.8), drug="baclofen", concentration_ug_per_ml=2000.0)


class Person:
    """Answers as the simulated operator does, except what is said otherwise; remembers the prompts."""

    def __init__(self, clock):
        self.clock = clock
        self.plant = Plant(PlantParameters.load({}), clock, 7)
        self.operator = SimulatedOperator(self.plant, clock, 7)
        self.otherwise = {}
        self.prompts = []

    def ask(self, prompt):
        self.prompts.append(prompt)
        said = (prompt.action, prompt.kind, prompt.unit, dict(prompt.details), self.clock.now())
        if prompt.key in self.otherwise:
            answered_s, value = self.clock.now() + 10.0, self.otherwise[prompt.key]
        else:
            answered_s, value = self.operator.respond(*said)
        self.clock.sleep_until(answered_s)
        return Answer(prompt.key, value, "Ada", answered_s, "Ben" if prompt.second_person else "")

    def of(self, action):
        return [prompt for prompt in self.prompts if prompt.action == action]


@pytest.fixture
def person():
    return Person(VirtualClock())


@pytest.fixture
def link(person):
    return make(person)


def make(person, **settings):
    link = OperatorLink("pump", OperatorLinkSettings(**settings), person.clock, Connection())
    link.operator = person
    link.open()
    return link


def test_it_is_a_pump_link_that_measures_nothing_by_itself(link):
    assert isinstance(link, PumpLink)
    assert isinstance(link, ReservoirCount)
    assert link.channels == ()


def test_without_a_person_it_cannot_be_opened(person):
    link = OperatorLink("pump", OperatorLinkSettings(), person.clock, Connection())
    with pytest.raises(InstrumentDisconnected, match="nobody to ask"):
        link.open()


def test_the_serial_number_is_read_once_and_must_be_that_of_the_station_file(person):
    link = make(person, maker="Nobody", model="P-20")
    assert link.identify() == link.identify()
    assert link.identify().serial == person.plant.pump.serial
    assert len(person.prompts) == 1
    with pytest.raises(InstrumentReplyError, match='"P-7" is expected; take the right pump'):
        make(person, serial="P-7").identify()


# ------------------------------------------------------------------------------------------------- programming


def test_a_pump_is_programmed_read_back_twice_and_started(link, person):
    done = link.program(PLAIN)
    (order,) = person.of("program-pump")
    assert person.plant.pump.program(person.clock.now()).rate_ul_per_h == PLAIN.basal.rate_ul_per_h
    assert "1 mL/day = 41.6667 uL/h" in order.text
    assert [prompt.second_person for prompt in person.of("read-programmer")] == [True, True, True]
    assert done.command.startswith("SET mode=continuous rate_ul_per_h=41.66")
    assert "read back mode=continuous" in done.reply
    started = link.start()
    assert started.command == "RUN"
    assert person.plant.pump.state(person.clock.now()).running


def test_a_command_is_issued_when_asked_and_confirmed_when_answered(link, person):
    link.program(PLAIN)
    asked_s = person.clock.now()
    done = link.start()
    assert (done.issued_s, done.confirmed_s) == (asked_s, person.clock.now())
    assert done.confirmed_s > asked_s


@pytest.mark.parametrize(
    ("field", "shown", "says"),
    [
        ("rate_ul_per_h", 62.5, "rate is 1.5 mL/day = 62.5 uL/h where 1 mL/day = 41.6667 uL/h was asked"),
        ("mode", "flex", "mode is flex where continuous was asked"),
        ("others", "something else", "shows more than was asked"),
    ],
)
def test_a_screen_that_shows_something_else_is_an_error(link, person, field, shown, says):
    person.otherwise[f"pump-program-1-{field}"] = shown
    with pytest.raises(InstrumentReplyError, match="the program read back differs") as refused:
        link.program(PLAIN)
    assert says in str(refused.value)


@pytest.mark.parametrize(("shown", "agrees"), [(41.7, True), (41.63, True), (41.72, False), (0.0, False)])
def test_a_number_may_be_rounded_as_far_as_the_station_file_says(person, shown, agrees):
    link = make(person, agreement="0.1 %")
    person.otherwise["pump-program-1-rate_ul_per_h"] = shown
    if agrees:
        link.program(PLAIN)
    else:
        with pytest.raises(InstrumentReplyError, match="rate"):
            link.program(PLAIN)


def test_prompts_have_names_of_their_own_in_a_run(link, person):
    for _ in range(2):
        link.program(DRUG)
        link.start()
        link.stop()
        link.set_reservoir(18_000.0)
        link.status()
    keys = [prompt.key for prompt in person.prompts]
    assert len(keys) == len(set(keys))
    assert all(key.startswith("pump-") for key in keys)


def test_a_photograph_takes_the_place_of_typing_and_is_known_by_its_hash(person, tmp_path):
    link = make(person, read_back="photo")
    picture = tmp_path / "screen.jpg"
    picture.write_bytes(b"a picture")
    person.otherwise["pump-program-1-photo"] = str(picture)
    done = link.program(PLAIN)
    assert f"photograph screen.jpg sha256={hashlib.sha256(b'a picture').hexdigest()}" in done.reply
    (compared,) = person.of("compare-photograph")
    assert compared.second_person
    assert "rate 1 mL/day" in compared.text
    person.otherwise["pump-program-2-photo"] = str(tmp_path / "none.jpg")
    with pytest.raises(InstrumentReplyError, match=r"none\.jpg cannot be read"):
        link.program(PLAIN)


# ------------------------------------------------------------------------------------------------ the reservoir


def test_a_pump_is_told_what_its_reservoir_holds_and_two_persons_read_it_back(link, person):
    done = link.set_reservoir(12_500.0)
    (order,) = person.of("set-reservoir")
    (read,) = person.of("read-programmer")
    assert person.plant.pump.state(person.clock.now()).reservoir_ul == pytest.approx(12_500.0)
    assert "now holds 12.5 mL = 12500 uL" in order.text
    assert (order.key, read.key, read.second_person) == (
        "pump-reservoir-1",
        "pump-reservoir-1-reservoir_ul",
        True,
    )
    assert done.command == "FILL volume_ul=12500"
    assert done.reply == "done by Ada; read back reservoir_ul=12500"
    assert done.issued_s < done.confirmed_s < person.clock.now()


@pytest.mark.parametrize(
    ("shown", "agrees"), [(18_010.0, True), (17_990.0, True), (18_300.0, False), (17_900.0, False), (0.0, False)]
)
def test_a_reservoir_volume_that_reads_back_otherwise_is_an_error_beyond_the_rounding(link, person, shown, agrees):
    person.otherwise["pump-reservoir-1-reservoir_ul"] = shown
    if agrees:
        assert f"reservoir_ul={shown:g}" in link.set_reservoir(18_000.0).reply
    else:
        with pytest.raises(InstrumentReplyError, match=r"reservoir volume read back is .* where 18 mL .*agreement"):
            link.set_reservoir(18_000.0)


def test_a_pump_that_stores_another_volume_than_it_is_told_is_found_as_it_is_read_back(person):
    person.plant = Plant(PlantParameters.load({}), person.clock, 7, [fault("reservoir-count", 3000.0, 0.0)])
    person.operator = SimulatedOperator(person.plant, person.clock, 7)
    with pytest.raises(InstrumentReplyError, match="read back is 13 mL = 13000 uL where 10 mL"):
        make(person).set_reservoir(10_000.0)


def test_a_pump_that_runs_has_counted_down_when_its_screen_is_read(link, person):
    link.program(Schedule.parse("24 mL/day"))
    link.start()
    link.set_reservoir(1000.0)
    left = person.plant.pump.state(person.clock.now()).reservoir_ul
    assert left < 1000.0 * (1.0 - 2e-3)  # more than the rounding that is allowed


def test_a_photograph_shows_the_reservoir_volume(person, tmp_path):
    link = make(person, read_back="photo")
    picture = tmp_path / "screen.jpg"
    picture.write_bytes(b"a picture")
    person.otherwise["pump-reservoir-1-photo"] = str(picture)
    assert "photograph screen.jpg sha256=" in link.set_reservoir(18_000.0).reply
    (photographed,), (compared,) = person.of("photograph-programmer"), person.of("compare-photograph")
    assert "with the reservoir volume" in photographed.text
    assert "18 mL" in compared.text


# ------------------------------------------------------------------------------------------------ what it says


def test_the_status_is_what_the_programmer_shows(link, person):
    link.program(PLAIN)
    link.start()
    state = link.status()
    assert (state.running, state.mode, state.alarms) == (True, "continuous", ())
    assert state.reservoir_ul == pytest.approx(person.plant.draws["reservoir.fill_ul"], rel=1e-3)
    assert math.isnan(state.delivered_ul)
    assert math.isnan(state.clock_s)


def test_alarms_are_typed_as_a_list(link, person):
    person.otherwise["pump-status-1-alarms"] = "low-reservoir, stall"
    assert link.status().alarms == ("low-reservoir", "stall")


def test_alarms_are_kept_in_the_words_that_are_judged(link, person):
    person.otherwise["pump-status-1-alarms"] = "LOW RESERVOIR, Error 51"
    person.otherwise["pump-status-2-alarms"] = "None."
    assert link.status().alarms == ("low-reservoir", "error-51")
    assert link.status().alarms == ()


def test_a_bolus_that_the_pump_refuses_is_a_reply(link, person):
    link.program(PLAIN)
    assert link.bolus(10.0, 600.0).reply.startswith("refused")
    link.start()
    done = link.bolus(10.0, 600.0)
    assert done.command == "BOLUS kind=single volume_ul=10 duration_s=600"
    assert done.reply.startswith("granted")


def test_what_was_programmed_can_be_read_back_again(link):
    with pytest.raises(InstrumentRefusal, match="nothing to read back"):
        link.read_back()
    link.program(DRUG)
    assert link.read_back().basal.rate_ul_per_h == pytest.approx(DRUG.basal.rate_ul_per_h, rel=1e-6)
    assert link.read_back().drug == "baclofen"


def test_going_safe_asks_nobody_and_leaves_the_pump_alone(link, person):
    link.program(PLAIN)
    link.start()
    asked = len(person.prompts)
    assert "left as it was" in link.make_safe()
    link.close()
    assert len(person.prompts) == asked
    assert person.plant.pump.state(person.clock.now()).running


# ----------------------------------------------------------------------------------------------------- programs

times = st.integers(0, 86_399).map(float)
rates = st.floats(0.1, 900.0)
volumes = st.floats(0.1, 500.0)
basals = st.one_of(
    st.builds(Continuous, rates),
    st.just(Stopped()),
    st.lists(st.tuples(times.filter(bool), rates), unique_by=lambda step: step[0], max_size=5).map(
        lambda steps: Flex(((0.0, 5.0), *sorted(steps)))
    ),
)
schedules = st.builds(
    Schedule,
    basals,
    boluses=st.lists(
        st.builds(Bolus, times, volumes, st.floats(1.0, 3600.0), st.sampled_from(["single", "priming", "patient"])),
        max_size=3,
    ).map(tuple),
    periodic=st.none() | st.builds(PeriodicBolus, volumes, st.just(60.0), st.floats(61.0, 9e4), times),
    patient=st.none()
    | st.builds(
        PatientBolus, volumes, st.just(60.0), st.floats(60.0, 9e4), st.integers(1, 9), st.sampled_from(["calendar"])
    ),
    drug=st.sampled_from(["", "baclofen"]),
    concentration_ug_per_ml=st.none() | st.floats(1.0, 5e3),
)


@given(schedules)
def test_a_schedule_told_value_by_value_is_the_same_schedule(schedule):
    assert _schedule(_values(schedule)) == schedule
