"""The simulated programming head, byte for byte, on a pump that only remembers."""

import binascii
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from instruments.simulation.devices.pump_link import PumpLinkDevice, crc16, format_program, parse_program
from instruments.simulation.signal import (
    DeliveryProgram,
    PatientRule,
    PeriodicBolus,
    ProgramError,
    ProgrammedBolus,
    PumpState,
)


@dataclass
class Memory:
    """A pump under test that keeps what it is told."""

    maker: str = "Example Works"
    model: str = "P-20"
    serial: str = "SN 0001"
    firmware: str = "2.1"
    held: DeliveryProgram | None = None
    calls: list = field(default_factory=list)
    alarms: tuple = ()
    answer: str = "ok"
    entries: list = field(default_factory=list)

    def load(self, program, t):
        if program.rate_ul_per_h > 1000.0:
            raise ProgramError("rate 2000 uL/h is above 1000 uL/h")
        self.calls.append(("load", t))
        self.held = program

    def start(self, t):
        self.calls.append(("start", t))

    def stop(self, t):
        self.calls.append(("stop", t))

    def bolus(self, volume_ul, duration_s, kind, t):
        self.calls.append(("bolus", volume_ul, duration_s, kind, t))
        return self.answer

    def state(self, t):
        return PumpState(True, "continuous", 12.3456789012, 19_987.5, self.alarms, t + 3600.0, 1.25)

    def program(self, t):
        return self.held

    def log(self):
        return self.entries


def framed(start, text):
    return f"{start}{text}*{binascii.crc_hqx(text.encode(), 0xFFFF):04X}\r\n".encode()


@pytest.fixture
def pump():
    return Memory()


@pytest.fixture
def head(pump):
    return PumpLinkDevice(pump, latency_s=0.03)


def ask(head, text, now):
    """Send a request without its frame; return the reply's text without frame, checked."""
    head.write(framed(">", text), now)
    reply = head.read_ready(now + 0.5)
    body, _, crc = reply.decode().strip().rpartition("*")
    assert body[:1] == "<"
    assert int(crc, 16) == binascii.crc_hqx(body[1:].encode(), 0xFFFF)
    return body[1:]


def test_the_crc_is_ccitt_false():
    assert crc16(b"123456789") == 0x29B1


@given(st.binary(max_size=100))
def test_the_crc_agrees_with_an_independent_one(data):
    assert crc16(data) == binascii.crc_hqx(data, 0xFFFF)


def test_every_example_of_the_specification_is_what_the_head_says(pump, head):
    page = (Path(__file__).parents[3] / "docs" / "reference" / "pump-link.md").read_text(encoding="utf-8")
    examples = re.findall(r"^    (>.*)\n    (<.*)$", page, re.MULTILINE)
    assert len(examples) >= 10
    now = 0.0
    for request, reply in examples:
        now += 2.0
        pump.answer = "refused:lockout" if "kind=patient" in request else "ok"
        pump.entries = [(1.5, "run"), (60.25, "alarm: stall")]
        head.write(request.encode() + b"\r\n", now)
        assert head.read_ready(now + 1.0).decode() == reply + "\r\n"


def test_identity_is_percent_encoded(head):
    assert ask(head, "1 ID", 1.0) == "1 OK maker=Example%20Works model=P-20 serial=SN%200001 fw=2.1"


def test_a_program_is_stored_and_read_back_with_nine_digits(pump, head):
    assert ask(head, "1 SET mode=continuous rate=41.6666666667 conc=2000 drug=baclofen%20x", 1.0) == "1 OK"
    assert pump.held == DeliveryProgram("continuous", 41.6666666667, drug="baclofen x", concentration_ug_per_ml=2000.0)
    assert ask(head, "2 GET", 2.0) == "2 OK mode=continuous rate=41.6666667 conc=2000 drug=baclofen%20x"


def test_everything_a_program_can_hold_survives_the_wire(pump, head):
    text = (
        "mode=flex steps=0:41.6666667,28800:62.5 boluses=priming:0:120:600,single:3600:50:300 "
        "periodic=20:60:14400:7200 ptm=10:120:3600:8:rolling conc=500 drug=morphine"
    )
    assert ask(head, f"1 SET {text}", 1.0) == "1 OK"
    assert pump.held.patient == PatientRule(10.0, 120.0, 3600.0, 8, "rolling")
    assert pump.held.periodic == PeriodicBolus(20.0, 60.0, 14_400.0, 7200.0)
    assert pump.held.boluses[0] == ProgrammedBolus(0.0, 120.0, 600.0, "priming")
    assert ask(head, "2 GET", 2.0) == f"2 OK {text}"


numbers = st.floats(0.0, 1e6).map(lambda x: float(f"{x:.9g}"))


@given(
    st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5),
    st.lists(st.builds(ProgrammedBolus, numbers, numbers, numbers, st.sampled_from(["single", "bridge"])), max_size=4),
    st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_any_program_is_the_same_after_a_round_trip(steps, boluses, drug):
    program = DeliveryProgram("flex", steps=tuple(steps), boluses=tuple(boluses), drug=drug)
    words = format_program(program).split(" ")
    assert parse_program(dict(word.split("=", 1) for word in words)) == program


def test_the_same_sequence_number_gives_the_same_reply_and_is_not_executed_again(pump, head):
    assert ask(head, "7 BOLUS kind=single vol=50 dur=300", 1.0) == "7 OK granted=1"
    pump.answer = "refused:lockout"
    assert ask(head, "7 BOLUS kind=single vol=50 dur=300", 5.0) == "7 OK granted=1"
    assert len(pump.calls) == 1
    assert ask(head, "8 BOLUS kind=single vol=50 dur=300", 9.0) == "8 OK granted=0 reason=lockout"


def test_a_sequence_number_that_does_not_rise_is_refused_unless_it_is_an_id(pump, head):
    ask(head, "7 STOP", 1.0)
    assert ask(head, "7 RUN", 2.0).startswith("7 ERR code=6")
    assert ask(head, "3 RUN", 3.0).startswith("3 ERR code=6")
    assert ask(head, "1 ID", 4.0).startswith("1 OK maker=")
    assert ask(head, "2 STOP", 5.0) == "2 OK"
    assert [call[0] for call in pump.calls] == ["stop", "stop"]


def test_a_request_while_another_is_answered_gets_busy_and_may_be_repeated(pump, head):
    head.write(framed(">", "1 STOP") + framed(">", "2 STOP"), 1.0)
    assert head.read_ready(2.0) == framed("<", "1 OK") + framed("<", "2 BUSY")
    assert ask(head, "2 STOP", 3.0) == "2 OK"
    assert len(pump.calls) == 2


def test_a_damaged_request_gets_no_answer_and_does_nothing(pump, head):
    whole = framed(">", "1 STOP")
    for damaged in (whole.replace(b"STOP", b"STOQ"), whole[1:], whole.replace(b"*", b"+"), b">\xff*0000\r\n", b"\r\n"):
        head.write(damaged, 1.0)
    for text in ("0 STOP", "1000000 STOP", "x STOP", ""):
        head.write(framed(">", text), 2.0)
    assert head.read_ready(3.0) == b""
    assert pump.calls == []


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        ("HELP", 1),
        ("stop", 1),
        ("SET", 2),
        ("SET mode=fast", 2),
        ("SET mode=continuous", 2),
        ("SET mode=continuous rate=", 2),
        ("SET mode=continuous rate=nan", 2),
        ("SET mode=continuous rate=1_0", 2),
        ("SET mode=stopped rate=1", 2),
        ("SET mode=flex steps=0:1:2", 2),
        ("SET mode=continuous rate=1 rate=2", 2),
        ("SET mode=continuous rate=1 colour=red", 2),
        ("SET mode=continuous  rate=1", 2),
        ("SET mode=continuous rate=1 boluses=huge:0:1:1", 2),
        ("SET mode=continuous rate=1 ptm=1:1:1:1.5:calendar", 2),
        ("SET mode=continuous rate=2000", 4),
        ("BOLUS kind=bridge vol=1 dur=1", 2),
        ("BOLUS kind=single vol=1", 2),
        ("GET", 3),
        ("RUN", 3),
        ("LOG from=-1", 2),
        ("STOP now=1", 2),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_code_and_changes_nothing(pump, head, request_text, code):
    reply = ask(head, f"1 {request_text}", 1.0)
    assert reply.startswith(f'1 ERR code={code} text="')
    assert " " not in reply.partition("text=")[2]
    assert pump.calls == []


def test_a_bolus_out_of_range_is_an_error_and_a_refusal_is_a_reply(pump, head):
    pump.answer = "refused:range"
    assert ask(head, "1 BOLUS kind=single vol=1 dur=1", 1.0).startswith("1 ERR code=4")
    pump.answer = "refused:daily-maximum"
    assert ask(head, "2 BOLUS kind=patient vol=1 dur=1", 2.0) == "2 OK granted=0 reason=daily-maximum"


def test_the_status_has_the_pump_s_own_counts_and_clock(pump, head):
    pump.alarms = ("low-reservoir", "stall")
    head.write(framed(">", "1 TIME"), 1.0)
    head.read_ready(1.5)
    assert ask(head, "2 STAT", 1.75) == (
        "2 OK run=1 mode=continuous delivered=12.3456789 reservoir=19987.5 alarms=low-reservoir,stall "
        "clock=3601.75 stroke=1.25"
    )


def test_an_alarm_is_announced_once_and_again_after_it_has_gone(pump, head):
    assert head.read_ready(0.0) == b""
    pump.alarms = ("stall",)
    assert head.next_output_time() == pytest.approx(1.0)
    assert head.read_ready(1.0) == framed("!", "1 EVT alarm=stall")
    assert head.read_ready(5.0) == b""
    pump.alarms = ()
    assert head.read_ready(10.0) == b""
    pump.alarms = ("stall", "low reservoir")
    assert head.read_ready(20.0) == framed("!", "2 EVT alarm=low%20reservoir") + framed("!", "3 EVT alarm=stall")


def test_the_log_is_read_in_pages_on_the_pump_s_clock(pump, head):
    pump.entries = [(float(k), f"entry {k}; done") for k in range(20)]
    first = ask(head, "1 LOG from=0", 100.0)
    assert first.startswith("1 OK n=16 next=16 entries=3600%2Centry%200%3B%20done;3601%2C")
    assert ask(head, "2 LOG from=16", 101.0).startswith("2 OK n=4 next=20 entries=3616%2C")
    assert ask(head, "3 LOG from=20", 102.0) == "3 OK n=0 next=20 entries="


def test_a_restart_forgets_the_sequence_and_the_pump_goes_on(pump, head):
    ask(head, "7 STOP", 1.0)
    head.reboot(2.0)
    head.write(framed(">", "8 STOP"), 2.5)
    assert head.read_ready(3.5) == framed("!", "1 EVT boot=1")
    assert ask(head, "1 STOP", 4.0) == "1 OK"


def test_a_frozen_status_repeats_itself(pump, head):
    first = ask(head, "1 STAT", 1.0)
    head.frozen = True
    assert ask(head, "2 STAT", 50.0)[1:] == first[1:]
    head.frozen = False
    assert ask(head, "3 STAT", 60.0)[1:] != first[1:]


def test_a_program_keeps_what_it_was_made_of():
    program = DeliveryProgram("stopped")
    assert parse_program({"mode": "stopped"}) == program
    assert replace(program, mode="continuous", rate_ul_per_h=5.0) == parse_program({"mode": "continuous", "rate": "5"})


@given(st.floats(0.0, 1e7))
@example(1.26)  # 1.26 + 1 - 1.26 is less than 1
def test_the_head_looks_for_alarms_at_the_moment_that_it_announces(t):
    """Whatever the last bit of a sum says: a reader that waits for that moment would wait for ever."""
    head = PumpLinkDevice(Memory())
    head.advance(t)
    announced = head.next_event()
    head.advance(announced)
    assert head.next_event() > announced
