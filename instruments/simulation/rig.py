"""A simulated rig: one plant, the devices that see it, and the wires that they speak on, from a station's description.

The description is the ``[simulation]`` table of a station file::

    [simulation.plant]                      # overrides of parameters.toml
    [simulation.visa."ASRL1::INSTR"]        # a device behind a VISA resource, and what it is made with
    device = "mt-sics"
    signal = "reference_load_mg"
    [simulation.daq]                        # NI devices by DAQmx name, and what their terminals see and drive
    devices = { cDAQ1 = "cDAQ-9178", cDAQ1Mod1 = "NI 9219" }
    signals = { "cDAQ1Mod1/ai0" = "outlet_pressure_v_per_v" }
    actuators = { "cDAQ1Mod4/port0/line0" = "diverter_valve" }
    [simulation.operator]                   # optional: the person at the bench, see `SimulatedOperator`
    reaction_s = 12.0
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
import pkgutil
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, get_args, get_type_hints

from instruments.clock import Clock
from instruments.simulation.daqserver.hardware import Wiring
from instruments.simulation.daqserver.misbehaviour import Misbehaviour as DaqMisbehaviour
from instruments.simulation.daqserver.misbehaviour import named_trouble
from instruments.simulation.daqserver.server import DaqServer
from instruments.simulation.faults import FAULTS, FaultSpec
from instruments.simulation.misbehaviour import Misbehaviour, named_fault
from instruments.simulation.noise import Noise
from instruments.simulation.operator import SimulatedOperator
from instruments.simulation.parameters import PlantParameters
from instruments.simulation.plant import Plant
from instruments.simulation.replay import ReplaySignal
from instruments.simulation.signal import Actuator, FloatArray, PumpUnderTest, RampActuator, Signal
from instruments.simulation.supply_valve import SupplyValve
from instruments.simulation.visalib import SimulatedVisa
from instruments.simulation.wire import ByteDevice

Log = tuple[FloatArray, FloatArray]

SUPPLY_VALVE = "supply_valve"
"""Actuator: the valve between pressure controller and line; there is one only where a digital line drives it."""

DAQ_CRYSTAL_PPM = 50.0
"""Half-width of the error of the NI devices' sample clock."""


class RigError(ValueError):
    """The description of the rig is wrong; the message names the key and the remedy."""


class Rig:
    """Everything behind the wires of a simulated station.

    Parameters
    ----------
    description : the station's ``[simulation]`` table.
    seed : every draw and every noise of the rig follows from it.
    plant : further overrides of the plant's parameters, such as those of the device under test.
    replay : signal name -> (times in s, values) of a recorded log that takes the plant's place.
    wires : name of an instrument -> its VISA resource, or the NI devices that it has terminals of; for faults that
        strike one instrument.

    Attributes
    ----------
    misbehaviours : what strikes the wire of each VISA resource that has faults, and the DAQ server under "daq".
    """

    def __init__(
        self,
        description: Mapping[str, Any],
        clock: Clock,
        *,
        seed: int,
        faults: Sequence[FaultSpec] = (),
        plant: Mapping[str, object] | None = None,
        replay: Mapping[str, Log] | None = None,
        wires: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        _known("simulation", description, ("plant", "visa", "daq", "operator"))
        overrides = _merged(description.get("plant", {}), plant or {})
        in_plant = [fault for fault in faults if FAULTS[fault.name].where == "plant"]
        self.plant = Plant(PlantParameters.load(overrides), clock, seed, in_plant)
        self._signals: dict[str, Signal] = dict(self.plant.signals)
        self._actuators = self._driven(description.get("daq", {}).get("actuators", {}))
        for name, (times, values) in (replay or {}).items():
            self._lookup("replay", name, self._signals)
            self._signals[name] = ReplaySignal.from_log(times, values, start_s=0.0)
        self._wires = wires or {}
        self.misbehaviours: dict[str, Misbehaviour | DaqMisbehaviour] = {}
        on_wire = self._aimed(faults, "wire", description.get("visa", {}), "VISA resource")
        devices = {
            resource: self._device(resource, table, seed, on_wire)
            for resource, table in description.get("visa", {}).items()
        }
        self.devices = devices
        self.visa = SimulatedVisa(clock, devices)
        self.operator = self._operator(description.get("operator", {}), clock, seed)
        daq = description.get("daq", {})
        on_daq = self._aimed(faults, "daq", daq.get("devices", {}), "NI device")
        self.daq = self._daq_server(daq, clock, seed, on_daq)
        clock.foresee(self._next_onset(clock))

    @property
    def daq_target(self) -> str:
        """Address of the simulated NI device server."""
        return self.daq.target

    def close(self) -> None:
        """Stop the device server."""
        self.daq.close()

    def _driven(self, terminals: Mapping[str, Any]) -> dict[str, Actuator]:
        """What can be driven: the plant's actuators, and the supply valve where a line drives one."""
        actuators: dict[str, Actuator] = dict(self.plant.actuators)
        line = actuators["back_pressure_kpa"]
        if SUPPLY_VALVE in terminals.values() and isinstance(line, RampActuator):
            valve = SupplyValve(line)
            actuators |= {SUPPLY_VALVE: valve, "back_pressure_kpa": valve.controller}
        return actuators

    # -- devices behind VISA resources

    def _device(self, resource: str, table: Mapping[str, Any], seed: int, faults: Sequence[FaultSpec]) -> ByteDevice:
        where = f'simulation.visa."{resource}"'
        settings = dict(table)
        kind = _device_kind(f"{where}.device", settings.pop("device", None))
        struck = settings.pop("faults", True)
        arguments = self._arguments(where, kind, settings, seed)
        try:
            device = kind(**arguments)
        except (TypeError, ValueError) as error:
            raise RigError(f"{where}: {error}") from None
        wire = [
            named_fault(fault.name, fault.severity, fault.at_s, fault.until_s)
            for fault in faults
            if struck and (not fault.instrument or resource in self._wires[fault.instrument])
        ]
        if wire:
            misbehaviour = Misbehaviour(resource, wire, seed=seed)
            misbehaviour.attach(device)
            self.misbehaviours[resource] = misbehaviour
        return device

    def _aimed(self, faults: Sequence[FaultSpec], where: str, there: Collection[str], what: str) -> list[FaultSpec]:
        """The faults of wires, or of NI devices; raises RigError where one is aimed at what it cannot strike."""
        found = [fault for fault in faults if FAULTS[fault.name].where == where]
        for fault in found:
            if fault.instrument:
                places = self._lookup(f'fault "{fault.name}": instruments', fault.instrument, self._wires)
                if not set(places) & set(there):
                    raise RigError(f'fault "{fault.name}": instrument "{fault.instrument}" has no {what} to strike')
        return found

    def _arguments(self, where: str, kind: type[ByteDevice], settings: dict[str, Any], seed: int) -> dict[str, Any]:
        """What a device is made with: the plant's part by the parameters' types, the rest as the table says."""
        hints = get_type_hints(kind.__init__)
        parameters = {name: item for name, item in inspect.signature(kind).parameters.items() if name in hints}
        _known(where, settings, [name for name in parameters if hints[name] is not PumpUnderTest])
        arguments: dict[str, Any] = {"seed": seed, **settings} if "seed" in parameters else settings
        for name, parameter in parameters.items():
            of = _choices(hints[name])
            known = self._signals if Signal in of else self._actuators if Actuator in of else None
            if PumpUnderTest in of:
                arguments[name] = self.plant.pump
            elif known is not None and name in settings:
                arguments[name] = self._looked_up(f"{where}.{name}", settings[name], known)
            elif parameter.default is parameter.empty:
                what = "an actuator of the plant" if Actuator in of else "a signal of the plant"
                raise RigError(f'{where}: "{name}" is missing; name {what if known is not None else "it"}')
        return arguments

    # -- the person

    def _operator(self, table: Mapping[str, Any], clock: Clock, seed: int) -> SimulatedOperator:
        _known("simulation.operator", table, ("reaction_s", "spread"))
        try:
            return SimulatedOperator(self.plant, clock, seed, **table)
        except (TypeError, ValueError) as error:
            raise RigError(f"simulation.operator: {error}") from None

    # -- NI devices

    def _daq_server(self, table: Mapping[str, Any], clock: Clock, seed: int, faults: Sequence[FaultSpec]) -> DaqServer:
        _known("simulation.daq", table, ("devices", "signals", "actuators", "wiring", "clock_ppm"))
        signals = {
            terminal: self._lookup(f'simulation.daq.signals."{terminal}"', name, self._signals)
            for terminal, name in table.get("signals", {}).items()
        }
        actuators: dict[str, Actuator] = {
            terminal: self._lookup(f'simulation.daq.actuators."{terminal}"', name, self._actuators)
            for terminal, name in table.get("actuators", {}).items()
        }
        drawn_ppm = float(Noise(seed).generator("daq crystal").uniform(-DAQ_CRYSTAL_PPM, DAQ_CRYSTAL_PPM))
        try:
            wiring = {terminal: Wiring(**entry) for terminal, entry in table.get("wiring", {}).items()}
            ppm = float(table.get("clock_ppm", drawn_ppm))
            server = DaqServer(clock, table.get("devices", {}), signals, actuators, wiring, ppm)
        except (TypeError, ValueError) as error:
            raise RigError(f"simulation.daq: {error}") from None
        if faults:
            troubles = [
                named_trouble(each.name, each.severity, each.at_s, each.until_s, self._wires.get(each.instrument, ()))
                for each in faults
            ]
            server.misbehaviour = self.misbehaviours["daq"] = DaqMisbehaviour(troubles, seed=seed)
        return server.start()

    # -- small parts

    def _next_onset(self, clock: Clock) -> Callable[[], float]:
        """Earliest moment still to come at which a wire or the DAQ begins to misbehave."""
        onsets = sorted(set[float]().union(*(each.onsets() for each in self.misbehaviours.values())))

        def next_onset() -> float:
            place = bisect_right(onsets, clock.now())
            return onsets[place] if place < len(onsets) else math.inf

        return next_onset

    def _looked_up(self, where: str, named: object, known: Mapping[str, Any]) -> Any:
        """What a name means, or each name of a table."""
        if isinstance(named, Mapping):
            return {key: self._lookup(f"{where}.{key}", name, known) for key, name in named.items()}
        return self._lookup(where, named, known)

    @staticmethod
    def _lookup(where: str, name: object, known: Mapping[str, Any]) -> Any:
        if not isinstance(name, str) or name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(known)}"
            raise RigError(f'{where}: there is no "{name}"; {hint}')
        return known[name]


def _device_kind(where: str, name: object) -> type[ByteDevice]:
    """Class of a device by its name: ``druck-pace`` is devices/druck_pace.py; raises RigError naming the nearest."""
    package = importlib.import_module("instruments.simulation.devices")
    modules = [module.name for module in pkgutil.iter_modules(package.__path__) if not module.ispkg]
    names = {module.replace("_", "-"): module for module in modules}
    module = Rig._lookup(where, name, names)  # noqa: SLF001  # the same sentence for every unknown name
    kind: type[ByteDevice] = importlib.import_module(f"{package.__name__}.{module}").DEVICE
    return kind


def _choices(hint: Any) -> tuple[Any, ...]:
    """The types that a parameter may have."""
    return get_args(hint) or (hint,)


def _known(where: str, table: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Refuse a key that nobody reads."""
    names = tuple(keys)
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(key, names, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"it may hold {', '.join(names)}"
            raise RigError(f'{where}: key "{key}" is unknown; {hint}')


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested tables in one; the first wins, since the station's file is the more special."""
    merged = {**second, **first}
    for key in first.keys() & second.keys():
        if isinstance(first[key], Mapping) and isinstance(second[key], Mapping):
            merged[key] = {**second[key], **first[key]}
    return merged
