"""What a rig check reads of the air around its vessel."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from data.run import Series
from data.samples import Channel
from protocols.analysis.gravimetry import air_density_mg_per_ul
from protocols.analysis.rig.record import RigRecord

PHASES = {"blank": (0.0, 600.0), "gain-slow": (600.0, 1200.0)}


def record(**roles):
    """A rig check whose roles are (times, values)."""

    def corrected(role):
        t, values = (np.array(part, dtype=float) for part in roles[role])
        return Series(t, values, np.zeros(t.size, dtype=np.uint16), Channel(role, unit="1"), PHASES)

    return RigRecord(SimpleNamespace(has=roles.__contains__, corrected=corrected), {})


def test_humidity_is_that_of_the_time_for_which_the_air_is_asked_as_temperature_and_pressure_are():
    times = [100.0, 700.0]
    rig = record(
        humidity=(times, [30.0, 70.0]), room_temperature=(times, [20.0, 24.0]), ambient_pressure=(times, [99.0, 101.0])
    )

    assert rig.air_mg_per_ul("blank") == pytest.approx(air_density_mg_per_ul(20.0, 990.0, 30.0), rel=1e-12)
    assert rig.air_mg_per_ul("gain-slow") == pytest.approx(air_density_mg_per_ul(24.0, 1010.0, 70.0), rel=1e-12)


def test_a_span_in_which_the_hygrometer_was_not_read_has_the_humidity_of_the_blank():
    rig = record(humidity=([100.0], [30.0]))

    assert rig.air_mg_per_ul("gain-slow") == pytest.approx(air_density_mg_per_ul(20.0, 1013.25, 30.0), rel=1e-12)
    assert record().air_mg_per_ul("gain-slow") == pytest.approx(air_density_mg_per_ul(20.0, 1013.25, 50.0), rel=1e-12)
