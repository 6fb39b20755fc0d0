"""Sensirion liquid flow sensors behind an SCC1 cable (USB or RS-485): the SHDLC protocol, byte for byte.

One cable serves two generations of sensors.  SF04 (LG16, older SLI) gives plain counts; SF06 (SLF3S, newer SLI) gives
flow, temperature and flags.  The cable measures by its own crystal into a ring, from which the host reads blocks.

Sources: sensirion-shdlc-driver 1.0.2, sensirion-uart-scc1 2.0.0, Sensirion's SF04 example for the cable.  Not verified
against a cable, hence parameters or marked where they stand: silence after a bad checksum, the size of the ring, the
lost count of SF04 (``36 01``), the product error codes from 0x20.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import numpy as np

from instruments.simulation.devices.shdlc.frame import FrameAssembler, reply_frame, unpack_request
from instruments.simulation.devices.shdlc.ring import SampleRing, SensorModel
from instruments.simulation.signal import Signal
from instruments.simulation.wire import ByteDevice, SerialLine

OK, WRONG_SIZE, UNKNOWN, PARAMETER, CHECKSUM = 0, 1, 2, 4, 5
SENSOR_BUSY, SENSOR_SILENT = 0x20, 0x21
BROADCAST = 255
_LONGEST = 255  # data bytes of one reply
_SF04_TYPE, _SF06_TYPE = 0, 3
_SINGLE_S = 0.074  # one SF04 measurement at 16 bit
_SENSOR_FAULT = 1 << 16  # unverified which bit a cable sets


MODELS = {
    model.name: model
    for model in (
        SensorModel("LG16-0150", "SF04", 4, 0x0843, 1.0, 32_000, shortest_ms=80),
        SensorModel("SLF3S-0600F", "SF06", 10, 0x0844, 1e3, 32_500, "07030302"),
        SensorModel("SLF3S-1300F", "SF06", 500, 0x0845, 1e6, 32_500, "07030202"),
    )
}


class CommandError(Exception):
    """A command that the cable refuses, with the code of the reply's state byte."""

    def __init__(self, code: int) -> None:
        super().__init__(f"error {code}")
        self.code = code


class ShdlcFlowSensor(ByteDevice):
    """A flow sensor with its cable.

    Parameters
    ----------
    flow : what the sensor linearises, in nL/min, noise and gain error included; rounding and saturation happen here.
    model : a name of `MODELS` or a model.
    serial : serial number of the cable; ``sensor_serial`` that of the sensor, up to 16 hexadecimal digits.
    temperature, air : signals in °C and 0/1 that an SF06 sensor reports beside the flow.
    crystal_ppm : error of the cable's clock, positive when its intervals are long; by default drawn from ``seed``,
        within ±80 ppm.
    latency_s : time from the end of a command to the end of its reply at the host.
    ring_samples : what the cable keeps for a host that does not read; the oldest are lost.
    answers_bad_checksum : reply with error 5 instead of silence.
    """

    line = SerialLine(baud=115_200)
    boot_s = 0.5
    bus_powered = True

    def __init__(
        self,
        flow: Signal,
        *,
        model: SensorModel | str = "LG16-0150",
        serial: str = "FT3XYZ01",
        sensor_serial: str = "0000000000000008",
        temperature: Signal | None = None,
        air: Signal | None = None,
        crystal_ppm: float | None = None,
        seed: int = 0,
        latency_s: float = 0.004,
        address: int = 0,
        ring_samples: int = 1024,
        answers_bad_checksum: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(model, str):
            if model not in MODELS:
                raise ValueError(f'unknown flow sensor model "{model}"; known: {", ".join(MODELS)}')
            model = MODELS[model]
        if crystal_ppm is None:
            crystal_ppm = random.Random(f"{seed}/crystal/{serial}").uniform(-80.0, 80.0)
        self.model, self.serial, self.sensor_serial = model, serial, sensor_serial
        self.crystal_ppm = crystal_ppm
        self.latency_s = latency_s
        self.address = address
        self.answers_bad_checksum = answers_bad_checksum
        self.error_state = 0
        self.flow = flow
        self.ring = SampleRing(model, flow, temperature, air, crystal_ppm, ring_samples)
        self._type = _SF04_TYPE if model.family == "SF04" else _SF06_TYPE
        self._set_type = self._type
        self._powered_at = 0.0
        self._user_data = [bytes(20)] * 5
        self._frames = FrameAssembler()
        self._commands: dict[int, Callable[[bytes, float], bytes]] = {
            0x21: self._user_block, 0x22: self._self_test, 0x23: self._voltage, 0x24: self._sensor_type,
            0x25: self._i2c_address, 0x26: self._measured_voltage, 0x28: self._i2c_delay, 0x29: self._i2c_scan,
            0x30: self._status, 0x31: self._start_single, 0x32: self._read_single, 0x33: self._continuous,
            0x34: self._stop, 0x35: self._last, 0x36: self._buffer, 0x37: self._totalizer, 0x38: self._total,
            0x39: self._total_reset, 0x41: self._resolution, 0x42: self._heater, 0x50: self._product,
            0x53: self._scale_and_unit, 0x54: self._sensor_number, 0x65: self._sensor_reset,
            0x90: self._slave_address, 0x91: self._baud, 0x93: self._up_time, 0x95: self._reply_delay,
            0xD0: self._device_information, 0xD1: self._version, 0xD2: self._errors, 0xD3: self._reset,
        }  # fmt: skip
        self._power_up()

    def _power_up(self) -> None:
        self.ring.forget()
        self._single_ready: float | None = None
        self._last_error = 0
        self._settings = {"voltage": 0, "i2c": 0x40 if self._type == _SF04_TYPE else 0x08, "i2c_delay": 0}
        self._reply_delay_us = 0
        self._frames.clear()

    # -- the wire

    def on_bytes(self, data: bytes, now: float) -> None:
        """Execute the frames that are complete."""
        self.ring.frozen, self.ring.saturated = self.frozen, self.saturated
        for body in self._frames.feed(data):
            self._execute(body, now)

    def on_reboot(self, now: float) -> None:
        """A cable that loses its supply forgets the measurement and its errors."""
        self.ring.stop(now)
        self._powered_at = now
        self.error_state = 0
        self._power_up()

    def unsolicited(self) -> bytes:
        """A reply to a command that nobody gave."""
        return reply_frame(self.address, 0x30, 0, b"\x00")

    def fault(self, bits: int) -> None:
        """Raise device errors: the flag stays in every reply until D2 with argument 1 clears it."""
        self.error_state |= bits

    def _execute(self, body: bytes, now: float) -> None:
        request = unpack_request(body)
        if request is None or request.address not in (self.address, BROADCAST):
            return
        payload, code = b"", OK
        try:
            if not request.intact:
                if not self.answers_bad_checksum:
                    return
                raise CommandError(CHECKSUM)
            command = self._commands.get(request.command)
            if command is None:
                raise CommandError(UNKNOWN)
            payload = command(request.data, now)
        except CommandError as error:
            code = self._last_error = error.code
        if request.address != BROADCAST:
            state = code | (0x80 if self.error_state else 0)
            delay = self.latency_s + self._reply_delay_us * 1e-6
            self.emit(reply_frame(self.address, request.command, state, payload), now + delay)

    # -- measuring

    def _continuous(self, data: bytes, now: float) -> bytes:
        """33: start, or tell the interval."""
        if not data:
            return b"" if self.ring.interval_ms is None else struct.pack(">H", self.ring.interval_ms)
        if len(data) != (2 if self._set_type == _SF04_TYPE else 4):
            raise CommandError(WRONG_SIZE)
        if self._set_type != self._type:
            self.fault(_SENSOR_FAULT)
            raise CommandError(SENSOR_SILENT)
        if self._type == _SF06_TYPE:
            _expect_measurement_command(data[2:])
        self.ring.start(struct.unpack(">H", data[:2])[0], now)
        return b""

    def _stop(self, data: bytes, now: float) -> bytes:
        """34: stop measuring."""
        _expect(data, 0)
        self.ring.stop(now)
        return b""

    def _last(self, data: bytes, now: float) -> bytes:
        """35: the last measurement, all signals of it when the argument is the sensor type; empty if there is none."""
        if data and data[0] != self._type:
            raise CommandError(PARAMETER)
        row = self.ring.last(now)
        if row is None:
            return b""
        return (row if data else row[:, :1]).astype(">i2").tobytes()

    def _buffer(self, data: bytes, now: float) -> bytes:
        """36: what the ring holds, as plain flow counts, or with argument 3 as an extended buffer; 02 clears it."""
        if data == b"\x02":
            self.ring.clear(now)
            return b""
        if not data:
            rows, _ = self.ring.take(_LONGEST // 2, now)
            return rows[:, 0].astype(">i2").tobytes()
        if data == b"\x01" and self._type == _SF04_TYPE:
            self.ring.take(0, now)
            return struct.pack(">I", self._lost())
        if data != b"\x03" or self._type == _SF04_TYPE:
            raise CommandError(PARAMETER)
        row_bytes = 2 * self.model.width
        rows, left = self.ring.take((_LONGEST - 8) // row_bytes, now)
        header = struct.pack(">IHH", self._lost(), min(left * row_bytes, 0xFFFF), self.model.width)
        return header + rows.astype(">i2").tobytes()

    def _lost(self) -> int:
        """Samples lost since the host last asked."""
        lost, self.ring.lost = self.ring.lost, 0
        return lost

    def _start_single(self, data: bytes, now: float) -> bytes:
        """31: start one measurement."""
        _expect(data, 0)
        if self._type != _SF04_TYPE:
            raise CommandError(UNKNOWN)
        if self.ring.interval_ms is not None:
            raise CommandError(SENSOR_BUSY)
        self._single_ready = now + _SINGLE_S
        return b""

    def _read_single(self, data: bytes, now: float) -> bytes:
        """32: the result of that measurement, empty until it is there."""
        _expect(data, 0)
        if self._single_ready is None or now < self._single_ready:
            return b""
        value = self.ring.counts(np.array([self.flow.at(self._single_ready)]))
        self._single_ready = None
        return value.astype(">i2").tobytes()

    def _totalizer(self, data: bytes, now: float) -> bytes:
        """37: totalizer on, off, or which."""
        if not data:
            return bytes([self.ring.totalling])
        _expect(data, 1)
        self.ring.sum_counts(now)
        self.ring.totalling = bool(data[0])
        return b""

    def _total(self, data: bytes, now: float) -> bytes:
        """38: sum of the flow counts."""
        _expect(data, 0)
        return struct.pack(">q", self.ring.sum_counts(now))

    def _total_reset(self, data: bytes, now: float) -> bytes:
        """39: set the sum to zero."""
        _expect(data, 0)
        self.ring.sum_counts(now, reset=True)
        return b""

    def _status(self, data: bytes, now: float) -> bytes:
        """30: bit 0 while a continuous measurement runs."""
        _expect(data, 0)
        return bytes([self.ring.interval_ms is not None])

    def _sensor_reset(self, data: bytes, now: float) -> bytes:
        """65: reset the sensor; it is idle afterwards."""
        _expect(data, 0)
        self.ring.stop(now)
        return b""

    # -- the sensor's and the cable's data

    def _product(self, data: bytes, now: float) -> bytes:
        """50: product id and serial number of an SF06 sensor, part name of an SF04 one."""
        if self._type == _SF06_TYPE:
            return _text(f"{self.model.product_id}{int(self.sensor_serial, 16):016X}")
        return _text(self.model.name)

    def _sensor_number(self, data: bytes, now: float) -> bytes:
        """54: serial number of the sensor."""
        return _text(self.sensor_serial)

    def _scale_and_unit(self, data: bytes, now: float) -> bytes:
        """53: counts per unit, unit word and check; for SF06 of a measurement command."""
        if self._type == _SF06_TYPE:
            _expect(data, 2)
            _expect_measurement_command(data)
        return struct.pack(">HHH", self.model.counts_per_unit, self.model.unit_word, 0)

    def _sensor_type(self, data: bytes, now: float) -> bytes:
        """24: sensor type 0 SF04, 1 humidity, 2 SF05, 3 SF06."""
        if not data:
            return bytes([self._set_type])
        _expect(data, 1)
        if data[0] > 4:
            raise CommandError(PARAMETER)
        self._set_type = data[0]
        return b""

    def _resolution(self, data: bytes, now: float) -> bytes:
        """41: resolution of an SF04 sensor in bit."""
        _expect(data, 1)
        if not 9 <= data[0] <= 16:
            raise CommandError(PARAMETER)
        return b""

    def _heater(self, data: bytes, now: float) -> bytes:
        """42: heater of an SF04 sensor."""
        _expect(data, 1)
        return b""

    def _stored(self, name: str, data: bytes, form: str) -> bytes:
        if not data:
            return struct.pack(form, self._settings[name])
        _expect(data, struct.calcsize(form))
        self._settings[name] = struct.unpack(form, data)[0]
        return b""

    def _voltage(self, data: bytes, now: float) -> bytes:
        """23: supply, 0 = 3.3 V, 1 = 5 V."""
        return self._stored("voltage", data, ">B")

    def _i2c_address(self, data: bytes, now: float) -> bytes:
        """25: I²C address of the sensor."""
        return self._stored("i2c", data, ">B")

    def _i2c_delay(self, data: bytes, now: float) -> bytes:
        """28: delay on the I²C bus in µs."""
        return self._stored("i2c_delay", data, ">H")

    def _i2c_scan(self, data: bytes, now: float) -> bytes:
        """29: addresses that answer."""
        return bytes([self._settings["i2c"]])

    def _measured_voltage(self, data: bytes, now: float) -> bytes:
        """26: supply as measured, mV."""
        return struct.pack(">H", 5000 if self._settings["voltage"] else 3300)

    def _user_block(self, data: bytes, now: float) -> bytes:
        """21: read or write 20 bytes of user data."""
        if len(data) not in (1, 21):
            raise CommandError(WRONG_SIZE)
        if data[0] > 4:
            raise CommandError(PARAMETER)
        if len(data) == 1:
            return data + self._user_data[data[0]]
        self._user_data[data[0]] = data[1:]
        return b""

    def _self_test(self, data: bytes, now: float) -> bytes:
        """22: 0 is success."""
        return b"\x00\x00"

    def _device_information(self, data: bytes, now: float) -> bytes:
        """D0: product type, name, article code, serial number."""
        _expect(data, 1)
        texts = ("00070000", "RS485 Sensor Cable", "1-101241-01", self.serial, "")
        if data[0] >= len(texts):
            raise CommandError(PARAMETER)
        return _text(texts[data[0]])

    def _version(self, data: bytes, now: float) -> bytes:
        """D1: firmware 1.8, hardware 1.0, protocol 1.0."""
        return bytes((1, 8, 0, 1, 0, 1, 0))

    def _errors(self, data: bytes, now: float) -> bytes:
        """D2: error state and last error, with argument 1 cleared after the reply."""
        _expect(data, 1)
        reply = struct.pack(">IB", self.error_state, self._last_error)
        if data[0]:
            self.error_state = self._last_error = 0
        return reply

    def _slave_address(self, data: bytes, now: float) -> bytes:
        """90: address on the bus; the reply to a change still comes from the old one."""
        if not data:
            return bytes([self.address])
        _expect(data, 1)
        if data[0] == BROADCAST:
            raise CommandError(PARAMETER)
        self.address = data[0]
        return b""

    def _baud(self, data: bytes, now: float) -> bytes:
        """91: baud rate; this model keeps the one it has."""
        if not data:
            return struct.pack(">I", self.line.baud)
        _expect(data, 4)
        if struct.unpack(">I", data)[0] != self.line.baud:
            raise CommandError(PARAMETER)
        return b""

    def _up_time(self, data: bytes, now: float) -> bytes:
        """93: seconds since power-up."""
        return struct.pack(">I", int(now - self._powered_at))

    def _reply_delay(self, data: bytes, now: float) -> bytes:
        """95: delay before a reply in µs."""
        if not data:
            return struct.pack(">H", self._reply_delay_us)
        _expect(data, 2)
        self._reply_delay_us = struct.unpack(">H", data)[0]
        return b""

    def _reset(self, data: bytes, now: float) -> bytes:
        """D3: restart, after the reply."""
        self.ring.stop(now)
        self._powered_at = now
        self.error_state = 0
        self._power_up()
        self._ready_at = now + self.boot_s
        return b""


def _expect_measurement_command(word: bytes) -> None:
    """Water and isopropanol; other liquids exist only on sensors that were calibrated for them."""
    if word not in (b"\x36\x08", b"\x36\x15"):
        raise CommandError(PARAMETER)


def _expect(data: bytes, size: int) -> None:
    if len(data) != size:
        raise CommandError(WRONG_SIZE)


def _text(text: str) -> bytes:
    return text.encode("ascii") + b"\x00"


DEVICE = ShdlcFlowSensor
