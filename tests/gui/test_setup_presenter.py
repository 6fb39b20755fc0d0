"""A run is prepared without a screen: what is chosen and typed, what stands against it, its start and the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.request import Request
from bench.run_queue import Entry, StationLock, enqueue, entries
from gui.presenters import setup
from gui.presenters.background import Inline
from gui.presenters.context import Context, Wish
from gui.presenters.setup import SetUp
from gui.presenters.setup_check import Examined, examine
from gui.presenters.setup_form import USUAL_PACE, Part
from gui.presenters.setup_memory import Memory
from gui.presenters.setup_queue import queue_rows, withdraw
from protocols.flow_accuracy import FlowAccuracy
from protocols.procedure import procedure_names

ANALYSIS, SCHEDULE = FlowAccuracy.params["analysis_s"], FlowAccuracy.params["schedule"]


class Told:
    """A view that keeps what it was told."""

    def __init__(self) -> None:
        self.parts: list[tuple[Part, str]] = []

    def show_part(self, part: Part, name: str) -> None:
        self.parts.append((part, name))


@pytest.fixture
def context(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A window without a screen, whose runs and files are in a folder of its own."""
    monkeypatch.setenv("PUMPBENCH_HOME", str(context.state_folder))
    monkeypatch.chdir(tmp_path)
    return context


@pytest.fixture
def prepared(context: Context, inline: Inline) -> SetUp:
    """The set-up, with all that can be chosen."""
    made = SetUp(context)
    made.attach(Told())
    made.shown(True)
    inline.run()
    return made


# -- choosing


def test_everything_shipped_and_every_file_near_at_hand_can_be_chosen(context: Context, inline: Inline) -> None:
    text = (Path(setup.__file__).parents[2] / "bench" / "stations" / "sim.toml").read_text("utf-8")
    Path("stations").mkdir()
    Path("stations/lab.toml").write_text(text.replace('name = "sim"', 'name = "lab"'), "utf-8")
    Path("broken.toml").write_text("[instruments.balance]\ndriver = 3\n", "utf-8")
    made = SetUp(context)
    made.attach(Told())
    inline.run()
    assert made.form.choices is not None
    stations = {Path(one.name).stem: one for one in made.form.choices.stations}
    assert {"lab", "sim", "sim-full", "broken"} <= set(stations)
    assert "driver" in stations["broken"].state[0]
    assert set(made.form.choices.protocols) == set(procedure_names())


def test_every_position_of_a_bench_is_a_choice_and_its_file_means_the_first(prepared: SetUp) -> None:
    assert prepared.form.choices is not None
    eight = [one for one in prepared.form.choices.stations if "sim-eight" in one.name]
    assert [one.name for one in eight] == [f"sim-eight#{position}" for position in range(1, 9)]
    assert eight[2].shown == "sim-eight#3 – Simulated bench for eight pumps, position 3"
    prepared.form.choose_station("sim-eight")
    assert prepared.form.station is not None
    assert prepared.form.station.name == "sim-eight#1"


def test_the_stations_own_defaults_are_filled_in_and_marked(prepared: SetUp) -> None:
    blank = prepared.form.fields["blank"]
    assert (blank.text, blank.is_stations) == ("diverter", True)
    assert blank.says.endswith("the station's")
    assert prepared.form.articles == {"dut": "sim-peristaltic", "catheter": "sim", "fluid": "water"}


def test_a_device_is_known_by_file_model_or_path_and_else_refused(
    prepared: SetUp, inline: Inline, tmp_path: Path
) -> None:
    form = prepared.form
    for typed in ("sim-gas-driven", "SIM-G20", " sim-g20 "):
        form.type_article("dut", typed)
        assert form.article_says("dut") == ("SIM-G20, pumpbench", "")
        asked = form.request()
        assert asked is not None
        assert asked.dut == "sim-gas-driven"
    form.type_article("dut", "P-0042")
    assert "no device under test that is known here" in prepared.why_not
    form.type_article("dut", str(tmp_path / "mine.toml"))
    prepared.form.article_says("dut")
    inline.run()
    assert "check the path" in prepared.why_not


def test_only_a_real_station_insists_on_a_serial_number(prepared: SetUp) -> None:
    assert not prepared.form.needs_serial
    prepared.form.choose_station("template")
    for kind, name in (("dut", "sim-peristaltic"), ("catheter", "sim"), ("fluid", "water")):
        prepared.form.type_article(kind, name)
    assert prepared.why_not == "Give the serial number of the device under test."
    prepared.form.type_serial("004417")
    asked = prepared.form.request()
    assert asked is not None
    assert (asked.serial, asked.pace, asked.seed) == ("004417", None, 1)


def test_another_page_has_a_run_prepared_before_and_after_the_choices_are_known(
    context: Context, inline: Inline
) -> None:
    made = SetUp(context)
    context.prepare("sim-full", "rig-check")
    made.attach(Told())
    inline.run()
    assert made.form.station is not None
    assert made.form.protocol is not None
    assert (made.form.station.name, made.form.protocol.name) == ("sim-full", "rig-check")
    context.prepare("sim")
    assert (made.form.station.name, made.form.protocol.name) == ("sim", "rig-check")
    assert not made.form.can_do("rig-check")


def test_another_page_has_all_filled_in_that_it_knows_and_nothing_left_from_before(prepared: SetUp) -> None:
    prepared.form.type("blank", "3 h")
    known = {"dut": "sim-peristaltic", "serial": "SN-2", "catheter": "sim", "fluid": "sim-baclofen"}
    prepared.context.wish(Wish("sim-full", "flow-accuracy", {"schedule": "0.5 mL/day", "analysis": "26 h"}, **known))
    asked = prepared.form.request()
    assert asked is not None
    assert (asked.station, asked.procedure) == ("sim-full", "flow-accuracy")
    assert {name: getattr(asked, name) for name in known} == known
    assert asked.settings == {"schedule": "0.5 mL/day", "analysis": "26 h"}


def lab_station(folder: Path, name: str = "lab") -> Path:
    text = (Path(setup.__file__).parents[2] / "bench" / "stations" / "sim.toml").read_text("utf-8")
    path = folder / f"{name}.toml"
    path.write_text(text.replace('name = "sim"', f'name = "{name}"', 1), "utf-8")
    return path


def test_a_station_file_that_was_just_made_is_prepared_on_and_not_another_one(
    prepared: SetUp, tmp_path: Path, inline: Inline
) -> None:
    path = lab_station(tmp_path)
    prepared.context.prepare(str(path), "read-out")
    inline.run()
    assert prepared.form.station is not None
    assert prepared.form.protocol is not None
    assert (prepared.form.station.name, prepared.form.protocol.name) == (str(path), "read-out")


def test_what_is_asked_for_and_not_at_hand_is_said(prepared: SetUp, inline: Inline) -> None:
    said: list[str] = []
    prepared.context.notify = lambda text, tone: said.append(text)
    prepared.context.wish(Wish("elsewhere", "flow-record", recipe="/gone.toml"))
    inline.run()
    assert said == [
        "Not at hand: station elsewhere, recipe /gone.toml. Look at what is chosen instead before you start."
    ]


def test_a_station_file_that_is_changed_meanwhile_is_taken_over_and_what_was_typed_stays(
    prepared: SetUp, tmp_path: Path, inline: Inline
) -> None:
    path, form = lab_station(tmp_path), prepared.form
    prepared.find()
    inline.run()
    form.choose_station(str(path))
    form.type("analysis", "3 h")
    text = path.read_text("utf-8")
    path.write_text(text.replace('blank = "diverter"', 'blank = "4 h"'), "utf-8")
    for _ in range(2 * setup.LOOK_TICKS):
        inline.tick()
    assert (form.fields["blank"].text, form.fields["analysis"].text) == ("4 h", "3 h")
    path.unlink()
    for _ in range(2 * setup.LOOK_TICKS):
        inline.tick()
    assert prepared.why_not == "The station file cannot be read: its file is gone; choose another station"


# -- what stands against it


def test_a_request_is_looked_at_only_when_the_person_pauses(
    prepared: SetUp, inline: Inline, pause: Callable[[], None]
) -> None:
    prepared.form.type("analysis", "2")
    assert prepared.form.fields["analysis"].error
    assert not prepared.form.fields["analysis"].shown_error
    inline.tick()
    assert prepared.examined is None
    pause()
    assert prepared.form.fields["analysis"].shown_error
    assert prepared.why_not == "Correct Analysis."
    prepared.form.type("analysis", "2 h")
    pause()
    assert prepared.why_not == ""
    assert prepared.foreseen is not None
    assert any(row.is_planned and row.analysis == "2\u202fh" for row in prepared.foreseen.rows)


def test_an_older_request_is_not_looked_at_any_more(
    prepared: SetUp, monkeypatch: pytest.MonkeyPatch, inline: Inline, pause: Callable[[], None]
) -> None:
    looked_at: list[Request] = []
    monkeypatch.setattr(setup, "examine", lambda request: looked_at.append(request) or Examined(()))
    for tick in list(inline.repeated) * setup.QUIET_TICKS:
        tick()
    prepared.form.type("analysis", "3 h")
    inline.run()
    assert not looked_at
    pause()
    assert [request.settings for request in looked_at] == [{"analysis": "3 h"}]
    assert prepared.examined is not None


def test_a_rate_that_the_pump_cannot_do_blocks_and_nobody_can_override_it(
    prepared: SetUp, pause: Callable[[], None]
) -> None:
    prepared.form.type("schedule", "30 mL/day")
    pause()
    finding = prepared.blocking[0]
    assert prepared.why_not == finding.text
    assert not finding.overridable
    assert "30\u202fmL/day" in finding.text
    prepared.override(finding.code, "I want it")
    assert prepared.blocking
    assert prepared.foreseen is None


def test_a_rig_check_that_is_missing_can_be_prepared_at_once(prepared: SetUp, pause: Callable[[], None]) -> None:
    prepared.form.choose_station("sim-full")
    pause()
    assert [one.code for one in prepared.blocking] == [setup.RIG_CHECK]
    prepared.prepare_rig_check()
    pause()
    assert prepared.why_not == ""


def test_a_check_makes_no_folder(context: Context, tmp_path: Path) -> None:
    found = examine(Request("flow-accuracy", "sim", out=tmp_path / "not" / "there"))
    assert not [one for one in found.findings if one.level == "blocks"]
    assert not list(tmp_path.rglob("not*"))


def test_the_plan_adds_up_to_the_length_of_the_run(context: Context, tmp_path: Path) -> None:
    found = examine(Request("flow-accuracy", "sim", out=tmp_path))
    assert found.takes_s == (53 * 3600.0, 53 * 3600.0)
    assert [step.text for step in found.steps if step.takes_s[1]][:2] == ["Stabilisation", "Blank before"]
    assert found.prompts == 0


def test_the_end_is_told_on_the_clock_at_the_pace_of_the_simulation(prepared: SetUp, pause: Callable[[], None]) -> None:
    pause()
    assert prepared.takes().startswith("Takes 2 d 5 h of simulated time: 5 min 18 s at this pace; ends at ")
    prepared.form.choose_pace(None)
    pause()
    assert prepared.takes() == "Takes 2 d 5 h of simulated time, as fast as possible"


# -- starting


def test_a_start_asks_for_what_was_changed_alone_and_the_run_is_watched(
    prepared: SetUp, queued: list[Request], context: Context, inline: Inline, pause: Callable[[], None]
) -> None:
    watched: list[Entry] = []
    context.on_follow(watched.append)
    prepared.form.type("analysis", "2 h")
    prepared.form.add_fault("leak", "0.3", "2 h", "", "")
    prepared.start()
    assert prepared.why_not == "Checking…"
    pause()
    prepared.start()
    assert prepared.why_not == "Starting…"
    prepared.start()
    inline.run()
    assert len(queued) == 1
    assert (queued[0].settings, queued[0].faults) == ({"analysis": "2 h"}, ("leak:0.3@2 h",))
    assert [entry.number for entry in watched] == [1]


def test_a_run_on_a_station_that_is_held_waits_and_can_be_withdrawn(
    prepared: SetUp, queued: list[Request], context: Context, inline: Inline, pause: Callable[[], None]
) -> None:
    lock = StationLock.take(context.state_folder, "sim")
    assert lock is not None
    lock.tell({"number": 7})
    for _ in range(setup.LOOK_TICKS + 1):
        inline.tick()
    assert prepared.form.station is not None
    assert prepared.form.station.state[0] == "held by run 7"
    assert prepared.start_word == "&Queue the run"
    assert "ends" not in prepared.takes()
    prepared.start()
    pause()
    row = prepared.queue[0]
    assert (row.state, row.place) == ("waits, no. 1 in line", 1)
    prepared.withdraw(row)
    inline.run()
    assert prepared.queue == ()
    assert row.entry.state().state == "withdrawn"
    lock.release()


def test_who_queues_a_run_behind_one_that_waits_for_a_person_is_told_that_it_begins(
    prepared: SetUp, inline: Inline
) -> None:
    first = enqueue(prepared.context.state_folder, Request("flow-record", "sim"), "sim")
    for _ in range(2 * setup.LOOK_TICKS):
        inline.tick()
    assert prepared.queue[0].state == "waits for a person"
    assert prepared.start_word == "&Queue the run"
    assert prepared.waits_behind.startswith(f"Run {first.number} waits for a person, and this one would wait")
    prepared.form.choose_station("sim-full")
    assert prepared.waits_behind == ""


def test_a_run_that_has_begun_is_not_withdrawn(context: Context) -> None:
    entry = enqueue(context.state_folder, Request("flow-record", "sim"), "sim")
    assert queue_rows(context.state_folder)[0].is_left_alone
    entry.claim()
    with pytest.raises(ValueError, match="has begun"):
        withdraw(entry, "Ada Example", "changed my mind")


def test_what_was_refused_at_the_start_is_said_and_the_form_is_there_again(
    prepared: SetUp, monkeypatch: pytest.MonkeyPatch, inline: Inline, pause: Callable[[], None]
) -> None:
    said: list[str] = []
    prepared.context.notify = lambda text, tone: said.append(text)

    def refuse(request: Request) -> Entry:
        raise ValueError("the disk is full; make room")

    monkeypatch.setattr(setup, "begin", refuse)
    pause()
    prepared.start()
    inline.run()
    assert said == ["The run was not started. the disk is full; make room"]
    pause()
    assert prepared.why_not == ""


def test_a_run_of_which_no_word_came_is_not_said_to_be_none(
    prepared: SetUp, monkeypatch: pytest.MonkeyPatch, inline: Inline, pause: Callable[[], None]
) -> None:
    said: list[str] = []
    prepared.context.notify = lambda text, tone: said.append(text)

    def never_heard_of(request: Request) -> Entry:
        raise ValueError(setup.UNSURE)

    monkeypatch.setattr(setup, "begin", never_heard_of)
    pause()
    prepared.start()
    inline.run()
    assert said[0].startswith("Whether the run was started is not known")


def test_what_is_scanned_while_a_run_begins_is_of_the_next_one(
    prepared: SetUp, queued: list[Request], context: Context, inline: Inline, pause: Callable[[], None]
) -> None:
    prepared.form.type_serial("A-1")
    prepared.form.type("analysis", "2 h")
    pause()
    prepared.start()
    prepared.form.type_serial("A-2")
    inline.run()
    assert (queued[0].serial, prepared.form.serial) == ("A-1", "A-2")


def test_what_was_looked_at_before_a_station_file_was_changed_is_not_shown_after(
    prepared: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline: Inline
) -> None:
    background = inline
    prepared._look()  # its answer comes late
    late = background.waiting.pop(0)
    prepared.find()
    background.run()
    choices = prepared.form.choices
    monkeypatch.setattr(setup, "with_states", lambda stations, *_: [replace(one, wrong="old") for one in stations])
    late()
    assert prepared.form.choices is choices


def test_the_first_start_offers_a_run_that_takes_a_minute(
    prepared: SetUp, queued: list[Request], inline: Inline
) -> None:
    assert prepared.is_first
    prepared.form.type("schedule", "nonsense")
    prepared.try_it()
    inline.run()
    asked = queued[0]
    takes_s = examine(asked).takes_s[1]
    assert (asked.procedure, asked.station, asked.seed) == ("flow-accuracy", "sim", 7)
    assert asked.pace is not None
    assert 55.0 < takes_s / asked.pace < 65.0
    assert not prepared.is_first
    assert len(entries(prepared.context.state_folder)) == 1


def test_a_run_that_cannot_be_tried_says_why_and_the_next_start_is_no_try(
    prepared: SetUp, queued: list[Request], monkeypatch: pytest.MonkeyPatch, inline: Inline, pause: Callable[[], None]
) -> None:
    said: list[str] = []
    monkeypatch.setattr(prepared.context, "notify", lambda text, tone: said.append(text))
    prepared.form.type_person("")
    prepared.try_it()
    inline.run()
    assert (queued, said) == ([], ["The run was not started. Say who runs this."])
    prepared.form.type_person("Ada")
    prepared.form.type("analysis", "2 h")
    pause()
    prepared.start()
    inline.run()
    assert prepared.form.fields["analysis"].text == "2 h"


def test_what_was_tried_is_not_what_the_next_run_begins_with(
    prepared: SetUp, queued: list[Request], inline: Inline
) -> None:
    prepared.try_it()
    inline.run()
    form = prepared.form
    assert not [field.name for field in form.fields.values() if field.is_changed]
    assert (form.pace, form.seed) == (USUAL_PACE, "1")
    assert Memory.read(prepared.context.state_folder) == Memory()


def test_a_catheter_that_is_not_the_stations_is_never_taken_without_a_word(prepared: SetUp, inline: Inline) -> None:
    assert not prepared.form.is_asked_for("catheter")
    prepared.form.type_article("catheter", "my.toml")
    assert prepared.form.is_asked_for("catheter")
    prepared.form.choose_station("template")  # whose own files are yet to be made
    prepared.form.article_says("fluid")
    inline.run()
    assert prepared.form.is_asked_for("fluid")


# -- memory


def test_what_was_chosen_last_is_there_again_but_no_serial_fault_or_override(
    prepared: SetUp, queued: list[Request], context: Context, inline: Inline, pause: Callable[[], None]
) -> None:
    prepared.form.choose_protocol("flow-record")
    prepared.form.type("recording", "30 min")
    prepared.form.type_serial("004417")
    prepared.form.add_fault("leak", "", "", "", "")
    prepared.form.choose_pace(None)
    pause()
    prepared.start()
    inline.run()
    again = SetUp(context)
    again.attach(Told())
    inline.run()
    assert again.form.protocol is not None
    assert (again.form.protocol.name, again.form.fields["recording"].text) == ("flow-record", "30 min")
    assert (again.form.serial, again.form.faults, again.form.pace) == ("", [], None)
    assert not again.is_first


@pytest.mark.parametrize("text", ["", "[]", "{", '{"settings": 3, "pace": "fast"}', '{"protocol": "gone"}'])
def test_a_memory_that_cannot_be_read_is_forgotten(context: Context, text: str, inline: Inline) -> None:
    context.state_folder.mkdir()
    (context.state_folder / "set-up.json").write_text(text, "utf-8")
    made = SetUp(context)
    made.attach(Told())
    inline.run()
    assert made.form.protocol is not None
    assert made.form.protocol.name == "flow-accuracy"
