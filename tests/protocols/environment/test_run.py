"""Whole environment runs: coefficients that are known to the plant, and what faults of the rig make of them."""

from __future__ import annotations

import math

from data.checks import Verdict
from data.run import Run
from protocols.analysis.environment.verdict import evaluate

BODY_K = 310.15
VAPOUR_KPA = 35.0 + 101.325
WATER = {37.0: 993.33, 42.0: 991.44}  # kg/m3, Tanaka 2001


def by_name(result):
    return {check.name: check for check in result.evaluation.checks}


def by_temperature(degc):
    """Change in percent by the plant's own coefficients: 0.1 %/K, 0.05 % a kPa of the reservoir, density of water."""
    vapour = VAPOUR_KPA * (math.exp(-26000.0 / 8.314462618 * (1.0 / (degc + 273.15) - 1.0 / BODY_K)) - 1.0)
    metered = 1.0 + (0.001 * (degc - 37.0) + 0.0005 * vapour) / 1.01
    return 100.0 * (metered * WATER[degc] / WATER[37.0] - 1.0)


def within_its_u(check, expected):
    return abs(check.value - expected) <= check.expanded_uncertainty


def test_coefficients_of_the_plant_are_found_within_their_uncertainty(healthy):
    checks = by_name(healthy)

    assert healthy.evaluation.verdict is Verdict.PASS, checks
    assert within_its_u(checks["pressure-coefficient"], -0.1 / 1.01)
    assert checks["pressure-coefficient"].expanded_uncertainty < 0.025
    assert within_its_u(checks["pressure-3"], -0.1 / 1.01 * 40.0)
    assert within_its_u(checks["temperature-1"], by_temperature(42.0))
    assert within_its_u(checks["level-1"], -8.0 * 0.3 * 0.05 / 1.01)


def test_it_is_evaluated_the_same_again(healthy):
    with Run.open(healthy.run_file) as run:
        assert run.evaluation is not None
        assert evaluate(run).checks == run.evaluation.checks


def test_faults_of_the_rig_neither_fail_nor_pass_a_pump(run_environment):
    faults = ("wrong-height:200", "sensor-drift:1", "bath-off:1@10h")
    result = run_environment(*faults, levels="none", temperatures="32 degC", pressures="300 mmHg", seed=2)
    checks = by_name(result)

    assert {name for name, one in checks.items() if one.owner == "rig" and one.verdict is Verdict.INVALID} >= {
        "pressure-1-held",
        "pressure-repeats",
    }
    assert {one.verdict for one in checks.values() if one.owner == "dut" and not one.suitability} == {Verdict.INVALID}


def test_a_gas_driven_pump_changes_by_the_vapour_and_the_viscosity_of_a_kelvin(run_environment):
    plant = '[simulation.plant.pump]\nkind = "gas-driven"\n[simulation.plant.reservoir]\npressure_kpa = 60.0\n'
    settings = {"rate": "1 mL/day", "program": "no", "pressures": "none", "levels": "none", "temperatures": "36 degC"}
    result = run_environment(dut="sim-gas-driven", plant=plant, **settings)

    # Vapour 5.18 of 62.4 kPa less, water 2.0 % thicker and 0.035 % denser; the weather moves it by 0.1.
    coefficient = by_name(result)["temperature-coefficient"]
    assert within_its_u(coefficient, 10.07)
    assert coefficient.expanded_uncertainty < 1.4
