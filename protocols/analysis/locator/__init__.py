"""Rig or pump?  Where the trouble of a run comes from, by everything that its file shows: docs/explanation/locator.md.

A pure function of the run file.  It changes no verdict: it says where to look first, and what to do next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from data.checks import Evaluation, Verdict
from data.run import Run
from protocols.analysis.locator.flows import WEIGHED, pump_percent
from protocols.analysis.locator.likelihood import (
    NO_CAUSES,
    NOTHING,
    UNKNOWN,
    Score,
    explained,
    score,
    scores,
    strength,
    visible,
)
from protocols.analysis.locator.recorded import of_record
from protocols.analysis.locator.shown import AT_LIMIT, Shown, by_name, of_checks
from protocols.analysis.locator.signatures import Signature, Table, table
from protocols.analysis.locator.words import Cause, Location, Whose

__all__ = ["NOTHING", "UNKNOWN", "Cause", "Location", "Shown", "locate", "ranked", "shows"]

TIED = 1.0
"""Log-likelihoods nearer to each other than this tell nothing."""

ORDER: Sequence[Whose] = ("nobody", "rig", "record", "catheter", "dut")
"""Among causes that are tied: what is cheapest to look at, and nothing is blamed on a pump that may be the bench's."""

MOSTLY_PERCENT = 50.0
"""A line that is closed for a whole run takes more of its flow than this."""

SAYS = {NOTHING: "nothing is odd", UNKNOWN: "something is odd, and no cause that is known explains it"}
OBJECTS = (Verdict.FAIL, Verdict.INVALID)
GO_ON = "none: nothing is odd"
AGAIN = "repeat the run: nothing that this bench measures separates the two"
NOTHING_IS_SURE = 2.0
"""With everything else so far behind, nothing is to be done."""

COSTS = ("look", "read", "check", "run")


def locate(run: Run, evaluation: Evaluation) -> Location:
    """Rank the causes of what a run shows.

    Parameters
    ----------
    evaluation : what the run's own procedure says of it, as stored in the file or judged again.
    """
    return ranked(shows(run, evaluation), objections=_objections(evaluation))


def _objections(evaluation: Evaluation) -> tuple[str, ...]:
    """Checks that make the verdict a failure or an invalid one."""
    return tuple(one.name for one in evaluation.checks if one.verdict in OBJECTS and not one.optional)


def shows(run: Run, evaluation: Evaluation) -> tuple[Shown, ...]:
    """Every quantity of the table that a run shows."""
    known = table()
    recorded = (replace(one, title=known.quantity[one.name].title) for one in of_record(run, evaluation))
    weighed = dict.fromkeys(WEIGHED, pump_percent(run))  # a pump that declares no limit is weighed all the same
    return tuple(by_name([*recorded, *of_checks(evaluation.checks, known, weighed)]).values())


def ranked(shown: Sequence[Shown], known: Table | None = None, objections: Sequence[str] = ()) -> Location:
    """Rank the causes of quantities that were shown.

    Parameters
    ----------
    objections : names of the checks that count and failed or are invalid; with any, something is odd.
    """
    known = known or table()
    found = {one.name: one for one in shown}
    every = scores(found, known, objected=bool(objections))
    tried = [one for one in every if one.cause in NO_CAUSES or visible(known.cause[one.cause], found)]
    best = tried[0].log_likelihood
    unseen = [one for one in every if one not in tried]
    alike = {} if tried[0].cause == NOTHING else _alike(unseen, best, found, known)
    whole = math.fsum(math.exp(one.log_likelihood - best) for one in tried)
    whole += math.fsum(math.exp(min(0.0, each - best)) for each in alike.values())
    causes = [_cause(one, best, whole, found, known) for one in tried]
    near = sorted(
        (one for one in causes if one.behind < TIED),
        key=lambda one: (_turn(one), one.behind, one.name),
    )
    causes = [*near, *causes[len(near) :]]
    return Location(
        causes=tuple(causes),
        tied=tuple(one.name for one in near),
        next_action=_of_the_unseen(causes[0], alike, known) or _next_action(causes, found, known, objections),
        shown=tuple(shown),
        unseen=tuple(one.cause for one in unseen),
        alike=tuple(alike),
        whose=_whose(causes[0], alike, known),
        besides=_besides(causes[0], found, known),
        objections=tuple(objections),
    )


def _turn(one: Cause) -> float:
    """Place among causes that are tied; what nobody knows comes just before the pump."""
    return ORDER.index("dut") - 0.5 if one.name == UNKNOWN else ORDER.index(one.owner)


def _alike(unseen: Sequence[Score], best: float, shown: Mapping[str, Shown], known: Table) -> dict[str, float]:
    """Causes that the run could not have shown and that look the same, with their log-likelihood.

    What such a cause may move costs it nothing: what would have told it is not there to speak for it.  It leaves
    nothing odd unexplained.
    """
    found = {}
    for one in unseen:
        cause = known.cause[one.cause]
        likely = score(one.cause, cause, shown, known, may_costs=0.0).log_likelihood
        if cause.stops and _goes_on(cause, one.size_percent, shown):
            continue
        measured = [sign for sign in cause.has_to_go_with if sign.quantity in shown]
        if any(strength(shown[sign.quantity].z, sign) < AT_LIMIT for sign in measured):
            continue
        left = [each for each, fits in explained(cause, shown) if not fits and abs(each.z) >= AT_LIMIT]
        if not left and best - likely < TIED:
            found[one.cause] = likely
    return found


def _whose(first: Cause, alike: Iterable[str], known: Table) -> tuple[Whose, ...]:
    """Whose the likeliest cause is, and whose the causes are that look the same."""
    others = {known.cause[one].owner for one in alike} - {first.owner}
    return (first.owner, *(one for one in ORDER if one in others))


def _goes_on(cause: Signature, size_percent: float | None, shown: Mapping[str, Shown]) -> bool:
    """Whether the flow went on: most of it came, and the run would have shown a change."""
    changes = [shown[one] for one in cause.change if one in shown]
    quiet = bool(changes) and all(abs(one.z) < AT_LIMIT for one in changes)
    return quiet and size_percent is not None and size_percent < MOSTLY_PERCENT


def _besides(first: Cause, shown: Mapping[str, Shown], known: Table) -> str:
    """A second cause that explains what the first leaves; empty where that is nothing."""
    if first.name in NO_CAUSES or not first.leaves:
        return ""
    signature = known.cause[first.name]
    rest = {name: one for name, one in shown.items() if signature.side(name) is None}
    tried = scores(rest, known)
    second = next(one for one in tried if one.cause in NO_CAUSES or visible(known.cause[one.cause], rest))
    return "" if second.cause in NO_CAUSES else second.cause


def _cause(one: Score, best: float, whole: float, shown: Mapping[str, Shown], known: Table) -> Cause:
    behind = best - one.log_likelihood
    weight = math.exp(-behind) / whole
    if one.cause in NO_CAUSES:
        odd = tuple(each for each in shown.values() if abs(each.z) >= AT_LIMIT)
        return Cause(one.cause, "nobody", SAYS[one.cause], behind, weight, None, (), odd, ())
    signature = known.cause[one.cause]
    judged = list(explained(signature, shown))
    return Cause(
        one.cause,
        signature.owner,
        signature.says,
        behind,
        weight,
        one.size_percent,
        tuple(each for each, fits in judged if fits),
        tuple(each for each, fits in judged if not fits and abs(each.z) >= AT_LIMIT),
        tuple(_lacking(signature, shown)),
    )


def _lacking(cause: Signature, shown: Mapping[str, Shown]) -> list[Shown]:
    """What the cause has to move and what is as usual; of a group in which one is there, nothing."""
    found = []
    for group in cause.has_to_show:
        there = [sign for sign in group if sign.quantity in shown]
        if there and all(strength(shown[sign.quantity].z, sign) < 2.0 for sign in there):
            found.append(shown[there[0].quantity])
    return found


# ---------------------------------------------------------------------------------------------------- what to do next


def _next_action(
    causes: Sequence[Cause], shown: Mapping[str, Shown], known: Table, objections: Sequence[str] = ()
) -> str:
    """The cheapest test of a quantity that one of the first two causes moves and the other does not.

    One that a cause has to move goes before one that it may, of equal cost one that the run did not show before one
    that it did.
    """
    first, second = causes[0], causes[1] if len(causes) > 1 else None
    if first.name == NOTHING and (second is None or second.behind > NOTHING_IS_SURE):
        return GO_ON
    if first.name == UNKNOWN:
        return _of_the_oddest(shown, known, objections)
    if second is None:
        return AGAIN
    pair = [None if one.name in NO_CAUSES else known.cause[one.name] for one in (first, second)]
    tests = [
        (not has_to, COSTS.index(quantity.cost), name in shown, number, quantity.test)
        for number, (name, quantity) in enumerate(known.quantity.items())
        for parts, has_to in [_parts_them(name, pair)]
        if parts
    ]
    if not tests:
        return AGAIN
    return min(tests)[-1]


def _of_the_unseen(first: Cause, alike: Iterable[str], known: Table) -> str:
    """The cheapest test that shows a cause that looks the same and comes before the first; empty where none does."""
    signs = [
        sign.quantity
        for name in alike
        if ORDER.index(known.cause[name].owner) < ORDER.index(first.owner)
        for group in known.cause[name].has_to_show[:1]
        for sign in group
    ]
    cheapest = min((known.quantity[one] for one in signs), key=lambda one: COSTS.index(one.cost), default=None)
    return "" if cheapest is None else cheapest.test


def _of_the_oddest(shown: Mapping[str, Shown], known: Table, objections: Sequence[str]) -> str:
    """What shows the quantity that is farthest from honest once more; the checks that object, where none is far."""
    oddest = max(shown.values(), key=lambda one: abs(one.z), default=None)
    if oddest is not None and abs(oddest.z) >= AT_LIMIT:
        return known.quantity[oddest.name].test
    return f"read what the report says of {', '.join(objections)}"


def _parts_them(quantity: str, causes: Sequence[Signature | None]) -> tuple[bool, bool]:
    """Whether two causes differ in a quantity; and whether one of them has to move it."""
    sides = [None if cause is None else cause.side(quantity) for cause in causes]
    differ = (sides[0] is None) != (sides[1] is None) or (None not in sides and -1 in sides and 1 in sides)
    has_to = any(cause is not None and cause.has_to_move(quantity) for cause in causes)
    return differ, has_to
