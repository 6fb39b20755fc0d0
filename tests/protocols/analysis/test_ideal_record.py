"""Forecasts by an ideal record: runs of the past found what would have been forecast of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.run import Run
from protocols.analysis.declared import Declared
from protocols.analysis.forecast import Forecast
from protocols.procedure import load_procedure
from protocols.refill_port import RefillPort

RUNS = Path(__file__).parents[2] / "runs"

SAID = {
    "bolus-accuracy-7": ["bolus-mean-error", "bolus-max-error", "bolus-min-error"],
    "priming-1": ["bolus-error"],
    "priming-7": ["bolus-error", "new-rate-error", "bridge-end"],
    "rate-step-1": ["step-1-error", "start-error", "step-1-change", "step-1-overshoot", "start-up-volume"],
    "rate-step-8": ["start-up-volume", "start-plateau", "step-1-plateau"],
    "occlusion-1": ["bolus", "compliance", "catheter-compliance", "flow-before", "flow-after", "time-to-threshold"],
    "refill-port-1": ["residual", "pocket-fill"],
    "environment-1": ["pressure-1", "pressure-coefficient"],
    "reservoir-life-1": ["alarm-error", "alarm-calculated", "left-when-empty"],
}


def forecast(run: Run, **changed: object) -> Forecast:
    """As it would have been before the run, or with other parameters."""
    procedure = load_procedure(run.procedure)(**{**run.params, **changed})
    tables = (run.station, run.roles, run.dut, run.fluid)
    found = procedure.forecast(Declared(procedure.values(), *tables, procedure.programmed(), 0.0))
    assert found is not None
    return found


@pytest.mark.parametrize("name", SAID)
def test_a_run_found_each_uncertainty_within_a_fifth_of_its_forecast(name: str):
    with Run.open(RUNS / f"{name}.h5") as run:
        said = {one.name: one for one in forecast(run).checks}
        assert run.evaluation is not None
        found = {one.name: one for one in run.evaluation.checks if one.name in said}
        assert set(SAID[name]) <= set(said)
        for check in found.values():
            assert check.expanded_uncertainty == pytest.approx(said[check.name].expanded, rel=0.2), check.name
            assert check.unit == said[check.name].unit


@pytest.mark.parametrize(
    "name", ["bolus-accuracy-7", "priming-7", "rate-step-1", "occlusion-1", "environment-1", "reservoir-life-1"]
)
def test_a_run_took_as_long_as_its_forecast_said(name: str):
    with Run.open(RUNS / f"{name}.h5") as run:
        assert forecast(run).duration_s == pytest.approx(run.end_s, rel=0.05)


def test_more_boluses_tell_their_mean_better_and_each_of_them_no_better():
    with Run.open(RUNS / "bolus-accuracy-1.h5") as run:
        few, many = ({one.name: one.expanded for one in forecast(run, boluses=n).checks} for n in (2, 18))
    assert many["bolus-mean-error"] < 0.4 * few["bolus-mean-error"]
    assert many["bolus-max-error"] == pytest.approx(few["bolus-max-error"], rel=0.1)


def test_a_bridge_is_forecast_by_its_volume_its_end_and_the_rate_after_it():
    with Run.open(RUNS / "priming-1.h5") as run:
        names = [one.name for one in forecast(run, occasion="concentration", volume_ul=200.0).checks]
    assert names == ["bolus-error", "new-rate-error", "bridge-end"]


def test_a_graduated_syringe_tells_ten_times_less_than_a_weighed_one():
    with Run.open(RUNS / "refill-port-1.h5") as run:
        by_mass, by_scale = (forecast(run, ledger=word).checks[0].expanded for word in ("weighed", "scale"))
    assert by_scale > 5.0 * by_mass


def test_a_leak_of_the_septum_is_known_the_better_the_longer_it_is_watched():
    with Run.open(RUNS / "refill-port-1.h5") as run:
        days = [forecast(run, septum="mass", septum_length_s=86_400.0 * n).checks[-1] for n in (1, 10)]
    assert [one.name for one in days] == ["septum-leak", "septum-leak"]
    assert days[0].expanded == pytest.approx(10.0 * days[1].expanded)


def test_a_station_without_declared_uncertainties_forecasts_nothing():
    with Run.open(RUNS / "occlusion-1.h5") as run:
        station = {**run.station, "collection": None}
        for procedure in (load_procedure("occlusion")(**run.params), RefillPort()):
            declared = Declared(procedure.values(), station, run.roles, run.dut, run.fluid, procedure.programmed())
            assert procedure.forecast(declared) is None
