"""The density of the air by which weighings are corrected, and what is made of it where a sensor of it is dead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from data.checks import Verdict
from data.run import Run, Series
from data.samples import Channel, Quality
from protocols.analysis import suitability
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.gravimetry import air_density_mg_per_ul
from protocols.analysis.measured_air import AIR, air_at
from protocols.procedure import load_procedure

RUNS = Path(__file__).parents[2] / "runs"

WEIGHED_S = np.arange(0.0, 3600.0, 60.0)


def station(**values):
    """As much of a run as the air is read from; not a number is a sensor of which no sample may be used."""

    def corrected(role):
        t = np.arange(0.0, 3600.0, 10.0)
        bad = int(Quality.DEVICE_ERROR) if np.isnan(values[role]) else 0
        quality = np.full(t.size, bad, dtype=np.uint16)
        return Series(t, np.full(t.size, values[role]), quality, Channel("x", unit="1"))

    return SimpleNamespace(has=values.__contains__, corrected=corrected)


def test_the_air_is_as_dense_as_barometer_thermometer_and_hygrometer_say():
    density, room, lost = air_at(station(room_temperature=25.0, ambient_pressure=95.0, humidity=30.0), WEIGHED_S)

    assert density == pytest.approx(air_density_mg_per_ul(25.0, 950.0, 30.0))
    assert room == pytest.approx(25.0)
    assert lost == ()


@pytest.mark.parametrize("role", AIR)
def test_a_dead_sensor_of_the_air_is_as_good_as_none(role):
    others = {"room_temperature": 23.0, "ambient_pressure": 99.0, "humidity": 40.0}
    del others[role]

    dead, room, lost = air_at(station(**others, **{role: np.nan}), WEIGHED_S)
    without, room_without, lost_without = air_at(station(**others), WEIGHED_S)

    assert np.array_equal(dead, without)
    assert np.array_equal(room, room_without)
    assert (lost, lost_without) == ((role,), ())


def test_a_sensor_that_was_read_at_another_time_only_tells_nothing_of_the_weighings():
    run = station(ambient_pressure=99.0)

    assert air_at(run, WEIGHED_S + 86_400.0)[2] == ("ambient_pressure",)


def test_a_role_without_a_good_sample_counts_as_unmeasured():
    run = station(room_temperature=23.0, ambient_pressure=np.nan)
    record = GravimetricRecord(run, *[None] * 13, lost=("ambient_pressure",))

    assert record.unmeasured == ("ambient_pressure", "humidity")


@pytest.mark.parametrize("density", [0.12, 0.69, 1.41, 12.0])
def test_weighings_in_air_of_no_laboratory_are_invalid(density):
    (check,) = suitability.air_density(density / 1000.0, ())

    assert (check.verdict, check.owner, check.value) == (Verdict.INVALID, "rig", pytest.approx(density))
    assert "unit and certificate" in check.note


@pytest.mark.parametrize("hpa", [780.0, 1050.0])
def test_a_laboratory_on_a_mountain_or_by_the_sea_has_nothing_to_say_of_its_air(hpa):
    assert not list(suitability.air_density(air_density_mg_per_ul(22.0, hpa, 50.0), ()))


def test_what_was_taken_for_a_dead_sensor_is_said():
    (check,) = suitability.air_density(0.0012, ("ambient_pressure",))

    assert check.verdict is Verdict.PASS
    assert "ambient_pressure gave no good sample" in check.note


@pytest.fixture
def checks_with(monkeypatch):
    """Checks of a sealed run, by name, with what is made of its barometer's samples."""
    untouched = Run.corrected

    def judged(change: Callable[[Series], Series], sealed: str = "flow-accuracy-8"):
        monkeypatch.setattr(
            Run,
            "corrected",
            lambda run, role: (change if role == "ambient_pressure" else as_it_is)(untouched(run, role)),
        )
        with Run.open(RUNS / f"{sealed}.h5") as run:
            return {check.name: check for check in load_procedure(sealed.rpartition("-")[0]).evaluate(run).checks}

    return judged


def as_it_is(series: Series) -> Series:
    return series


def dead(series: Series) -> Series:
    return replace(series, quality=np.full_like(series.quality, int(Quality.DEVICE_ERROR)))


def test_a_dead_barometer_moves_the_mean_within_its_uncertainty_which_knows_of_it(checks_with):
    healthy, blind = checks_with(as_it_is), checks_with(dead)
    mean, without = healthy["mean-flow-error"], blind["mean-flow-error"]

    assert "air-density" not in healthy
    assert "ambient_pressure gave no good sample" in blind["air-density"].note
    assert without.value == pytest.approx(mean.value, abs=without.standard_uncertainty)
    assert without.standard_uncertainty > 1.1 * mean.standard_uncertainty


def test_a_barometer_in_another_unit_than_its_station_says_makes_the_mean_invalid(checks_with):
    found = checks_with(lambda series: replace(series, values=series.values * 10.0))

    assert found["air-density"].verdict is Verdict.INVALID
    assert found["mean-flow-error"].verdict is Verdict.INVALID
    assert "air-density" in found["mean-flow-error"].note


@pytest.mark.parametrize("sealed", ["occlusion-4", "catheter-5", "rig-check-5"])
def test_a_rig_whose_barometer_is_in_another_unit_is_none_to_judge_by(checks_with, sealed):
    healthy = checks_with(as_it_is, sealed)
    found = checks_with(lambda series: replace(series, values=series.values * 10.0), sealed)

    assert "air-density" not in healthy
    assert found["air-density"].verdict is Verdict.INVALID


def test_what_a_rig_check_takes_for_a_dead_barometer_is_said(checks_with):
    assert "ambient_pressure gave no good sample" in checks_with(dead, "rig-check-5")["air-density"].note
