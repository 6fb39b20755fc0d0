"""What stands on the wire of a New Era pump: frames of both modes, numbers of four digits."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.drivers.newera_ne1000 import TOLERANCE
from instruments.newera_messages import (
    Answer,
    Counts,
    counts,
    digits,
    framed,
    frames,
    heard,
    last_frame,
    nearest_rate,
    same,
)
from instruments.simulation.devices.newera.wording import packet

# -- frames


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20), st.data())
def test_a_packet_with_a_damaged_byte_is_none(text, draw):
    whole = packet(b"00S" + text.encode())
    assert heard(whole).data == text
    damaged = bytearray(whole)
    damaged[draw.draw(st.integers(0, len(whole) - 1))] ^= draw.draw(st.integers(1, 255))
    assert heard(bytes(damaged)) is None or not 7 <= damaged[1] < 48


@given(st.lists(st.sampled_from([packet(b"00S"), packet(b"00IRUN\x31"), b"\x0200S\x03", b"\x02\x15", b"xy\x03"])))
def test_whole_frames_are_found_among_whatever_lies_between(pieces):
    found = list(frames(b"".join(pieces)))
    assert len(found) >= sum(piece[0] == 2 and len(piece) > 2 for piece in pieces) - pieces.count(b"\x02\x15")
    assert all(heard(frame) for frame in found)


def test_a_packet_is_whole_only_with_its_last_byte_whatever_its_check_sum():
    for k in range(2000):  # among these some check sums hold an ETX
        whole = packet(f"00S{k}".encode())
        assert last_frame(whole) == (whole, False)
        assert all(last_frame(whole[:n]) == (None, True) for n in range(1, len(whole)))


def test_the_frames_of_the_manual():
    assert framed("SAF0", safe=True) == bytes.fromhex("02 08 53 41 46 30 55 43 03")
    assert heard(bytes.fromhex("02 07 30 30 53 AA A6 03"))[:3] == (0, "S", "")
    assert framed("RAT 1", safe=False) == b"RAT 1\r"


# -- numbers


@given(st.floats(1.0, 1e7))
def test_from_a_microlitre_an_hour_on_some_unit_says_a_rate_within_a_thousandth(rate):
    text, set_ul_per_h = nearest_rate(rate)
    assert set_ul_per_h == pytest.approx(rate, rel=TOLERANCE)
    assert re.fullmatch(r"(?=[\d.]{1,5}[UM])(?:\d\.?){1,4}(UH|UM|MH|MM)", text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0004, None), (0.001, "0.001"), (9.9994, "9.999"), (9.9996, "10.00"), (123.456, "123.5"), (9999.4, "9999"),
     (9999.6, None)],
)  # fmt: skip
def test_a_number_has_four_digits(value, text):
    assert digits(value) == text


# -- settings and counts


@pytest.mark.parametrize(
    ("held", "value", "is_same"),
    [("41.67UH", "41.67UH", True), ("41.670UH", "41.67UH", True), ("41.67UM", "41.67UH", False), ("RAT", "RAT", True),
     ("5.000UL", "5.000ML", False), ("10", "10", True), ("10", "1", False), ("INF", "WDR", False), (".", ".1", False)],
)  # fmt: skip
def test_two_settings_are_the_same_as_numbers_with_their_unit_or_as_words(held, value, is_same):
    assert same(held, value) == is_same


@pytest.mark.parametrize(
    ("data", "expected"),
    [("I0.123W0.000ML", Counts(123.0, 0.0, 1.0, "S")), ("I9990.W12.34UL", Counts(9990.0, 12.34, 1.0, "S")),
     ("I12.34W0.000UL", Counts(12.34, 0.0, 0.01, "S"))],
)  # fmt: skip
def test_counts_are_in_microlitres_and_know_what_their_last_digit_is_worth(data, expected):
    assert counts(Answer(0, "S", "", data)) == pytest.approx(expected) or counts(Answer(0, "S", "", data)) == expected


def test_a_count_fell_only_by_more_than_its_last_digit():
    before = Counts(10.0, 5.0, 0.01, "S")
    assert not Counts(9.995, 5.0, 0.01, "S").fell_from(before)
    assert Counts(9.98, 6.0, 0.01, "S").fell_from(before)
    assert Counts(11.0, 4.98, 0.01, "S").fell_from(before)
