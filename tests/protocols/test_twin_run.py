"""A run of the simulated station whose vessel has a twin on a second balance, against what truly left the tip."""

from __future__ import annotations

from pathlib import Path

from bench.request import Request
from bench.session import conduct
from bench.station import OpenStation
from data.checks import Verdict
from data.run import Run
from instruments.simulation.plant import Plant


def test_a_sound_pump_passes_beside_a_twin_vessel_and_its_error_is_within_the_uncertainty(tmp_path: Path) -> None:
    plants: list[Plant] = []

    def look(opened: OpenStation) -> None:
        assert opened.rig is not None
        plants.append(opened.rig.plant)

    settings = {"schedule": "1 mL/day", "stabilisation": "30 min", "analysis": "3 h"}
    result = conduct(Request("flow-accuracy", "sim-twin", settings, seed=2, out=tmp_path), afterwards=look)
    checks = {check.name: check for check in result.evaluation.checks}
    with Run.open(result.run_file) as run:
        from_s, to_s = run.phase("analysis")
    mass, draws = plants[0].truth["tip_mass_mg"], plants[0].draws
    density = (draws["fluid.density_kg_per_m3"] + draws["fluid.density_deviation_kg_per_m3"]) * 1e-3
    true_percent = 100.0 * ((mass.at(to_s) - mass.at(from_s)) / density / 125.0 - 1.0)
    mean = checks["mean-flow-error"]

    assert result.evaluation.verdict is Verdict.PASS
    assert mean.value is not None
    assert mean.expanded_uncertainty is not None
    assert abs(mean.value - true_percent) < mean.expanded_uncertainty < 0.3
    assert {checks[name].verdict for name in ("evaporation", "blanks-agree")} == {Verdict.PASS}
