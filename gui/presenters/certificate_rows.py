"""The calibrations that a station file states, as rows: what is due, and how sure each is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gui.presenters.numbers import NOTHING, Numbers, digits_of, with_unit
from gui.presenters.station_check import Certificate
from gui.presenters.tone import Tone

SOON_DAYS = 30
"""A calibration that is due so soon is to be thought of."""


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """The calibration of a channel as a row."""

    channel: str
    certificate: str
    due: str
    left: str
    u: str
    tone: Tone


def certificate_row(one: Certificate, today: date, numbers: Numbers) -> CertificateRow:
    """The calibration of a channel on a day."""
    stated = one.calibration
    if stated is None:
        return CertificateRow(one.channel, "none", NOTHING, "", NOTHING, Tone.MUTED)
    days = (stated.due - today).days
    tone = Tone.FAIL if days < 0 else Tone.WARN if days <= SOON_DAYS else Tone.PLAIN
    left = f"overdue for {-days} d" if days < 0 else "due today" if days == 0 else f"in {days} d"
    told = [with_unit(numbers.number(stated.u, digits_of(stated.u)), one.unit)] if stated.u else []
    if stated.u_percent:
        told.append(with_unit(numbers.number(stated.u_percent, digits_of(stated.u_percent)), "%"))
    return CertificateRow(one.channel, stated.certificate, f"{stated.due}", left, " and ".join(told) or NOTHING, tone)
