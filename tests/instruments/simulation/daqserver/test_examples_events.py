"""The calls of NI's examples for events, made by the real nidaqmx, over a port and in process."""

from __future__ import annotations

import nidaqmx
import pytest
from nidaqmx.constants import AcquisitionType, RegenerationMode, Signal
from nidaqmx.stream_readers import AnalogSingleChannelReader

from instruments.clock import VirtualClock, WallClock
from instruments.simulation.daqserver import dispatch

CONTINUOUS, FINITE = AcquisitionType.CONTINUOUS, AcquisitionType.FINITE
PATIENCE_S = 600.0  # on a clock that goes ten times as fast


@pytest.fixture(params=["port", "in process"])
def quick(request, make_lab):
    """A lab on a wall clock that goes ten times as fast."""
    lab = make_lab(WallClock(pace=10.0))
    if request.param == "in process":
        lab.channel.close()
        lab.channel = lab.server.channel()
    yield lab
    lab.close()


def until(lab, holds):
    """Wait until something holds."""
    end = lab.clock.now() + PATIENCE_S
    while not holds() and lab.clock.now() < end:
        lab.clock.sleep(0.05)
    assert holds()


def acquisition(lab, mode=CONTINUOUS, samples=100_000):
    task = lab.task()
    task.ai_channels.add_ai_voltage_chan("Dev2/ai0")
    task.timing.cfg_samp_clk_timing(100.0, sample_mode=mode, samps_per_chan=samples)
    return task


def test_a_callback_reads_every_n_samples(quick):
    read, done = [], []
    with acquisition(quick) as task:

        def every_n(handle, kind, n, data):
            read.append(len(task.read(number_of_samples_per_channel=n)))
            return 0

        task.register_every_n_samples_acquired_into_buffer_event(25, every_n)
        task.register_done_event(lambda handle, status, data: done.append(status) or 0)
        task.start()
        until(quick, lambda: len(read) >= 4)
        task.stop()
    assert set(read) == {25}
    assert done == []  # an acquisition without an end is stopped, it is not done


def test_a_finite_task_tells_its_end_once(quick):
    done, blocks = [], []
    with acquisition(quick, FINITE, 50) as task:
        task.register_done_event(lambda handle, status, data: done.append(status) or 0)
        task.register_every_n_samples_acquired_into_buffer_event(20, lambda *event: blocks.append(event[2]) or 0)
        task.start()
        task.wait_until_done(timeout=PATIENCE_S)
        task.stop()
        until(quick, lambda: done and len(blocks) == 2)
        task.start()
        until(quick, lambda: len(done) == 2)
    assert (done, blocks[:2]) == ([0, 0], [20, 20])


def test_an_output_asks_for_samples_as_they_go_and_tells_that_none_came(quick):
    asked, done = [], []
    with quick.task() as task:
        task.ao_channels.add_ao_voltage_chan("Dev2/ao0")
        task.timing.cfg_samp_clk_timing(100.0, sample_mode=CONTINUOUS, samps_per_chan=100)
        task.out_stream.regen_mode = RegenerationMode.DONT_ALLOW_REGENERATION
        task.register_every_n_samples_transferred_from_buffer_event(50, lambda *event: asked.append(event[2]) or 0)
        task.register_done_event(lambda handle, status, data: done.append(status) or 0)
        task.write([0.5] * 100)
        task.start()
        until(quick, lambda: done)
    assert (asked, done) == ([50, 50], [-200290])


def test_signals_come_with_changes_pulses_and_samples(quick):
    changes, pulses = [], []
    with quick.task() as lines, quick.task() as counter:
        lines.di_channels.add_di_chan("Dev2/port1/line0")
        lines.timing.cfg_change_detection_timing("Dev2/port1/line0", "Dev2/port1/line0", sample_mode=CONTINUOUS)
        lines.register_signal_event(Signal.CHANGE_DETECTION_EVENT, lambda *event: changes.append(event[1]) or 0)
        counter.co_channels.add_co_pulse_chan_freq("Dev2/ctr2", freq=10.0)
        counter.timing.cfg_implicit_timing(sample_mode=CONTINUOUS)
        counter.register_signal_event(Signal.COUNTER_OUTPUT_EVENT, lambda *event: pulses.append(event[1]) or 0)
        lines.start()
        counter.start()
        until(quick, lambda: len(changes) >= 2 and len(pulses) >= 5)
    assert changes[0] == Signal.CHANGE_DETECTION_EVENT.value


def test_who_registers_where_it_makes_no_sense_is_told_so(quick, code_of):
    def nothing(*_):
        return 0

    with acquisition(quick) as task:
        transferred = task.register_every_n_samples_transferred_from_buffer_event
        assert code_of(lambda: transferred(10, nothing)) == -200980
        assert code_of(lambda: task.register_signal_event(Signal.COUNTER_OUTPUT_EVENT, nothing)) == -200987
        task.register_done_event(nothing)
        assert code_of(lambda: task.register_done_event(nothing)) == -200950
        reader = AnalogSingleChannelReader(task.in_stream)
        assert code_of(reader.read_one_sample) in (-200984, -200288)
        task.register_done_event(None)
        task.start()
        assert code_of(lambda: task.register_done_event(nothing)) == -200960
    with quick.task() as slow:
        slow.ai_channels.add_ai_voltage_chan("Dev2/ai0")
        slow.register_every_n_samples_acquired_into_buffer_event(10, nothing)
        assert code_of(slow.start) == -200848


def test_events_that_are_no_more_wanted_hold_no_thread_of_the_server(quick, monkeypatch):
    monkeypatch.setattr(dispatch, "STREAMS", 2)
    for _ in range(3):
        with acquisition(quick) as task:
            task.register_done_event(lambda *_: 0)
            task.register_every_n_samples_acquired_into_buffer_event(10, lambda *_: 0)
            with pytest.raises(nidaqmx.errors.RpcError):
                task.register_signal_event(Signal.SAMPLE_CLOCK, lambda *_: 0)
        until(quick, lambda: quick.server._dispatcher.streams == 0)


def test_events_come_at_their_moments_of_virtual_time(make_lab):
    lab, moments, done = make_lab(VirtualClock()), [], []
    lab.channel.close()
    lab.channel = lab.server.channel()

    def main():
        with acquisition(lab, FINITE, 1000) as task:
            task.register_done_event(lambda handle, status, data: done.append(status) or 0)
            registration = next(iter(lab.server.system.tasks.values())).listeners["done event"]
            tell = registration._tell
            registration._tell = lambda status: (moments.append(lab.clock.now()), tell(status))
            task.start()
            lab.clock.sleep(60.0)

    lab.clock.run(main)
    lab.close()
    assert moments == [pytest.approx(9.99)]
    assert done == [0]
