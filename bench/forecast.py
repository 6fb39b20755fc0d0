"""What a run will be able to tell: before the start, against the length of the analysis, and while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bench.findings import Finding
from data import quantities
from data.checks import Origin, Verdict
from instruments.clock import WallClock
from protocols.analysis.declared import Declared
from protocols.analysis.forecast import HOUR_S, Expected, Forecast, dominant, rising, shortest_s
from protocols.procedure import Procedure, load_procedure

if TYPE_CHECKING:
    from bench.request import Prepared
    from data.checks import Check
    from data.run import Run

LENGTHS_H = (1.0, 2.0, 4.0, 8.0, 12.0, 25.0, 49.0, 97.0, 168.0, 336.0, 720.0, 1440.0)
"""Lengths of the analysis for which U is shown; those that the protocol allows."""

OF_THE_LIMIT = (0.0, 0.5, 0.9, 1.1, 1.5)
"""Pumps for which it is said how long a run must be, in parts of the limit, where nobody names others."""

WORTH_IT = 0.97
"""A change of the plan is told where it brings U under this part of what it was."""


class ForecastError(ValueError):
    """Nothing can be said beforehand; the message says why."""


@dataclass(frozen=True)
class Subject:
    """What a forecast is about: a plan, the tables that a run file would keep, and the hour of the day of its begin."""

    procedure: Procedure
    station: Mapping[str, Any]
    roles: Mapping[str, str]
    dut: Mapping[str, Any]
    fluid: Mapping[str, Any]
    start_h: float | None = None

    def forecast(self, **changed: object) -> Forecast | None:
        """Forecast of the plan, or of the plan with other parameters."""
        procedure = type(self.procedure)(**{**self.procedure.values(), **changed}) if changed else self.procedure
        tables = (self.station, self.roles, self.dut, self.fluid)
        return procedure.forecast(Declared(procedure.values(), *tables, procedure.programmed(), self.start_h))


@dataclass(frozen=True, slots=True)
class Decision:
    """How long a run must be to decide on a pump; None where no length does."""

    value: float
    analysis_s: float | None


@dataclass(frozen=True)
class Outlook:
    """A plan's forecast, and those of other lengths.

    Attributes
    ----------
    table : forecasts of rising length of the analysis.
    capable_s : shortest analysis with which a pump inside the limits can pass; None without limits, or if none does.
    decisions : shortest analysis that passes or fails a pump of some value in nineteen runs of twenty.
    changes : U with another plan, by what is changed.
    at_most : whether steps of the plan may end before their longest time.
    """

    plan: Forecast
    table: tuple[Forecast, ...]
    capable_s: float | None
    decisions: tuple[Decision, ...]
    changes: tuple[tuple[str, float], ...]
    at_most: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data; lengths in s, uncertainties in the unit of the check."""
        first = self.plan.checks[0]
        return {
            "duration_s": self.plan.duration_s,
            "analysis_s": self.plan.analysis_s,
            "checks": rows(self.plan),
            "notes": list(self.plan.notes),
            "table": [
                {
                    "analysis_s": one.analysis_s,
                    "duration_s": one.duration_s,
                    "expanded_uncertainty": one.checks[0].expanded,
                    "low": one.checks[0].low,
                    "high": one.checks[0].high,
                    "capable": one.checks[0].capable,
                }
                for one in self.table
            ],
            "capable_s": self.capable_s,
            "decisions": [{"value": one.value, "analysis_s": one.analysis_s} for one in self.decisions],
            "dominant": [{"source": source, "share": share} for source, share in dominant(first.budget)],
            "changes": [{"change": what, "expanded_uncertainty": u} for what, u in self.changes],
        }


@dataclass(frozen=True)
class Live:
    """A run that goes on, judged as far as it went.

    Attributes
    ----------
    check : the protocol's first check, on what is recorded.
    analysed_s, planned_s : of the analysis.
    so_far, at_end : forecasts for what is recorded, blanks as planned, and for the plan; None where it is short.
    decided_s : analysis that decides on a pump of the value so far; None where no length does.
    """

    check: Check
    analysed_s: float
    planned_s: float
    so_far: Expected | None
    at_end: Expected
    decided_s: float | None

    @property
    def clear_fail(self) -> bool:
        """Whether the pump is already outside a limit by more than is uncertain."""
        return self.check.verdict is Verdict.FAIL

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        check = self.check
        return {
            "check": check.name,
            "value": check.value,
            "unit": check.unit,
            "expanded_uncertainty": check.expanded_uncertainty,
            "verdict": str(check.verdict),
            "note": check.note,
            "analysed_s": self.analysed_s,
            "analysis_s": self.planned_s,
            "expected_so_far": self.so_far.expanded if self.so_far else None,
            "expected_at_end": self.at_end.expanded,
            "decided_s": self.decided_s,
            "clear_fail": self.clear_fail,
        }


def subject_of(prepared: Prepared) -> Subject:
    """What a request asks about."""
    station = prepared.station.model_dump(mode="json", by_alias=False)
    articles = prepared.articles
    start_h = _hour(WallClock().start) if prepared.station.real else None
    return Subject(prepared.procedure, station, prepared.roles, articles["dut"], articles["fluid"], start_h)


def _hour(moment: datetime) -> float:
    """Hour of the day here; of a simulated run nobody knows it, since its room is coolest at an hour that is drawn."""
    here = moment.astimezone()
    return here.hour + here.minute / 60.0


def outlook(subject: Subject, values: Sequence[float] = ()) -> Outlook:
    """The plan and what other plans would tell.

    Parameters
    ----------
    values : of pumps for which the shortest run is wanted, in the unit of the protocol's first check; parts of the
        limit without them.

    Raises
    ------
    ForecastError
        If the protocol or the station does not let anything be said.
    """
    plan = subject.forecast()
    if plan is None:
        name = subject.procedure.name
        why = "its uncertainty follows from what it finds"
        if type(subject.procedure).forecast is not Procedure.forecast:
            why = _unsaid(subject)
        raise ForecastError(f"nothing can be said of {name} before the run: {why}")
    table = tuple(_table(subject, plan.analysis_s)) or (plan,)
    first = plan.checks[0]
    return Outlook(
        plan,
        table,
        shortest_s(table, lambda one: one.capable),
        tuple(_decisions(table, first, values)),
        tuple(_changes(subject, first)),
        any(step.least_s < step.most_s for step in subject.procedure.steps()),
    )


def _unsaid(subject: Subject) -> str:
    """Why a protocol that has a forecast says nothing of these parameters on this station."""
    balance = str(subject.roles.get("reference_mass", "")).partition(".")[0]
    if not subject.station.get("collection"):
        return "the station file needs [collection]"
    if not subject.station["instruments"].get(balance, {}).get("uncertainty"):
        return f"the station file needs [instruments.{balance or 'BALANCE'}.uncertainty]"
    return "nothing of what its parameters ask for is forecast, or too little is delivered to be judged"


def _table(subject: Subject, planned_s: float) -> Iterator[Forecast]:
    name = subject.procedure.forecast_over
    if not name:
        return  # no one length decides
    item = subject.procedure.params[name]
    low, high = (quantities.parse(bound, "time") if bound else None for bound in (item.low, item.high))
    for length in rising([planned_s, *(hours * HOUR_S for hours in LENGTHS_H)]):
        if (low is None or length >= low) and (high is None or length <= high):
            found = subject.forecast(**{name: length})
            if found is not None:
                yield found


def _decisions(table: Sequence[Forecast], first: Expected, values: Sequence[float]) -> Iterator[Decision]:
    if first.limits is None or len(table) == 1:
        return
    limit = first.limits.high if first.limits.high is not None else first.limits.low
    for value in values or [part * (limit or 0.0) for part in OF_THE_LIMIT]:
        yield Decision(value, shortest_s(table, lambda one, value=value: one.decides(value)))  # type: ignore[misc]  # bound


def _changes(subject: Subject, first: Expected) -> Iterator[tuple[str, float]]:
    """What else could be planned, where it would help."""
    for what, changed in subject.procedure.alternatives():
        found = subject.forecast(**changed)
        if found is not None and found.checks[0].expanded < WORTH_IT * first.expanded:
            yield what, found.checks[0].expanded


def live(run: Run) -> Live:
    """A snapshot of a run that goes on: what is known by now, and what will be at its end.

    Raises
    ------
    ForecastError
        If a run of its protocol cannot be forecast while it goes on, or its analysis has not begun.
    """
    procedure = load_procedure(run.procedure)(**run.params)
    name = procedure.forecast_over
    if not name:
        raise ForecastError(
            f"{run.path}: a run of {run.procedure} cannot be forecast while it goes on; wait for its end, at which it "
            "is judged as a whole"
        )
    start_h = _hour(run.start) if run.origin is Origin.MEASURED else None
    subject = Subject(procedure, run.station, run.roles, run.dut, run.fluid, start_h)
    found = outlook(subject)
    phases = {phase.name: phase for phase in run.phases}
    if "analysis" not in phases:
        raise ForecastError(f"{run.path}: its analysis has not begun; ask again when it has")
    analysed_s = phases["analysis"].t1 - phases["analysis"].t0
    at_end = found.plan.checks[0]
    check = next(one for one in procedure.evaluate(run).checks if one.name == at_end.name)
    low = procedure.params[name].low
    long_enough = analysed_s >= (quantities.parse(low, "time") if low else 0.0)
    so_far = subject.forecast(**{name: analysed_s}) if long_enough else None
    value = check.value
    decided_s = None if value is None else next(iter(_decisions(found.table, at_end, [value])), Decision(0, None))
    return Live(
        check,
        analysed_s,
        found.plan.analysis_s,
        None if so_far is None else so_far.checks[0],
        at_end,
        None if decided_s is None else decided_s.analysis_s,
    )


def rows(forecast: Forecast) -> list[dict[str, Any]]:
    """Fields of the run's records "forecast", one for each check, so that found and forecast can be compared later."""
    return [
        {
            "check": one.name,
            "unit": one.unit,
            "expanded_uncertainty": one.expanded,
            "low": one.low,
            "high": one.high,
            "standard_uncertainty": one.budget.u,
            "most": one.most,
            "capable": one.capable,
        }
        for one in forecast.checks
    ]


def finding(subject: Subject, forecast: Forecast) -> Finding:
    """One line before the start; a warning where the plan cannot pass any pump."""
    first = forecast.checks[0]
    text = f"{first.title[:1].lower()}{first.title[1:]}: U = {first.expanded:.2g} {first.unit} is expected"
    if not first.is_sure:
        text += f" ({first.low:.2g} to {first.high:.2g} {first.unit} in {first.of_ten})"
    if first.most is None:
        return Finding("forecast", "tells", text)
    if first.capable:
        return Finding("forecast", "tells", f"{text}; a pump can pass with U up to {first.most:.3g} {first.unit}")
    text += f", but a pump can pass only with U up to {first.most:.3g} {first.unit}"
    if not subject.procedure.forecast_over:
        return Finding("forecast", "warns", f"{text} (see: pumpbench forecast)")
    enough_s = shortest_s(list(_table(subject, forecast.analysis_s)), lambda one: one.capable)
    advice = "no length of it would do" if enough_s is None else f"an analysis of {enough_s / HOUR_S:.3g} h would do"
    return Finding("forecast", "warns", f"{text}; {advice} (see: pumpbench forecast)")
