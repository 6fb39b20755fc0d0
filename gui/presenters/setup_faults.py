"""Faults that a simulated station can be given, chosen from the list rather than typed."""

from __future__ import annotations

from dataclasses import dataclass

from bench.station import fault_rows, parse_fault
from gui.presenters.setup_fields import on_screen


@dataclass(frozen=True, slots=True)
class FaultChoice:
    """A fault of the list.

    Attributes
    ----------
    severity, limits : what is taken when none is given, and what may be given, with its unit; no limits, no choice.
    ends : whether it can end before the run, and strike one instrument.
    """

    name: str
    owner: str
    severity: str
    limits: str
    says: str
    ends: bool


def fault_choices() -> tuple[FaultChoice, ...]:
    """Every fault, in the order of the list."""
    return tuple(_choice(**{key.replace(" ", "_"): value for key, value in row.items()}) for row in fault_rows())


def _choice(
    name: str,
    owner: str,
    severity: str,
    ends: str,
    what_happens: str,
    **limits: float,
) -> FaultChoice:
    number, _, unit = severity.partition(" ")
    low, high = limits["from"], limits["to"]
    within = on_screen(f"{low:.9g} to {high:.9g} {unit}".strip()) if low != high else ""
    return FaultChoice(name, owner, number, within, what_happens, ends == "when told")


def fault_text(name: str, severity: str = "", at: str = "", lasts: str = "", instrument: str = "") -> str:
    """The fault as a request names it; raises ValueError with one sentence."""
    text = name + (f":{severity.strip()}" if severity.strip() else "")
    if at.strip() or lasts.strip():
        text += f"@{at.strip() or '0 s'}" + (f"+{lasts.strip()}" if lasts.strip() else "")
    text += f"/{instrument.strip()}" if instrument.strip() else ""
    parse_fault(text)
    return text
