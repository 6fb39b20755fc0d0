"""What the simulated NI devices make of a voltage, a current, a bridge, a thermocouple, a resistance thermometer."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import nidaqmx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nidaqmx.constants import (
    BridgeConfiguration,
    BridgeElectricalUnits,
    BridgePhysicalUnits,
    BridgeUnits,
    CJCSource,
    CurrentShuntResistorLocation,
    CurrentUnits,
    ExcitationSource,
    ForceUnits,
    PressureUnits,
    ResistanceConfiguration,
    RTDType,
    StrainGageBridgeType,
    TemperatureUnits,
    ThermocoupleType,
    VoltageUnits,
)
from nidaqmx.error_codes import DAQmxErrors
from nidaqmx.errors import DaqError
from nidaqmx.scale import Scale

from instruments.clock import VirtualClock
from instruments.simulation.daqserver import resistance, thermocouples
from instruments.simulation.daqserver.hardware import Wiring
from instruments.simulation.daqserver.server import DaqServer

UNIVERSAL, VOLTS, LOOP, COUPLES, PLATINUM, BRIDGE = (f"cDAQ1Mod{slot}" for slot in range(1, 7))
DEVICES = {
    UNIVERSAL: "NI 9219",
    VOLTS: "NI 9215",
    LOOP: "NI 9203",
    COUPLES: "NI 9213",
    PLATINUM: "NI 9217",
    BRIDGE: "NI 9237",
}
WIRING = {f"{VOLTS}/ai1": Wiring(shunt_ohm=249.0), f"{UNIVERSAL}/ai3": Wiring(lead_ohm=0.5)}


class Level:
    """A signal that stands still."""

    def __init__(self, value: float) -> None:
        self.value = value

    def at(self, t: float) -> float:
        return self.value

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return np.full(n, self.value)


class Bench:
    """One server and a level at each terminal."""

    def __init__(self) -> None:
        terminals = [f"{module}/ai{index}" for module in DEVICES for index in range(4)]
        self.levels = {terminal: Level(0.0) for terminal in [*terminals, f"{COUPLES}/_cjtemp"]}
        self.server = DaqServer(VirtualClock(), DEVICES, self.levels, wiring=WIRING).start()
        self.channel = grpc.insecure_channel(self.server.target)

    def options(self) -> nidaqmx.GrpcSessionOptions:
        return nidaqmx.GrpcSessionOptions(self.channel, "")

    def task(self) -> nidaqmx.Task:
        return nidaqmx.Task(grpc_options=self.options())

    def read(self, terminal: str, electrical: float, kind: str, **settings: object) -> float:
        """What one channel reads when a level stands at its terminal."""
        self.levels.get(terminal, Level(0.0)).value = electrical
        with self.task() as task:
            getattr(task.ai_channels, f"add_ai_{kind}_chan")(terminal, **settings)
            return float(task.read())

    def close(self) -> None:
        self.channel.close()
        self.server.close()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


PRESSURE = {
    "min_val": -20.0,
    "max_val": 250.0,
    "units": PressureUnits.PASCALS,
    "physical_units": BridgePhysicalUnits.PASCALS,
    "first_electrical_val": 0.0,
    "second_electrical_val": 2.0,
    "electrical_units": BridgeElectricalUnits.MILLIVOLTS_PER_VOLT,
    "first_physical_val": 0.0,
    "second_physical_val": 100.0,
}


def test_a_bridge_of_2_mv_per_v_reads_half_its_range_at_1_mv_per_v(bench: Bench) -> None:
    assert bench.read(f"{BRIDGE}/ai0", 1e-3, "pressure_bridge_two_point_lin", **PRESSURE) == pytest.approx(
        50.0, abs=1e-4
    )


@pytest.mark.parametrize(
    ("mistake", "factor"),
    [
        ({"second_electrical_val": 3.0}, 2.0 / 3.0),
        ({"electrical_units": BridgeElectricalUnits.VOLTS_PER_VOLT, "min_val": -1.0, "max_val": 1.0}, 1e-3),
        ({"bridge_config": BridgeConfiguration.HALF_BRIDGE}, 0.5),
        ({"units": PressureUnits.BAR, "min_val": -2e-4, "max_val": 25e-4}, 1e-5),
        ({"voltage_excit_source": ExcitationSource.NONE}, 0.0),
        ({"physical_units": BridgePhysicalUnits.POUNDS_PER_SQ_INCH, "min_val": -1e5, "max_val": 1e6}, 6894.757),
    ],
)
def test_a_wrong_bridge_configuration_shows_as_a_wrong_pressure(
    bench: Bench, mistake: dict[str, object], factor: float
) -> None:
    settings = PRESSURE | mistake
    found = bench.read(f"{BRIDGE}/ai0", 1e-3, "pressure_bridge_two_point_lin", **settings)
    assert found == pytest.approx(50.0 * factor, rel=1e-5, abs=1e-9)


def test_a_transducer_of_four_arms_on_a_quarter_bridge_input_rails(bench: Bench) -> None:
    settings = PRESSURE | {"bridge_config": BridgeConfiguration.QUARTER_BRIDGE}
    assert bench.read(f"{BRIDGE}/ai0", 0.0, "pressure_bridge_two_point_lin", **settings) == pytest.approx(
        1250.0, rel=1e-6
    )


TABLE = {
    "min_val": 0.0,
    "max_val": 100.0,
    "units": PressureUnits.PASCALS,
    "electrical_vals": [0.0, 1.0, 2.0],
    "electrical_units": BridgeElectricalUnits.MILLIVOLTS_PER_VOLT,
    "physical_vals": [0.0, 40.0, 100.0],
    "physical_units": BridgePhysicalUnits.PASCALS,
}


def test_a_table_bridge_interpolates_between_its_points(bench: Bench) -> None:
    assert bench.read(f"{BRIDGE}/ai1", 1.5e-3, "pressure_bridge_table", **TABLE) == pytest.approx(70.0, abs=1e-3)


@pytest.mark.parametrize(
    "limits",
    [
        {"min_val": -1.0},
        {"max_val": 101.0},
        {"units": PressureUnits.BAR, "min_val": 0.0, "max_val": 1.01e-3},
    ],
)
def test_the_limits_of_a_table_bridge_must_be_within_its_table(bench: Bench, limits: dict[str, object]) -> None:
    with pytest.raises(DaqError) as refused:
        bench.read(f"{BRIDGE}/ai1", 1.5e-3, "pressure_bridge_table", **(TABLE | limits))
    assert refused.value.error_type is DAQmxErrors.MIN_MAX_OUTSIDE_TABLE_RANGE


def test_a_polynomial_bridge_follows_its_polynomial(bench: Bench) -> None:
    settings = {
        "min_val": 0.0,
        "max_val": 100.0,
        "units": PressureUnits.PASCALS,
        "forward_coeffs": [1.0, 48.0, 2.0],
        "reverse_coeffs": [0.0, 0.02],
        "electrical_units": BridgeElectricalUnits.MILLIVOLTS_PER_VOLT,
        "physical_units": BridgePhysicalUnits.PASCALS,
    }
    found = bench.read(f"{BRIDGE}/ai1", 1.5e-3, "pressure_bridge_polynomial", **settings)
    assert found == pytest.approx(1.0 + 48.0 * 1.5 + 2.0 * 1.5**2, abs=1e-3)


def test_a_load_cell_reads_newtons_or_pounds(bench: Bench) -> None:
    settings = {
        "first_electrical_val": 0.0,
        "second_electrical_val": 2.0,
        "electrical_units": BridgeElectricalUnits.MILLIVOLTS_PER_VOLT,
        "first_physical_val": 0.0,
        "second_physical_val": 10.0,
        "physical_units": BridgePhysicalUnits.NEWTONS,
        "min_val": -5.0,
        "max_val": 5.0,
    }
    newtons = bench.read(f"{BRIDGE}/ai2", 0.5e-3, "force_bridge_two_point_lin", units=ForceUnits.NEWTONS, **settings)
    pounds = bench.read(f"{BRIDGE}/ai2", 0.5e-3, "force_bridge_two_point_lin", units=ForceUnits.POUNDS, **settings)
    assert newtons == pytest.approx(2.5, abs=1e-4)
    assert pounds == pytest.approx(2.5 / 4.4482216, abs=1e-4)


def test_a_plain_bridge_reads_its_ratio_and_can_be_nulled(bench: Bench) -> None:
    bench.levels[f"{BRIDGE}/ai3"].value = 0.3e-3
    with bench.task() as task:
        task.ai_channels.add_ai_bridge_chan(
            f"{BRIDGE}/ai3", min_val=-2.0, max_val=2.0, units=BridgeUnits.MILLIVOLTS_PER_VOLT
        )
        before = task.read()
        task.perform_bridge_offset_nulling_cal()
        after = task.read()
    assert before == pytest.approx(0.3, abs=1e-5)
    assert after == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(
    ("shape", "strain"),
    [
        (StrainGageBridgeType.FULL_BRIDGE_I, -1e-3 / 2.0),
        (StrainGageBridgeType.FULL_BRIDGE_II, -2e-3 / (2.0 * 1.3)),
        (StrainGageBridgeType.FULL_BRIDGE_III, -2e-3 / (2.0 * (1.3 + 0.7e-3))),
        (StrainGageBridgeType.HALF_BRIDGE_I, -4e-3 / (2.0 * (1.3 + 1.4e-3)) * (1.0 + 1.0 / 350.0)),
        (StrainGageBridgeType.HALF_BRIDGE_II, -2e-3 / 2.0 * (1.0 + 1.0 / 350.0)),
        (StrainGageBridgeType.QUARTER_BRIDGE_I, -4e-3 / (2.0 * (1.0 + 2e-3)) * (1.0 + 1.0 / 350.0)),
    ],
)
def test_strain_follows_the_equation_of_its_bridge(bench: Bench, shape: StrainGageBridgeType, strain: float) -> None:
    found = bench.read(
        f"{BRIDGE}/ai0",
        1e-3,
        "strain_gage",
        min_val=-5e-3,
        max_val=5e-3,
        strain_config=shape,
        voltage_excit_val=2.5,
        gage_factor=2.0,
        nominal_gage_resistance=350.0,
        poisson_ratio=0.3,
        lead_wire_resistance=1.0,
    )
    assert found == pytest.approx(strain, rel=1e-5)


# ------------------------------------------------------------------------------------------ voltage and current


def test_a_voltage_is_rounded_to_the_steps_of_16_bits(bench: Bench) -> None:
    step = 20.0 / 65536.0
    found = bench.read(f"{VOLTS}/ai0", 1.23456, "voltage", min_val=-10.0, max_val=10.0)
    assert found == round(1.23456 / step) * step
    assert abs(found - 1.23456) <= step / 2.0


def test_a_voltage_beyond_the_range_is_clipped_at_its_end(bench: Bench) -> None:
    assert bench.read(f"{VOLTS}/ai0", 14.0, "voltage", min_val=-10.0, max_val=10.0) == pytest.approx(10.4)
    assert bench.read(f"{VOLTS}/ai0", -14.0, "voltage", min_val=-10.0, max_val=10.0) == pytest.approx(-10.4)


def test_the_narrowest_range_that_holds_the_limits_is_used(bench: Bench) -> None:
    fine = bench.read(f"{UNIVERSAL}/ai0", 0.5, "voltage", min_val=-0.1, max_val=0.1)
    wide = bench.read(f"{UNIVERSAL}/ai0", 0.5, "voltage", min_val=-0.8, max_val=0.8)
    assert fine == pytest.approx(0.125)
    assert wide == pytest.approx(0.5, abs=1e-6)


def test_voltage_with_excitation_is_divided_by_the_excitation_that_the_task_names(bench: Bench) -> None:
    bench.levels[f"{VOLTS}/ai2"].value = 0.5
    settings = {"min_val": -1.0, "max_val": 1.0, "use_excit_for_scaling": True}
    with bench.task() as task:
        task.ai_channels.add_ai_voltage_chan_with_excit(
            f"{VOLTS}/ai2", voltage_excit_source=ExcitationSource.EXTERNAL, voltage_excit_val=5.0, **settings
        )
        assert task.read() == pytest.approx(0.1, abs=1e-4)


def test_a_loop_on_a_current_module_reads_amperes(bench: Bench) -> None:
    found = bench.read(f"{LOOP}/ai0", 12e-3, "current", min_val=0.0, max_val=20e-3, units=CurrentUnits.AMPS)
    assert found == pytest.approx(12e-3, abs=20e-3 / 65536)


@pytest.mark.parametrize(("stated_ohm", "reads_a"), [(249.0, 12e-3), (250.0, 12e-3 * 249.0 / 250.0)])
def test_a_loop_over_a_resistor_reads_what_the_stated_resistor_makes_of_it(
    bench: Bench, stated_ohm: float, reads_a: float
) -> None:
    found = bench.read(
        f"{VOLTS}/ai1",
        12e-3,
        "current",
        min_val=0.0,
        max_val=20e-3,
        shunt_resistor_loc=CurrentShuntResistorLocation.EXTERNAL,
        ext_shunt_resistor_val=stated_ohm,
    )
    assert found == pytest.approx(reads_a, abs=1e-6)
    assert bench.read(f"{VOLTS}/ai1", 12e-3, "voltage", min_val=-10.0, max_val=10.0) == pytest.approx(2.988, abs=2e-4)


def test_custom_scales_come_last(bench: Bench) -> None:
    Scale.create_lin_scale("bar", 2.0, 1.0, grpc_options=bench.options())
    Scale.create_map_scale("percent", 0.0, 5.0, 0.0, 100.0, grpc_options=bench.options())
    Scale.create_table_scale("curve", [0.0, 1.0, 5.0], [0.0, 10.0, 20.0], grpc_options=bench.options())
    Scale.create_polynomial_scale("square", [0.0, 0.0, 1.0], [0.0, 1.0], grpc_options=bench.options())
    settings = {"min_val": 0.0, "max_val": 10.0, "units": VoltageUnits.FROM_CUSTOM_SCALE}
    found = [
        bench.read(f"{VOLTS}/ai0", 3.0, "voltage", custom_scale_name=name, **settings)
        for name in ("bar", "percent", "curve", "square")
    ]
    assert found == pytest.approx([7.0, 60.0, 15.0, 9.0], abs=3e-3)


# ------------------------------------------------------------------------------------------------ temperatures

ITS_90_MILLIVOLTS = [  # type, degC, mV: points of the tables of NIST monograph 175
    ("B", 1000.0, 4.834),
    ("E", -200.0, -8.825),
    ("E", 100.0, 6.319),
    ("E", 1000.0, 76.373),
    ("J", -210.0, -8.095),
    ("J", 100.0, 5.269),
    ("J", 1200.0, 69.553),
    ("K", -200.0, -5.891),
    ("K", 25.0, 1.000),
    ("K", 37.0, 1.489),
    ("K", 100.0, 4.096),
    ("K", 1372.0, 54.886),
    ("N", -200.0, -3.990),
    ("N", 100.0, 2.774),
    ("N", 1300.0, 47.513),
    ("R", 1000.0, 10.506),
    ("R", 1700.0, 20.222),
    ("S", 1000.0, 9.587),
    ("S", 1700.0, 17.947),
    ("T", -200.0, -5.603),
    ("T", 37.0, 1.486),
    ("T", 100.0, 4.279),
    ("T", 400.0, 20.872),
]


@pytest.mark.parametrize(("kind", "degc", "millivolts"), ITS_90_MILLIVOLTS)
def test_thermocouples_agree_with_the_its_90_tables(kind: str, degc: float, millivolts: float) -> None:
    assert float(thermocouples.emf_v(kind, degc)) * 1e3 == pytest.approx(millivolts, abs=0.0006)


@given(st.sampled_from("BEJKNRST"), st.floats(0.0, 1.0))
def test_the_temperature_of_a_thermocouples_voltage_is_the_one_it_came_from(kind: str, share: float) -> None:
    low, high = thermocouples.span_degc(kind)
    low = {"B": 60.0}.get(kind, max(low, -200.0))
    degc = low + share * (high - low)
    assert float(thermocouples.temperature_degc(kind, thermocouples.emf_v(kind, degc))) == pytest.approx(degc, abs=5e-5)


@pytest.mark.parametrize("kind", "EJKNRST")
def test_a_thermocouple_is_compensated_for_its_cold_junction(bench: Bench, kind: str) -> None:
    volts = float(thermocouples.emf_v(kind, 60.0) - thermocouples.emf_v(kind, 22.0))
    bench.levels[f"{COUPLES}/_cjtemp"].value = 22.0
    settings = {"min_val": 0.0, "max_val": 100.0, "thermocouple_type": ThermocoupleType[kind]}
    built_in = bench.read(f"{COUPLES}/ai0", volts, "thrmcpl", cjc_source=CJCSource.BUILT_IN, **settings)
    constant = bench.read(
        f"{COUPLES}/ai0", volts, "thrmcpl", cjc_source=CJCSource.CONSTANT_USER_VALUE, cjc_val=22.0, **settings
    )
    wrong = bench.read(
        f"{COUPLES}/ai0", volts, "thrmcpl", cjc_source=CJCSource.CONSTANT_USER_VALUE, cjc_val=32.0, **settings
    )
    assert [built_in, constant] == pytest.approx([60.0, 60.0], abs=0.01)
    assert wrong == pytest.approx(70.0, abs=1.5)


def test_a_thermocouple_can_take_its_cold_junction_from_another_channel(bench: Bench) -> None:
    bench.levels[f"{PLATINUM}/ai0"].value = float(
        resistance.resistance_ohm(22.0, 100.0, resistance.COEFFICIENTS[10071])
    )
    bench.levels[f"{COUPLES}/ai1"].value = float(thermocouples.emf_v("K", 60.0) - thermocouples.emf_v("K", 22.0))
    with bench.task() as task:
        task.ai_channels.add_ai_rtd_chan(f"{PLATINUM}/ai0", "block", min_val=0, max_val=100, **FOUR_WIRES)
        task.ai_channels.add_ai_thrmcpl_chan(
            f"{COUPLES}/ai1",
            min_val=0,
            max_val=100,
            thermocouple_type=ThermocoupleType.K,
            cjc_source=CJCSource.SCANNABLE_CHANNEL,
            cjc_channel="block",
        )
        assert task.read() == pytest.approx([22.0, 60.0], abs=0.01)


def test_an_open_thermocouple_goes_to_the_end_of_its_range_and_is_reported(bench: Bench) -> None:
    bench.levels[f"{COUPLES}/ai2"].value = float("nan")
    with bench.task() as task:
        task.ai_channels.add_ai_thrmcpl_chan(f"{COUPLES}/ai2", "bath", min_val=0, max_val=100)
        assert task.read() > 1000.0
        assert task.in_stream.open_thrmcpl_chans_exist
        assert task.in_stream.open_thrmcpl_chans == ["bath"]
        assert not task.in_stream.open_thrmcpl_chans_exist


FOUR_WIRES = {"rtd_type": RTDType.PT_3851, "resistance_config": ResistanceConfiguration.FOUR_WIRE}
PT100 = [  # IEC 60751:2022, table 1
    (-200.0, 18.5201),
    (-100.0, 60.2558),
    (0.0, 100.0),
    (100.0, 138.5055),
    (200.0, 175.8560),
    (850.0, 390.4811),
]


@pytest.mark.parametrize(("degc", "ohm"), PT100)
def test_a_pt100_agrees_with_iec_60751(bench: Bench, degc: float, ohm: float) -> None:
    abc = resistance.COEFFICIENTS[RTDType.PT_3851.value]
    assert float(resistance.resistance_ohm(degc, 100.0, abc)) == pytest.approx(ohm, abs=6e-5)
    found = bench.read(
        f"{PLATINUM}/ai1",
        ohm,
        "rtd",
        min_val=-200.0,
        max_val=850.0,
        rtd_type=RTDType.PT_3851,
        resistance_config=ResistanceConfiguration.FOUR_WIRE,
        r_0=100.0,
    )
    assert found == pytest.approx(degc, abs=5e-4)


@given(
    st.sampled_from(sorted(resistance.COEFFICIENTS)), st.floats(-200.0, 850.0), st.sampled_from([100.0, 500.0, 1000.0])
)
def test_the_temperature_of_a_resistance_is_the_one_it_came_from(kind: int, degc: float, r0: float) -> None:
    abc = resistance.COEFFICIENTS[kind]
    assert float(resistance.temperature_degc(resistance.resistance_ohm(degc, r0, abc), r0, abc)) == pytest.approx(
        degc, abs=1e-8
    )


def test_two_wires_read_the_leads_as_temperature_and_four_do_not(bench: Bench) -> None:
    settings = {"min_val": 0.0, "max_val": 100.0, "rtd_type": RTDType.PT_3851}
    found = {
        wires: bench.read(f"{UNIVERSAL}/ai3", 109.7347, "rtd", resistance_config=wires, **settings)
        for wires in ResistanceConfiguration
    }
    assert found[ResistanceConfiguration.FOUR_WIRE] == pytest.approx(25.0, abs=1e-3)
    assert found[ResistanceConfiguration.THREE_WIRE] == pytest.approx(25.0, abs=1e-3)
    assert found[ResistanceConfiguration.TWO_WIRE] == pytest.approx(25.0 + 1.0 / 0.3881, abs=0.02)


def test_a_temperature_is_given_in_the_unit_that_was_asked_for(bench: Bench) -> None:
    settings = FOUR_WIRES
    kelvin = bench.read(f"{PLATINUM}/ai0", 100.0, "rtd", min_val=273, max_val=373, units=TemperatureUnits.K, **settings)
    fahrenheit = bench.read(
        f"{PLATINUM}/ai0", 138.5055, "rtd", min_val=32, max_val=213, units=TemperatureUnits.DEG_F, **settings
    )
    assert [kelvin, fahrenheit] == pytest.approx([273.15, 212.0], abs=1e-3)


def test_a_resistance_is_read_as_such(bench: Bench) -> None:
    found = bench.read(
        f"{UNIVERSAL}/ai1",
        350.0,
        "resistance",
        min_val=0,
        max_val=500,
        resistance_config=ResistanceConfiguration.FOUR_WIRE,
    )
    assert found == pytest.approx(350.0, abs=1e-3)


@pytest.mark.parametrize(
    ("terminal", "kind", "settings", "code"),
    [
        (f"{VOLTS}/ai0", "voltage", {"min_val": -20, "max_val": 20}, -200077),
        (f"{VOLTS}/ai0", "voltage", {"min_val": 5, "max_val": 5}, -200082),
        (f"{VOLTS}/ai9", "voltage", {}, -200170),
        ("cDAQ1Mod9/ai0", "voltage", {}, -200220),
        (f"{VOLTS}/ai0", "thrmcpl", {}, -200431),
        (f"{BRIDGE}/ai0", "pressure_bridge_two_point_lin", PRESSURE | {"voltage_excit_val": 7.0}, -200077),
        (f"{BRIDGE}/ai0", "pressure_bridge_two_point_lin", PRESSURE | {"max_val": 1300.0}, -200077),
        (f"{PLATINUM}/ai0", "rtd", {"resistance_config": ResistanceConfiguration.TWO_WIRE}, -200077),
        (f"{LOOP}/ai0", "current", {"shunt_resistor_loc": CurrentShuntResistorLocation.EXTERNAL}, -200077),
    ],
)
def test_what_a_module_cannot_do_is_refused(
    bench: Bench, terminal: str, kind: str, settings: dict[str, object], code: int
) -> None:
    with pytest.raises(DaqError) as refused:
        bench.read(terminal, 0.0, kind, **settings)
    assert refused.value.error_code == code
