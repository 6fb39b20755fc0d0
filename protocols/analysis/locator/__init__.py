"""Rig or pump?  Where the trouble of a run comes from, by everything that its file shows: docs/explanation/locator.md.

A pure function of the run file.  It changes no verdict: it says where to look first, and what to do next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from data.checks import Evaluation
from data.run import Run
from protocols.analysis.locator.likelihood import NOTHING, Score, explained, scores, strength, visible
from protocols.analysis.locator.recorded import BOLUS, DELIVERED, of_record, pump_percent
from protocols.analysis.locator.shown import AT_LIMIT, Shown, by_name, of_checks
from protocols.analysis.locator.signatures import Signature, Table, table
from protocols.analysis.locator.words import Cause, Location, Whose

__all__ = ["NOTHING", "Cause", "Location", "Shown", "locate", "ranked", "shows"]

TIED = 1.0
"""Log-likelihoods nearer to each other than this tell nothing."""

ORDER: Sequence[Whose] = ("nobody", "rig", "record", "catheter", "dut")
"""Among causes that are tied: what is cheapest to look at, and nothing is blamed on a pump that may be the bench's."""

SAYS_NOTHING = "nothing is odd"
GO_ON = "none: nothing is odd"
NOTHING_IS_SURE = 2.0
"""With everything else so far behind, nothing is to be done."""

COSTS = ("look", "read", "check", "run")


def locate(run: Run, evaluation: Evaluation) -> Location:
    """Rank the causes of what a run shows.

    Parameters
    ----------
    evaluation : what the run's own procedure says of it, as stored in the file or judged again.
    """
    return ranked(shows(run, evaluation))


def shows(run: Run, evaluation: Evaluation) -> tuple[Shown, ...]:
    """Every quantity of the table that a run shows."""
    known = table()
    recorded = (replace(one, title=known.quantity[one.name].title) for one in of_record(run, evaluation))
    weighed = dict.fromkeys(
        (DELIVERED, BOLUS), pump_percent(run)
    )  # a pump that declares no limit is weighed all the same
    return tuple(by_name([*recorded, *of_checks(evaluation.checks, known, weighed)]).values())


def ranked(shown: Sequence[Shown], known: Table | None = None) -> Location:
    """Rank the causes of quantities that were shown."""
    known = known or table()
    found = {one.name: one for one in shown}
    every = scores(found, known)
    tried = [one for one in every if one.cause == NOTHING or visible(known.cause[one.cause], found)]
    best = tried[0].log_likelihood
    whole = math.fsum(math.exp(one.log_likelihood - best) for one in tried)
    causes = [_cause(one, best, whole, found, known) for one in tried]
    near = sorted(
        (one for one in causes if one.behind < TIED), key=lambda one: (ORDER.index(one.owner), one.behind, one.name)
    )
    causes = [*near, *causes[len(near) :]]
    unseen = [one for one in every if one not in tried]
    alike = [one.cause for one in unseen if causes[0].name != NOTHING and best - one.log_likelihood < TIED]
    return Location(
        causes=tuple(causes),
        tied=tuple(one.name for one in near),
        next_action=_next_action(causes, found, known),
        shown=tuple(shown),
        unseen=tuple(one.cause for one in unseen),
        alike=tuple(alike),
        besides=_besides(causes[0], found, known),
    )


def _besides(first: Cause, shown: Mapping[str, Shown], known: Table) -> str:
    """A second cause that explains what the first leaves; empty where that is nothing."""
    if first.name == NOTHING or not first.leaves:
        return ""
    signature = known.cause[first.name]
    rest = {name: one for name, one in shown.items() if signature.side(name) is None}
    tried = scores(rest, known)
    second = next(one for one in tried if one.cause == NOTHING or visible(known.cause[one.cause], rest))
    return "" if second.cause == NOTHING else second.cause


def _cause(one: Score, best: float, whole: float, shown: Mapping[str, Shown], known: Table) -> Cause:
    behind = best - one.log_likelihood
    weight = math.exp(-behind) / whole
    if one.cause == NOTHING:
        odd = tuple(each for each in shown.values() if abs(each.z) >= AT_LIMIT)
        return Cause(NOTHING, "nobody", SAYS_NOTHING, behind, weight, None, (), odd, ())
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


def _next_action(causes: Sequence[Cause], shown: Mapping[str, Shown], known: Table) -> str:
    """The cheapest test of a quantity that one of the first two causes moves and the other does not.

    One that a cause has to move goes before one that it may, of equal cost one that the run did not show before one
    that it did.
    """
    first, second = causes[0], causes[1] if len(causes) > 1 else None
    if second is None or (first.name == NOTHING and second.behind > NOTHING_IS_SURE):
        return GO_ON
    pair = [None if one.name == NOTHING else known.cause[one.name] for one in (first, second)]
    tests = [
        (not has_to, COSTS.index(quantity.cost), name in shown, number, quantity.test)
        for number, (name, quantity) in enumerate(known.quantity.items())
        for parts, has_to in [_parts_them(name, pair)]
        if parts
    ]
    if not tests:
        return "repeat the run: nothing that this bench measures separates the two"
    return min(tests)[-1]


def _parts_them(quantity: str, causes: Sequence[Signature | None]) -> tuple[bool, bool]:
    """Whether two causes differ in a quantity; and whether one of them has to move it."""
    sides = [None if cause is None else cause.side(quantity) for cause in causes]
    differ = (sides[0] is None) != (sides[1] is None) or (None not in sides and -1 in sides and 1 in sides)
    has_to = any(cause is not None and cause.has_to_move(quantity) for cause in causes)
    return differ, has_to
