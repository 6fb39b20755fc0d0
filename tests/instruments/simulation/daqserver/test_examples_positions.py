"""Positions of encoders and times between edges of two signals, made by the real nidaqmx on the simulated counters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from nidaqmx.constants import AcquisitionType, AngleUnits, Edge, EncoderType, LengthUnits, TimeUnits

from instruments.simulation.daqserver.hardware import Wiring

CONTINUOUS = AcquisitionType.CONTINUOUS


class Slide:
    """A slide in mm that moves forth for five seconds, then back, 10 mm a second."""

    def at(self, t: float) -> float:
        return 10.0 * (5.0 - abs(t - 5.0))

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return np.array([self.at(t0 + k * dt) for k in range(first, first + n)])


@pytest.fixture
def shaft(portless):
    """Counters with a slide, a shaft and two pulse generators at their terminals."""
    wiring = {
        "Dev1/ctr0": Wiring(per_count=0.5),  # a pulse each half millimetre
        "Dev1/ctr1": Wiring(pulses_hz=100.0),
        "Dev1/PFI0": Wiring(pulses_hz=10.0, duty=0.2),
        "Dev1/PFI1": Wiring(pulses_hz=5.0, duty=0.5),
    }
    return portless({"Dev1": "USB-6341"}, {"Dev1/ctr0": Slide()}, wiring)


@pytest.mark.parametrize(
    ("decoding", "resolution_mm"), [(EncoderType.X_1, 0.5), (EncoderType.X_2, 0.25), (EncoderType.X_4, 0.125)]
)
def test_a_linear_encoder_follows_its_slide_forth_and_back(shaft, decoding, resolution_mm):
    with shaft.task() as task:
        task.ci_channels.add_ci_lin_encoder_chan(
            "Dev1/ctr0", decoding_type=decoding, units=LengthUnits.METERS, dist_per_pulse=0.5e-3, initial_pos=0.1
        )
        shaft.clock.sleep(1.0)
        task.start()
        shaft.clock.sleep(1.017)
        assert task.read() == pytest.approx(0.1 + resolution_mm * 1e-3 * math.floor(10.17 / resolution_mm), abs=1e-9)
        shaft.clock.sleep(7.983)
        assert task.read() == pytest.approx(0.1 - 0.01, abs=1e-9)  # 10 mm behind the place of the start


def test_an_angular_encoder_is_sampled_by_a_clock(shaft, code_of):
    with shaft.task() as task:
        channel = task.ci_channels.add_ci_ang_encoder_chan(
            "Dev1/ctr1", units=AngleUnits.DEGREES, pulses_per_rev=500, initial_angle=-36.0, zidx_enable=True
        )
        assert channel.ci_encoder_b_input_term == "/Dev1/Ctr1Aux"
        task.timing.cfg_implicit_timing(sample_mode=CONTINUOUS)
        assert code_of(task.start) == -200300
        task.timing.cfg_samp_clk_timing(10.0, "/Dev1/PFI0", sample_mode=CONTINUOUS, samps_per_chan=100)
        task.start()
        shaft.clock.sleep(1.05)
        angles = task.read(11)
    assert angles == pytest.approx([-36.0 + 7.2 * k for k in range(11)])  # 100 of 500 pulses a second


def test_the_time_between_edges_of_two_signals(shaft, code_of):
    with shaft.task() as task:
        channel = task.ci_channels.add_ci_two_edge_sep_chan(
            "Dev1/ctr2", min_val=1e-3, max_val=1.0, first_edge=Edge.FALLING, second_edge=Edge.RISING
        )
        channel.ci_two_edge_sep_first_term = "/Dev1/PFI0"  # falls at 0.02, 0.12, 0.22 ... s
        channel.ci_two_edge_sep_second_term = "/Dev1/PFI1"  # rises at 0.2, 0.4 ... s
        shaft.clock.sleep(0.1)
        task.start()
        assert code_of(task.read) == -200284
        shaft.clock.sleep(0.15)
        assert task.read() == pytest.approx(0.08)  # from 0.12 to 0.2 s
        shaft.clock.sleep(0.2)
        assert task.read() == pytest.approx(0.18)  # from 0.22 to 0.4 s: what falls in between changes nothing
        task.stop()
        channel.ci_two_edge_sep_units = TimeUnits.TICKS
        task.timing.cfg_implicit_timing(sample_mode=CONTINUOUS)
        task.start()
        shaft.clock.sleep(1.0)
        assert task.read(3)[1:] == pytest.approx([18_000_000] * 2)
