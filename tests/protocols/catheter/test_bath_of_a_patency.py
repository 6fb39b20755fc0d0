"""A patency's limit goes with the viscosity in the bath, so the bath's thermometer is in the budget."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import pytest

from data.checks import Check, Verdict
from data.run import Run
from protocols.analysis.catheter.record import thinning_per_k, water_viscosity_mpa_s
from protocols.analysis.catheter.verdict import evaluate

SEALED = Path(__file__).parents[2] / "runs" / "catheter-5.h5"
BY_BATH = "viscosity, by the bath's temperature"


@functools.cache
def patency(*, warmer_k: float = 0.0, u_k: float | None = None, at_most_kpa: float | None = None) -> Check:
    """The sealed run's, with a thermometer that reads so much more, or is known so well, or against another limit."""
    with Run.open(SEALED) as run:
        bath = run._series["bath_temperature"] = run.series("bath_temperature")
        bath.values[:] += warmer_k
        certificate = run.calibration("bath_temperature")
        if u_k is not None:
            run.__dict__["calibration"] = lambda role: (
                {**certificate, "u": u_k} if role == "bath_temperature" else Run.calibration(run, role)
            )
        if at_most_kpa is not None:
            run.__dict__["catheter"] = {**run.catheter, "limits": {**run.catheter["limits"]}}
            declared = run.catheter["limits"]["patency"]
            run.catheter["limits"]["patency"] = {**declared, "at_most_kpa": at_most_kpa}
        return next(check for check in evaluate(run).checks if check.name == "patency")


def test_the_slope_of_the_viscosity_is_that_of_its_law():
    for degc in (22.0, 37.0):
        warm, cold = (math.log(water_viscosity_mpa_s(degc + k)) for k in (0.01, -0.01))
        assert thinning_per_k(degc) == pytest.approx((cold - warm) / 0.02, rel=1e-6)


def test_a_thermometer_that_is_off_by_its_u_moves_value_over_limit_by_what_the_budget_says():
    here, warmer = patency(), patency(warmer_k=0.25)  # its certificate's u
    moved = (warmer.value / warmer.limit_high) / (here.value / here.limit_high) - 1.0
    assert dict(here.budget)[BY_BATH] == pytest.approx(here.value * moved, rel=0.03)


def test_a_thermometer_without_a_certificate_is_not_taken_for_one_without_an_error():
    assert dict(patency(u_k=0.0).budget)[BY_BATH] == pytest.approx(2.0 * dict(patency().budget)[BY_BATH])


def test_a_pressure_near_its_limit_passes_with_conditions_where_the_bath_may_be_warmer():
    near = patency().value * 1.008
    sure, unsure = (patency(u_k=u_k, at_most_kpa=near) for u_k in (0.01, 0.25))
    assert (sure.verdict, unsure.verdict) == (Verdict.PASS, Verdict.CONDITIONAL_PASS)
