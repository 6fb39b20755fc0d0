"""A Keysight 34461A multimeter with a transducer at its terminals (LAN socket 5025, USB, GPIB): SCPI, ends of line LF.

Source: operating and service guide of the Truevolt series.  Simulated is what a transducer needs: direct voltage and
current, range, integration time, triggers that are immediate, samples, the error queue.  From memory, not verified
against a real unit: the digits of ``CONF?``.  Assumed: noise.
"""

from __future__ import annotations

from collections.abc import Callable

from instruments.simulation.devices.keysight.converter import FUNCTIONS, NPLC, RANGES, Converter, Setup
from instruments.simulation.devices.keysight.instrument import ScpiInstrument
from instruments.simulation.devices.keysight.scpi import (
    CONFLICT,
    ILLEGAL,
    NOT_ALLOWED,
    OVERLOAD,
    STALE,
    Command,
    Header,
    Query,
    Reply,
    ScpiError,
    boolean,
    choice,
    number,
    parts,
    sent,
)
from instruments.simulation.signal import Signal

_MOST_SAMPLES = 10_000


class Keysight34461A(ScpiInstrument):
    """A multimeter.

    Parameters
    ----------
    volts, amps : signals at its terminals, in V and A; what is not connected shows nothing.
    serial, firmware : as ``*IDN?`` tells them.
    noise : standard deviation of a conversion at 1 NPLC, relative to its range.
    latency_s : time that an answer takes beside the conversions.
    """

    boot_s = 20.0

    def __init__(
        self,
        *,
        volts: Signal | None = None,
        amps: Signal | None = None,
        serial: str = "MY53201234",
        firmware: str = "A.02.14-02.40-02.14-00.49-01-01",
        noise: float = 3e-7,
        latency_s: float = 0.002,
        seed: int = 0,
    ) -> None:
        if volts is None and amps is None:
            raise ValueError(f'multimeter {serial}: nothing is connected; give "volts" or "amps"')
        self.signals: dict[str, Signal | None] = {"VOLT": volts, "CURR": amps}
        self._held: float | None = None
        identity = f"Keysight Technologies,34461A,{serial},{firmware}"
        super().__init__(identity, Converter(serial, noise, seed), latency_s)

    @property
    def setup(self) -> Setup:
        """How the present function is converted; each keeps its own."""
        return self.setups[self.function]

    def _reset(self) -> None:
        self.function = "VOLT"
        self.setups = {short: Setup(short, RANGES[short][2]) for short in FUNCTIONS}
        self.samples, self.triggers, self.source = 1, 1, "IMM"
        self.display, self.shown = True, ""
        self._memory: list[float] | None = None

    def _headers(self) -> list[Header]:
        headers = [
            Header("CONFigure", lambda text, t: self._configured()),
            Header("READ", self._read),
            Header("INITiate[:IMMediate]", None, self._initiate),
            Header("FETCh", lambda text, t: self._fetch()),
            Header("ABORt", None, lambda text, t: None),
            Header("TRIGger:SOURce", lambda text, t: self.source, self._set_source),
            Header("TRIGger:COUNt", lambda text, t: sent(self.triggers), self._set_triggers),
            Header("SAMPle:COUNt", lambda text, t: f"{self.samples:+d}", self._set_samples),
            Header("[SENSe:]FUNCtion[:ON]", lambda text, t: f'"{self.setup.function}"', self._set_function),
            Header("SYSTem:LFRequency", lambda text, t: "+50"),
            Header("ROUTe:TERMinals", lambda text, t: "FRON"),
            Header("DISPlay[:STATe]", lambda text, t: f"{self.display:d}", self._set_display),
            Header("DISPlay:TEXT[:DATA]", lambda text, t: f'"{self.shown}"', self._show),
            Header("DISPlay:TEXT:CLEar", None, lambda text, t: self._show('""', t)),
        ]
        for short, long in FUNCTIONS.items():
            path = f"[SENSe:]{long}[:DC]"
            headers += [
                Header(f"CONFigure:{long}[:DC]", None, self._configure(short)),
                Header(f"MEASure:{long}[:DC]", self._measured(short)),
                Header(
                    f"{path}:RANGe[:UPPer]", self._of(short, lambda one: sent(one.range)), self._set(short, Setup.fix),
                ),
                Header(f"{path}:RANGe:AUTO", self._of(short, lambda one: f"{one.auto:d}"), self._set(short, _auto)),
                Header(f"{path}:RESolution", self._of(short, lambda one: sent(one.resolution)), lambda text, t: None),
                Header(f"{path}:NPLC", self._of(short, lambda one: sent(one.nplc)), self._set(short, _nplc)),
                Header(f"{path}:ZERO:AUTO", self._of(short, lambda one: f"{one.auto_zero:d}"), self._set(short, _zero)),
                Header(
                    f"{path}:IMPedance:AUTO", self._of(short, lambda one: f"{one.auto_impedance:d}"),
                    self._set(short, _impedance),
                ),
            ]  # fmt: skip
        return headers

    # -- measuring

    def _convert(self, t: float) -> float:
        if self.saturated:
            return OVERLOAD
        if not self.frozen or self._held is None:
            self._held = self._converter.convert(self.signals[self.setup.function], self.setup, t)
        return self._held

    def _initiate(self, text: str, t: float) -> None:
        if text:
            raise ScpiError(NOT_ALLOWED)
        if self.source != "IMM":
            raise ScpiError(CONFLICT)
        count = min(self.samples * self.triggers, _MOST_SAMPLES)
        self._memory = [self._convert(t + k * self.setup.takes_s) for k in range(count)]

    def _fetch(self) -> Reply:
        if self._memory is None:
            raise ScpiError(STALE)
        return Reply(",".join(map(sent, self._memory)), len(self._memory) * self.setup.takes_s)

    def _read(self, text: str, t: float) -> Reply:
        self._initiate(text, t)
        return self._fetch()

    # -- settings

    def _configure(self, function: str) -> Command:
        def configure(text: str, t: float) -> None:
            given = parts(text)
            if len(given) > 2:
                raise ScpiError(NOT_ALLOWED)
            setup = Setup(function, RANGES[function][2])
            if given and given[0].upper() not in ("DEF", "AUTO"):
                setup.fix(given[0])
            self._reset()
            self.function = function
            self.setups[function] = setup

        return configure

    def _configured(self) -> str:
        return self.setup.told

    def _of(self, function: str, shown: Callable[[Setup], str]) -> Query:
        return lambda text, t: shown(self.setups[function])

    def _set(self, function: str, change: Callable[[Setup, str], None]) -> Command:
        return lambda text, t: change(self.setups[function], text)

    def _set_function(self, text: str, t: float) -> None:
        word = text.strip("\"'").upper().removesuffix(":DC")
        for short, long in FUNCTIONS.items():
            if word in (short, long.upper()):
                self.function = short
                return
        raise ScpiError(ILLEGAL)

    def _set_source(self, text: str, t: float) -> None:
        self.source = choice(text, IMM="IMMEDIATE", BUS="BUS", EXT="EXTERNAL", INT="INTERNAL")

    def _set_display(self, text: str, t: float) -> None:
        self.display = boolean(text)

    def _show(self, text: str, t: float) -> None:
        self.shown = text.strip("\"'")

    def _set_samples(self, text: str, t: float) -> None:
        self.samples = int(number(text, 1.0, 1e6, 1.0))

    def _set_triggers(self, text: str, t: float) -> None:
        self.triggers = int(number(text, 1.0, 1e6, 1.0))


def _auto(setup: Setup, text: str) -> None:
    setup.auto = text.strip().upper() != "ONCE" and boolean(text)


def _nplc(setup: Setup, text: str) -> None:
    setup.average(number(text, NPLC[0], 100.0, 10.0))


def _zero(setup: Setup, text: str) -> None:
    setup.auto_zero = text.strip().upper() != "ONCE" and boolean(text)


def _impedance(setup: Setup, text: str) -> None:
    setup.auto_impedance = boolean(text)


DEVICE = Keysight34461A
