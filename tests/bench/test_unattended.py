"""Messages, the stack light, and a computer that stays awake."""

import http.server
import json
import math
import socketserver
import threading

import pytest

from bench.recorder import Recorder
from bench.session import check, conduct
from bench.station import OpenStation, Station
from bench.unattended import messages, stack_light
from bench.unattended.awake import awake
from bench.unattended.messages import Facts, Messenger, occasion_of
from bench.unattended.stack_light import StackLight
from bench.unattended.tables import NotifyTable, PromptsTable, StackLightTable
from data.journal import JournalWriter
from data.run import Run
from data.tomlfile import FileError, explain
from instruments.clock import VirtualClock, WallClock
from instruments.instrument import InstrumentTimeout

HEADER = {"run_id": "r", "procedure": "p", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00Z"}
FACTS = Facts("lab3", "flow-accuracy", "r-1", "runs/r-1.h5")
TRIP = {"action": "stop", "text": 'interlock "outlet-pressure": it was 151 kPa'}


@pytest.fixture
def webhook():
    """A web server and what was posted to it."""
    posted = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", posted
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def mail_server():
    """A mail server that takes everything, and the messages it took."""
    taken = []

    class Smtp(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                word = line.split()[0].upper()
                if word == b"DATA":
                    self.wfile.write(b"354 go\r\n")
                    taken.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", taken
    server.shutdown()
    server.server_close()
    thread.join()


def messenger(*tables):
    failed = []
    return Messenger(tables, FACTS, VirtualClock(), failed.append), failed


def test_a_trip_is_posted_to_the_webhook(webhook):
    url, posted = webhook
    tells, failed = messenger(NotifyTable(webhook=url))
    tells.hear("interlock", 61.0, TRIP)
    tells.finish()
    assert failed == []
    assert [(said["occasion"], said["station"], said["text"]) for said in posted] == [
        ("interlock", "lab3", TRIP["text"])
    ]


def test_a_waiting_prompt_and_the_end_are_mailed(mail_server):
    server, taken = mail_server
    tells, failed = messenger(NotifyTable(email=("a@lab", "b@lab"), smtp=server, sender="bench@lab"))
    tells.hear("prompt", 5.0, {"key": "weight", "text": "Put the weight on the pan."})
    tells.finish()
    tells.hear("status", 9.0, {"status": "completed", "reason": "all steps done"})
    tells.finish()
    assert failed == []
    assert "Subject: [lab3] prompt: flow-accuracy" in taken[0]
    assert "To: a@lab, b@lab" in taken[0]
    assert "ended completed: all steps done" in taken[1]


def test_a_server_that_is_not_there_is_told_and_stops_nothing():
    tells, failed = messenger(NotifyTable(webhook="http://127.0.0.1:9/hook"))
    tells.hear("interlock", 1.0, TRIP)
    tells.finish()
    assert "did not reach http://127.0.0.1:9/hook" in failed[0]


def test_what_chatters_is_told_once_and_then_counted(webhook):
    url, posted = webhook
    tells, _ = messenger(NotifyTable(webhook=url, on=("outage",)))
    for t in range(0, 700, 100):
        tells.hear("outage", float(t), {"state": "begin", "text": "no sample"})
        tells.finish()
    assert [said["text"] for said in posted] == ["no sample", "no sample (5 more of this kind before)"]


def hold(name="outlet-pressure"):
    return ("interlock", {"name": name, "action": "hold", "text": f"{name} holds"})


def ask(key):
    return ("prompt", {"key": key, "text": f"{key}?"})


RESET = ("reset", {"name": "outlet-pressure"})
END = ("status", {"status": "stopped-by-interlock", "reason": "wet"})


@pytest.fixture
def told(monkeypatch):
    """Texts of the messages that a run of eight hours with these records sends, with ten minutes' quiet."""

    def after(*records, on=("interlock", "outage", "prompt", "end")):
        sent, clock = [], VirtualClock()
        monkeypatch.setattr(messages, "deliver", lambda table, message: sent.append((message.utc, message.text)))
        tells = Messenger([NotifyTable(webhook="http://lab/hook", on=on)], FACTS, clock, print)

        def run():
            for minute, (kind, fields) in records:
                clock.sleep_until(60.0 * minute)
                tells.hear(kind, clock.now(), fields)
            clock.sleep_until(8 * 3600.0)
            tells.finish()

        clock.run(run)
        return [text for _, text in sorted(sent)]

    return after


def test_a_second_prompt_that_waits_all_night_is_told_when_the_quiet_is_over(told):
    assert told((0, ask("a")), (3, ("answer", {"key": "a"})), (4, ask("b"))) == [
        "waits for an answer: a?",
        "waits for an answer: b?",
    ]


def test_on_the_wall_clock_what_was_kept_is_told_by_a_thread_of_its_own(monkeypatch):
    sent, clock = [], WallClock(pace=6000.0)  # ten minutes in a tenth of a second
    both = clock.event()

    def deliver(table, message):
        sent.append(message.text)
        if len(sent) == 2:
            both.set()

    monkeypatch.setattr(messages, "deliver", deliver)
    tells = Messenger([NotifyTable(webhook="http://lab/hook")], FACTS, clock, print)
    for key in ("a", "b"):
        tells.hear("prompt", clock.now(), ask(key)[1])
    assert clock.wait(both, clock.now() + 60000.0)
    tells.finish()
    assert sent == ["waits for an answer: a?", "waits for an answer: b?"]


def test_prompts_that_somebody_answers_at_the_bench_are_not_told_afterwards(told):
    several = [(at, one) for k in range(4) for at, one in ((k, ask(k)), (k + 0.5, ("answer", {"key": k})))]
    assert told(*several, (20, ask("late"))) == [
        "waits for an answer: 0?",
        "waits for an answer: late? (3 more of this kind before)",
    ]


def test_an_interlock_that_holds_again_after_its_reset_is_told(told):
    assert told((0, hold()), (2, RESET), (3, hold()), (4, RESET), (5, hold())) == [
        "outlet-pressure holds",
        "outlet-pressure holds (1 more of this kind before)",
    ]
    assert told((0, hold()), (2, RESET), (3, hold()), (4, RESET)) == ["outlet-pressure holds"]


def test_what_still_stands_is_told_in_one_message(told):
    assert told((0, hold()), (1, hold("leak")), (2, hold("force")), (30, hold("late"))) == [
        "outlet-pressure holds",
        "leak holds; force holds",
        "late holds",
    ]


def test_an_outage_that_lasts_is_told_and_one_that_ended_is_not(told):
    begins, ends = ({"instrument": "daq", "state": state, "text": state} for state in ("begin", "end"))
    flaps = [(0, ("outage", begins)), (1, ("outage", ends)), (2, ("outage", begins))]
    assert told(*flaps, (3, ("outage", ends))) == ["begin"]
    assert told(*flaps) == ["begin", "begin"]


@pytest.mark.parametrize(
    ("on", "last"),
    [(("interlock",), ["leak holds"]), (("interlock", "end"), ["the run ended stopped-by-interlock: wet"])],
)
def test_a_run_that_ends_within_the_quiet_leaves_nobody_behind(told, on, last):
    assert told((0, hold()), (1, hold("leak")), (2, ask("x")), (3, END), on=on) == ["outlet-pressure holds", *last]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("interlock", {"action": "log", "text": "warm"}),
        ("outage", {"state": "end", "text": "answers again"}),
        ("step", {"state": "begin"}),
    ],
)
def test_what_needs_nobody_is_no_occasion(kind, fields):
    assert occasion_of(kind, fields) is None


def test_nobody_is_given_less_than_a_minute_to_answer(tmp_path):
    with pytest.raises(ValueError) as refused:
        PromptsTable.model_validate({"longest_wait": "30 s"})
    assert "longest_wait" in explain(tmp_path / "lab.toml", refused.value, model=PromptsTable, prefix="prompts")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "either a webhook or e-mail"),
        ({"webhook": "lab.example"}, "is no web address"),
        ({"email": ("a@lab",)}, 'smtp = "server:port"'),
    ],
)
def test_a_table_that_leads_nowhere_is_refused(table, words, tmp_path):
    with pytest.raises(ValueError) as refused:
        NotifyTable.model_validate(table)
    assert words in explain(tmp_path / "lab.toml", refused.value, model=NotifyTable, prefix="notify")


class Lamps:
    """An instrument with lamps."""

    def __init__(self, clock):
        self.clock, self.lit, self.tries, self.closed = clock, {}, 0, False
        self.broken_until_s = -math.inf
        self.before = lambda: None

    def set_valve(self, name, on):
        self.tries += 1
        self.before()
        if self.clock.now() < self.broken_until_s:
            raise InstrumentTimeout("daq", "no answer")
        self.lit[name] = on

    def valves(self):
        return dict(self.lit)

    def close(self):
        self.closed = True

    @property
    def on(self):
        return {name for name, lit in self.lit.items() if lit}


class Rig:
    """A stack light on a clock, its lamps and what it told."""

    def __init__(self, clock):
        self.clock, self.lamps, self.told, self.undelivered = clock, Lamps(clock), [], None
        self._opened = OpenStation(Station(name="s", instruments={}, roles={}), None, clock, {"daq": self.lamps})

    def shows(self, *records):
        """Have it hear records, a second apart, and finish; something else may be done in between."""

        def main():
            table = StackLightTable(red="daq.red", amber="daq.amber", green="daq.green")
            light = StackLight(table, self._opened, lambda level, text: self.told.append(text))
            for record in records:
                if callable(record):
                    record()
                    continue
                light.hear(record[0], self.clock.now(), record[1])
                self.clock.sleep(1.0)
            self.undelivered = light.finish()

        self.clock.run(main)
        return self.lamps.on


@pytest.fixture
def rig():
    return Rig(VirtualClock())


@pytest.mark.parametrize(
    ("records", "lit"),
    [
        ([("step", {})], {"green"}),
        ([("step", {}), ("prompt", {"key": "a"})], {"amber"}),
        ([("prompt", {"key": "a"}), ("prompt", {"key": "b"}), ("answer", {"key": "a"})], {"amber"}),
        ([("prompt", {"key": "a"}), ("answer", {"key": "a"})], {"green"}),
        ([("pause", {"state": "begin"}), ("pause", {"state": "end"})], {"green"}),
        ([("step", {}), ("interlock", TRIP), ("prompt", {"key": "a"})], {"red"}),
        ([("interlock", TRIP), ("reset", {})], {"green"}),
        ([("interlock", TRIP), ("status", {"status": "stopped-by-interlock"})], {"red"}),
        ([("step", {}), ("status", {"status": "completed"})], set()),
        ([("step", {}), ("status", {"status": "error"})], {"red"}),
    ],
)
def test_the_light_shows_the_state_of_the_run(rig, records, lit):
    assert rig.shows(*records) == lit
    assert rig.undelivered == ""
    assert rig.lamps.closed


def test_lamps_that_cannot_be_switched_are_told_once_and_tried_again(rig):
    rig.lamps.broken_until_s = 5.0
    assert rig.shows(*[("step", {})] * 10) == {"green"}
    assert rig.told == ['the stack light does not show the run\'s state: instrument "daq": no answer']
    assert rig.undelivered == ""


def test_lamps_that_stay_broken_are_tried_less_and_less_often_and_told_at_the_end(rig):
    rig.lamps.broken_until_s = math.inf
    rig.shows(*[("step", {}), ("outage", {"state": "begin"})] * 1800)
    assert rig.lamps.tries < 70
    assert len(rig.told) == 1
    assert "does not show the run's state" in rig.undelivered


@pytest.mark.parametrize("last", [("status", {"status": "stopped-by-interlock"}), ("safe-state", {"cause": "wet"})])
def test_lamps_that_went_dark_as_the_bench_went_safe_are_lit_again(rig, last):
    assert rig.shows(("interlock", TRIP), rig.lamps.lit.clear, last) == {"red"}


def test_lamps_that_an_outage_has_reset_are_lit_again(rig):
    away, back = ({"instrument": "daq", "state": state} for state in ("begin", "end"))
    assert rig.shows(("interlock", TRIP), ("outage", away), rig.lamps.lit.clear, ("outage", back)) == {"red"}


def test_lamps_that_hang_hold_up_neither_the_record_nor_the_end_of_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(stack_light, "LAST_S", 0.2)
    rig = Rig(clock := WallClock())
    answers, asked = clock.event(), clock.event()

    def hang():
        asked.set()
        clock.wait(answers)

    rig.lamps.before = hang
    with JournalWriter(tmp_path / "a.journal", HEADER) as writer:
        recorder = Recorder(writer, clock, rig.told.append)
        table = StackLightTable(red="daq.red")
        light = StackLight(table, rig._opened, lambda level, text: rig.told.append(text))
        recorder.listen(light.hear)
        recorder.record("outage", clock.now(), {"instrument": "daq", "state": "begin"}, urgent=True)
        assert clock.wait(asked, clock.now() + 10.0)
        recorder.record("interlock", clock.now(), TRIP, urgent=True)
        recorder.close()
        assert writer.synced_seq == 2  # the header, and both
        assert light.finish() == "the stack light does not show the run's state: no answer within 0.2 s"
        answers.set()


LAMPS = {
    "[instruments.daq.valves]": """[stack_light]
red = "daq.red"
green = "daq.green"

[instruments.daq.valves]
red = "cDAQ1Mod6/port0/line4"
green = "cDAQ1Mod6/port0/line5\"""",
}
HOT = {'channel = "daq.bath_temperature"\nhigh = "42 degC"': 'channel = "daq.bath_temperature"\nhigh = "20 degC"'}


def test_the_red_lamp_is_lit_when_an_interlock_has_stopped_the_run_and_the_bench_is_confirmed_safe(
    tmp_path, sim_station, short_request
):
    lit = {}

    def look(opened):
        lit.update((line, opened.rig.daq.output(f"cDAQ1Mod6/port0/line{line}")) for line in (4, 5))

    station = sim_station(tmp_path, LAMPS | HOT)
    result = conduct(short_request(station, out=tmp_path / "runs"), afterwards=look)
    assert str(result.end.status) == "stopped-by-interlock"
    assert lit == {4: 1.0, 5: 0.0}
    with Run.open(result.run_file) as run:
        said = {event.fields["what"]: event.fields["confirmed"] for event in run.records("confirm")}
    assert said["daq: valves outlet released, vent released, diverter released, read back"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({'red = "daq.red"': 'red = "daq.rad"'}, 'key "stack_light.red": there is no output "daq.rad"; did you mean'),
        ({'red = "daq.red"': 'red = "box.red"'}, 'key "stack_light.red": there is no output "box.red"'),
        ({'valve = "daq.vent"': 'valve = "daq.red"'}, 'key "safe_state": "daq.red" is a lamp of the stack light'),
    ],
)
def test_a_lamp_that_is_none_and_one_that_the_safe_state_drives_are_refused(
    changes, words, tmp_path, sim_station, short_request
):
    station = sim_station(tmp_path, LAMPS | changes)
    with pytest.raises(FileError) as refused:
        check(short_request(station, out=tmp_path / "runs"))
    assert words in str(refused.value)


def test_staying_awake_is_asked_for_and_let_go(tmp_path, monkeypatch):
    inhibit = tmp_path / "systemd-inhibit"
    inhibit.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexec cat\n')
    inhibit.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with awake("run 7") as taken:
        assert taken
    assert "--why=run 7 --mode=block cat" in (tmp_path / "asked").read_text()


def test_a_system_that_refuses_to_stay_awake_is_no_obstacle(tmp_path, monkeypatch):
    refusing = tmp_path / "systemd-inhibit"
    refusing.write_text("#!/bin/sh\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with awake("run 7") as taken:
        assert not taken
