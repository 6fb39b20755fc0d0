"""A thermometer that says nothing of a held line is not gone by: nothing is made up of its last readings."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from data.run import Series
from data.samples import Channel
from protocols.analysis.occlusion.record import LEAST_WARMING_K, OcclusionRecord
from protocols.analysis.occlusion.warming import warming

PER_K = 0.22
HELD_S = np.arange(4000.0, 5200.0, 5.0)
ALWAYS = np.arange(0.0, 6000.0)


def shown(t_s, degc=None, seed=1):
    """A thermometer with 3 mK of noise in a room that stays, or as it is given."""
    noise = np.random.default_rng(seed).normal(0.0, 0.003, t_s.size)
    values = noise + (22.0 if degc is None else degc)
    return Series(t_s, values, np.zeros(t_s.size, np.uint16), Channel("degc", "degC"))


def swelled(**roles):
    run = SimpleNamespace(has=lambda role: role in roles, corrected=roles.__getitem__)
    return warming(run, HELD_S, PER_K)


WITHOUT = swelled()


@pytest.mark.parametrize("role", ["room_temperature", "line_temperature"])
@pytest.mark.parametrize(
    "heard_s", [ALWAYS[ALWAYS < 1000.0], ALWAYS[ALWAYS < 4800.0], ALWAYS[ALWAYS > 4400.0], ALWAYS[:1]]
)
@pytest.mark.parametrize("seed", [0, 3])
def test_a_thermometer_that_is_silent_over_a_part_of_the_hold_tells_no_more_than_none(role, heard_s, seed):
    found = swelled(**{role: shown(heard_s, seed=seed)})
    assert np.array_equal(found.swelled_ul, WITHOUT.swelled_ul)
    assert [p.tolist() for p in found.open_ul] == [p.tolist() for p in WITHOUT.open_ul]


@pytest.mark.parametrize(
    "heard_s", [ALWAYS[:1], ALWAYS[ALWAYS < 4500.0], ALWAYS[(ALWAYS < 4200.0) | (ALWAYS > 4900.0)]]
)
def test_where_the_one_at_the_line_is_silent_the_one_at_the_vessel_is_asked(heard_s):
    rising = 22.0 + 1e-4 * ALWAYS
    found = swelled(line_temperature=shown(heard_s), room_temperature=shown(ALWAYS, rising))
    alone = swelled(room_temperature=shown(ALWAYS, rising))
    assert np.array_equal(found.swelled_ul, alone.swelled_ul)
    assert found.swelled_ul[-1] == pytest.approx(PER_K * 1e-4 * 1195.0, abs=0.01)


@pytest.mark.parametrize("role", ["room_temperature", "line_temperature"])
@pytest.mark.parametrize("seed", range(4))
def test_over_a_short_gap_and_up_to_its_end_a_thermometer_goes_on_as_it_did(role, seed):
    heard_s = ALWAYS[(ALWAYS < 4300.0) | ((ALWAYS > 4850.0) & (ALWAYS < 5000.0))]
    found = swelled(**{role: shown(heard_s, 22.0 + 1e-4 * heard_s, seed)})
    whole = swelled(**{role: shown(ALWAYS, 22.0 + 1e-4 * ALWAYS, seed)})
    assert found.swelled_ul == pytest.approx(whole.swelled_ul, abs=0.012)  # 0.05 K, of which 0.02 K after its end
    assert max(float(np.ptp(one)) for one in found.open_ul) < 0.012


def test_what_flows_out_as_the_line_warms_is_not_told_by_a_thermometer_that_fell_silent():
    def record(**roles):
        station = {"collection": {"dead_volume_ul": 1000.0}}
        run = SimpleNamespace(has=lambda role: role in roles, corrected=roles.__getitem__, station=station)
        return OcclusionRecord(run)

    known, u_known = record(room_temperature=shown(ALWAYS, 22.0 + 1e-4 * ALWAYS)).warming_ul(4000.0, 5200.0)
    assert (known, u_known) == (pytest.approx(0.0132, abs=0.001), pytest.approx(0.0132, abs=0.001))
    silent = record(room_temperature=shown(ALWAYS[ALWAYS < 1000.0]))
    assert silent.warming_ul(4000.0, 5200.0) == record().warming_ul(4000.0, 5200.0)
    assert silent.warming_ul(4000.0, 5200.0)[1] == pytest.approx(PER_K * 10.0 * LEAST_WARMING_K)
