"""What the simulated devices can do, as data.  Figures: NI's data sheets, rounded; a device is named as DAQmx names it.

``NI 9237`` and ``NI 9239`` are delta-sigma modules: they convert at their base rate divided by 1...31, so a task that
holds one cannot sample slowly.  ``NI 9208``, ``NI 9213``, ``NI 9217``, ``NI 9219`` are slow modules: beside faster ones
they repeat their last conversion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nidaqmx.constants import BusType, ProductCategory
from nidaqmx.constants import UsageTypeAI as Measures

from instruments.simulation.daqserver import iepe

Quantity = Literal["V", "A", "V/V", "ohm"]
Direction = Literal["in", "out", "both"]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Port:
    """One digital port: its number of lines and which way they go."""

    lines: int
    direction: Direction


@dataclass(frozen=True, slots=True)
class Product:
    """One type of device.

    Attributes
    ----------
    slots : modules that a chassis takes; 0 for a module or a device of its own.
    ranges : input ranges by electrical quantity, from the narrowest to the widest.
    over : how far beyond its range an input still converts, as a factor.
    bits : resolution over the nominal range.
    max_rate_hz : of one channel; of all channels together where the inputs share one converter (``shared``).
    base_rate_hz : of a delta-sigma module, else None.
    holds : whether it repeats its last conversion in a task that is faster than it.
    excitations_v : internal excitations of bridges.
    wires : resistance configurations.
    watchdog_s : longest timeout of the watchdog timer; None has none.
    pfi : digital line behind each PFI terminal; empty text for a terminal of its own.
    ao_rate_hz, di_rate_hz, do_rate_hz : fastest sample clock of outputs and lines; 0 has none.
    counter_hz : fastest timebase of the counters.
    teds : whether it reads the data sheet in a sensor.
    shunt_ohm : resistor for shunt calibration of bridges; None has none.
    apfi : analog terminals for triggers.
    feeds_a : currents with which it feeds sensors.
    category, bus : as the driver lists it.
    """

    name: str
    slots: int = 0
    ai: int = 0
    measures: tuple[Measures, ...] = ()
    ranges: Mapping[Quantity, tuple[Range, ...]] = field(default_factory=dict)
    over: float = 1.0
    bits: int = 16
    max_rate_hz: float = 0.0
    shared: bool = False
    base_rate_hz: float | None = None
    holds: bool = False
    excitations_v: tuple[float, ...] = ()
    wires: tuple[int, ...] = ()
    ao: int = 0
    ao_range: Range = (-10.0, 10.0)
    ao_quantity: Quantity = "V"
    ports: tuple[Port, ...] = ()
    counters: int = 0
    watchdog_s: float | None = None
    pfi: tuple[str, ...] = ()
    ao_rate_hz: float = 0.0
    di_rate_hz: float = 0.0
    do_rate_hz: float = 0.0
    counter_hz: float = 80e6
    teds: bool = False
    shunt_ohm: float | None = None
    apfi: int = 0
    feeds_a: tuple[float, ...] = ()
    category: ProductCategory = ProductCategory.C_SERIES_MODULE
    bus: BusType = BusType.COMPACT_DAQ

    @property
    def min_rate_hz(self) -> float:
        """Slowest hardware-timed rate."""
        return self.base_rate_hz / DIVISORS if self.base_rate_hz else 0.0


DIVISORS = 31
CHASSIS_ENGINES = 3
"""A CompactDAQ chassis runs three hardware-timed analog input tasks at a time."""

CHASSIS_WATCHDOG_S = (2**32 - 1) * 25e-9
X_SERIES_WATCHDOG_S = (2**32 - 1) * 8e-9
"""What the counter of the watchdog timer holds (user manuals of the cDAQ-9185/9189 and of X Series devices)."""

_VOLTAGE = (
    Measures.VOLTAGE,
    Measures.VOLTAGE_CUSTOM_WITH_EXCITATION,
    Measures.CURRENT,
    Measures.TEMPERATURE_THERMISTOR,  # on a divider with an excitation of its own
)
_MULTIFUNCTION = (
    *_VOLTAGE,
    Measures.TEMPERATURE_THERMOCOUPLE,  # with a cold junction that the application knows
    Measures.RESISTANCE,  # by the voltage that a current of the application's makes
    Measures.TEMPERATURE_RTD,
)
_BRIDGE = (
    Measures.BRIDGE,
    Measures.PRESSURE_BRIDGE,
    Measures.FORCE_BRIDGE,
    Measures.TORQUE_BRIDGE,
    Measures.STRAIN_STRAIN_GAGE,
)
_TEMPERATURE = (Measures.TEMPERATURE_THERMOCOUPLE, Measures.TEMPERATURE_BUILT_IN_SENSOR, Measures.VOLTAGE)
_TEN_VOLTS: dict[Quantity, tuple[Range, ...]] = {"V": ((-10.0, 10.0),)}
_FOUR_RANGES: dict[Quantity, tuple[Range, ...]] = {"V": ((-0.2, 0.2), (-1.0, 1.0), (-5.0, 5.0), (-10.0, 10.0))}
_X_SERIES_RANGES: dict[Quantity, tuple[Range, ...]] = {
    "V": tuple((-end, end) for end in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0))
}


def _lines(port: int, lines: int) -> tuple[str, ...]:
    return tuple(f"port{port}/line{line}" for line in range(lines))


_CHASSIS = ProductCategory.COMPACT_DAQ_CHASSIS
_X_SERIES_PFI = _lines(1, 8) + _lines(2, 8)

_PRODUCTS = (
    Product("cDAQ-9171", category=_CHASSIS, bus=BusType.USB, slots=1),
    Product("cDAQ-9174", category=_CHASSIS, bus=BusType.USB, slots=4, counters=4),
    Product("cDAQ-9178", category=_CHASSIS, bus=BusType.USB, slots=8, counters=4, pfi=("", "")),
    Product(
        "cDAQ-9185", category=_CHASSIS, bus=BusType.TCPIP, slots=4, counters=4, pfi=("",), watchdog_s=CHASSIS_WATCHDOG_S
    ),
    Product(
        "cDAQ-9189", category=_CHASSIS, bus=BusType.TCPIP, slots=8, counters=4, pfi=("",), watchdog_s=CHASSIS_WATCHDOG_S
    ),
    Product("NI 9201", ai=8, measures=_VOLTAGE, ranges=_TEN_VOLTS, over=1.04, bits=12, max_rate_hz=500e3, shared=True),
    Product("NI 9205", ai=32, measures=_VOLTAGE, ranges=_FOUR_RANGES, over=1.04, max_rate_hz=250e3, shared=True),
    Product("NI 9215", ai=4, measures=_VOLTAGE, ranges=_TEN_VOLTS, over=1.04, max_rate_hz=100e3),
    Product(
        "NI 9239", ai=4, measures=_VOLTAGE, ranges=_TEN_VOLTS, over=1.05, bits=24, max_rate_hz=50e3, base_rate_hz=50e3
    ),
    Product(
        "NI 9203",
        ai=8,
        measures=(Measures.CURRENT,),
        ranges={"A": ((0.0, 20e-3), (-20e-3, 20e-3))},
        over=1.075,
        max_rate_hz=200e3,
        shared=True,
    ),
    Product(
        "NI 9208",
        ai=16,
        measures=(Measures.CURRENT,),
        ranges={"A": ((-21.5e-3, 21.5e-3),)},
        over=1.02,
        bits=24,
        max_rate_hz=500.0,
        shared=True,
        holds=True,
    ),
    Product(
        "NI 9211",
        ai=4,
        measures=_TEMPERATURE,
        ranges={"V": ((-80e-3, 80e-3),)},
        bits=24,
        max_rate_hz=14.0,
        shared=True,
        holds=True,
    ),
    Product(
        "NI 9213",
        ai=16,
        measures=_TEMPERATURE,
        ranges={"V": ((-78.125e-3, 78.125e-3),)},
        bits=24,
        max_rate_hz=1200.0,
        shared=True,
        holds=True,
    ),
    Product(
        "NI 9217",
        ai=4,
        measures=(Measures.TEMPERATURE_RTD, Measures.RESISTANCE),
        ranges={"ohm": ((0.0, 400.0),)},
        bits=24,
        max_rate_hz=400.0,
        shared=True,
        holds=True,
        wires=(3, 4),
    ),
    Product(
        "NI 9219",
        ai=4,
        teds=True,
        measures=(
            *_VOLTAGE,
            *_BRIDGE,
            Measures.TEMPERATURE_THERMOCOUPLE,
            Measures.TEMPERATURE_RTD,
            Measures.TEMPERATURE_THERMISTOR,
            Measures.RESISTANCE,
        ),
        ranges={
            "V": ((-0.125, 0.125), (-1.0, 1.0), (-4.0, 4.0), (-15.0, 15.0), (-60.0, 60.0)),
            "A": ((-25e-3, 25e-3),),
            "V/V": ((-7.8125e-3, 7.8125e-3), (-62.5e-3, 62.5e-3), (-0.5, 0.5)),
            "ohm": ((0.0, 505.0), (0.0, 1.05e3), (0.0, 5.05e3), (0.0, 10.5e3)),
        },
        bits=24,
        max_rate_hz=100.0,
        holds=True,
        excitations_v=(2.5,),
        wires=(2, 3, 4),
    ),
    Product(
        "NI 9237",
        ai=4,
        teds=True,
        shunt_ohm=100e3,
        measures=_BRIDGE,
        ranges={"V/V": ((-25e-3, 25e-3),)},
        bits=24,
        max_rate_hz=50e3,
        base_rate_hz=50e3,
        excitations_v=(2.5, 3.3, 5.0, 10.0),
    ),
    Product(
        "NI 9234",
        ai=4,
        teds=True,
        measures=(Measures.VOLTAGE, *iepe.ALL),
        ranges={"V": ((-5.0, 5.0),)},
        bits=24,
        max_rate_hz=51.2e3,
        base_rate_hz=51.2e3,
        feeds_a=(2e-3,),
    ),
    Product("TS-15000", category=ProductCategory.TEST_SCALE_CHASSIS, bus=BusType.USB, slots=5),
    Product(
        "TS-15200",
        category=ProductCategory.TEST_SCALE_MODULE,
        bus=BusType.USB,
        measures=(Measures.POWER,),
        max_rate_hz=1e3,
    ),
    Product("NI 9263", ao=4, ao_rate_hz=100e3),
    Product("NI 9265", ao=4, ao_range=(0.0, 20e-3), ao_quantity="A", ao_rate_hz=100e3),
    Product("NI 9401", ports=(Port(8, "both"),), pfi=_lines(0, 8), di_rate_hz=10e6, do_rate_hz=10e6),
    Product("NI 9421", ports=(Port(8, "in"),), pfi=_lines(0, 8), di_rate_hz=10e3),
    Product("NI 9472", ports=(Port(8, "out"),), pfi=_lines(0, 8), do_rate_hz=10e3),
    Product("NI 9474", ports=(Port(8, "out"),), pfi=_lines(0, 8), do_rate_hz=1e6),
    Product("NI 9481", ports=(Port(4, "out"),)),
    Product("NI 9482", ports=(Port(4, "out"),)),
    Product(
        "USB-6211",
        category=ProductCategory.M_SERIES_DAQ,
        bus=BusType.USB,
        ai=16,
        measures=_MULTIFUNCTION,
        ranges=_FOUR_RANGES,
        max_rate_hz=250e3,
        shared=True,
        ao=2,
        ports=(Port(4, "in"), Port(4, "out")),
        counters=2,
        pfi=_lines(0, 4) + _lines(1, 4),
        ao_rate_hz=250e3,
    ),
    Product(
        "USB-6341",
        category=ProductCategory.X_SERIES_DAQ,
        bus=BusType.USB,
        ai=16,
        measures=_MULTIFUNCTION,
        ranges=_FOUR_RANGES,
        max_rate_hz=500e3,
        shared=True,
        ao=2,
        ports=(Port(8, "both"), Port(8, "both"), Port(8, "both")),
        counters=4,
        watchdog_s=X_SERIES_WATCHDOG_S,
        pfi=_X_SERIES_PFI,
        ao_rate_hz=900e3,
        di_rate_hz=1e6,
        do_rate_hz=1e6,
        counter_hz=100e6,
    ),
    Product(
        "PCIe-6363",
        category=ProductCategory.X_SERIES_DAQ,
        bus=BusType.PCIE,
        ai=32,
        measures=_MULTIFUNCTION,
        ranges=_X_SERIES_RANGES,
        max_rate_hz=1e6,
        shared=True,
        ao=4,
        ports=(Port(32, "both"), Port(8, "both"), Port(8, "both")),
        counters=4,
        watchdog_s=X_SERIES_WATCHDOG_S,
        pfi=_X_SERIES_PFI,
        ao_rate_hz=2.86e6,
        di_rate_hz=10e6,
        do_rate_hz=10e6,
        apfi=2,
        counter_hz=100e6,
    ),
)

PRODUCTS: dict[str, Product] = {product.name: product for product in _PRODUCTS}


class CatalogueError(ValueError):
    """A device that the catalogue does not know."""


def product(name: str) -> Product:
    """Find a type of device; "NI 9237", "NI9237" and "9237" are one.  Raises CatalogueError."""
    bare = name.upper().replace("NI", "").strip(" -_")
    for known in _PRODUCTS:
        if bare in (known.name.upper(), known.name.upper().replace("NI ", "")):
            return known
    raise CatalogueError(f"there is no simulated device of type {name!r}; write one of {', '.join(PRODUCTS)}")
