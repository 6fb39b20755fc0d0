"""What a run was: the facts of its header, as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gui.presenters.numbers import NOTHING, Numbers, all_digits, exact_duration, local_date, rough_duration, unit_text
from gui.presenters.review_checks import Fact
from gui.presenters.review_read import Review

UNIT_ENDS = (
    ("_ul_per_kpa", "uL/kPa"),
    ("_ug_per_ml", "ug/mL"),
    ("_g_per_ml", "g/mL"),
    ("_ul_per_h", "uL/h"),
    ("_mpa_s", "mPa s"),
    ("_percent", "%"),
    ("_kpa", "kPa"),
    ("_ul", "uL"),
    ("_mg", "mg"),
    ("_mm", "mm"),
    ("_degc", "degC"),
    ("_c", "degC"),
    ("_n", "N"),
)
"""How names of our numbers end, and the unit that this says."""


def what_it_was(review: Review) -> list[Fact]:
    """Run, article, fluid, people and program, without what the list says already."""
    session, station = review.session, review.station
    simulated = review.row.origin == "simulated"
    said = [
        ("Protocol", f"{review.row.procedure}, method {review.method}"),
        ("Run id", review.row.run_id),
        ("Began", "" if review.row.made is None else local_date(review.row.made)),
        ("On its clock", _own_clock(review)),
        ("Took", rough_duration(review.end_s)),
        ("Station", _titled(station.get("name"), station.get("title"))),
        ("Device", _article(review.dut)),
        ("Catheter", _article(review.catheter)),
        ("Fluid", _fluid(review.fluid)),
        ("Person", " on ".join(str(session[key]) for key in ("user", "host") if session.get(key))),
        ("Software", _software(review.software)),
        ("Seed", str(review.seed) if simulated and review.seed is not None else ""),
        ("Faults", (", ".join(review.faults) or "none") if simulated else ""),
        ("Content digest", review.row.digest),
        ("Judged by code", review.evaluated_by[:16]),
    ]
    return [(what, text) for what, text in said if text]


def parameters(review: Review, numbers: Numbers) -> list[Fact]:
    """The parameters of the protocol, with their units."""
    found = []
    for name, value in review.params.items():
        if name != "schedule":
            found.append(parameter(name, value, numbers))
    if review.schedule is not None:
        found.append(("Schedule", str(review.schedule)))
    return found


def parameter(name: str, value: Any, numbers: Numbers) -> Fact:
    """One parameter, in the unit that its name says."""
    words, unit = name, ""
    if name.endswith("_s") and isinstance(value, (int, float)):
        return name[:-2].replace("_", " ").capitalize(), exact_duration(float(value))
    for end, found in UNIT_ENDS:
        if name.endswith(end):
            words, unit = name.removesuffix(end), unit_text(found)
            break
    return words.replace("_", " ").capitalize(), f"{plain(value, numbers)} {unit}".rstrip()


def plain(value: Any, numbers: Numbers, figures: int = 6) -> str:
    """A value of a header; a number with all that so many figures hold, as it was declared."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        whole = float(value).is_integer() and abs(value) < 1e9
        return numbers.number(float(value), 0 if whole else all_digits(float(value), figures))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(one, numbers, figures)}" for key, one in value.items() if one is not None)
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(one, numbers, figures) for one in value)
    return str(value)


def _own_clock(review: Review) -> str:
    """When a run began on its own clock, where that is not the wall's."""
    start, made = review.row.start, review.row.made
    if start is None or made is None or abs((made - start).total_seconds()) < 60.0:
        return ""
    return local_date(start)


def _titled(name: Any, title: Any) -> str:
    return " · ".join(str(part) for part in (name, title) if part)


def _article(said: Mapping[str, Any]) -> str:
    parts = [str(said[key]) for key in ("maker", "model") if said.get(key)]
    for key, word in (("serial", "SN"), ("lot", "lot")):
        if said.get(key):
            parts.append(f"{word} {said[key]}")
    return " ".join(parts)


def _fluid(said: Mapping[str, Any]) -> str:
    parts = [str(said[key]) for key in ("name",) if said.get(key)]
    if said.get("lot"):
        parts.append(f"lot {said['lot']}")
    if said.get("expiry"):
        parts.append(f"expires {said['expiry']}")
    return ", ".join(parts)


def _software(said: Mapping[str, str]) -> str:
    first = ("pumpbench", "python")
    rest = sorted(set(said) - set(first))
    return ", ".join(f"{name} {said[name]}" for name in (*first, *rest) if name in said)
