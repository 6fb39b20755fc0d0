"""What a step needs of the instrument in its role: looked at before the start, and again as the step is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from instruments.capabilities import (
    PressureController,
    PumpLink,
    ReservoirCount,
    SyringePump,
    Tareable,
    TemperatureBath,
    Valve,
)
from protocols.steps import (
    AwaitSyringe,
    ClearSyringe,
    HaltSyringe,
    Infuse,
    IsolatePressure,
    MoveValve,
    Program,
    ReadProgram,
    ReadPump,
    ReadSyringe,
    RequestBolus,
    SetPressure,
    SetReservoir,
    SetTemperature,
    SetValve,
    StartDelivery,
    Step,
    StopDelivery,
    SwitchBath,
    Tare,
    VentPressure,
    Withdraw,
)

CAPABILITY: Mapping[type[Step], type[Any]] = {
    Tare: Tareable,
    SetValve: Valve,
    MoveValve: Valve,
    Program: PumpLink,
    StartDelivery: PumpLink,
    StopDelivery: PumpLink,
    RequestBolus: PumpLink,
    ReadPump: PumpLink,
    ReadProgram: PumpLink,
    SetReservoir: ReservoirCount,
    SetPressure: PressureController,
    IsolatePressure: PressureController,
    VentPressure: PressureController,
    Infuse: SyringePump,
    Withdraw: SyringePump,
    HaltSyringe: SyringePump,
    ClearSyringe: SyringePump,
    AwaitSyringe: SyringePump,
    ReadSyringe: SyringePump,
    SetTemperature: TemperatureBath,
    SwitchBath: TemperatureBath,
}


def capability(step: Step) -> type[Any] | None:
    """Capability of the instrument in a step's role; None for a step that commands none."""
    return next((CAPABILITY[kind] for kind in type(step).__mro__ if kind in CAPABILITY), None)
