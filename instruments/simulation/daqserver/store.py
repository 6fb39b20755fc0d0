"""One object's attributes: what follows from its state, what was set, and what only pretends to have an effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from instruments.simulation.daqserver.faults import NOT_APPLICABLE, DaqFault
from instruments.simulation.daqserver.system import System

PASSIVE = frozenset(
    (
        "AI_ADC_TIMING_MODE",
        "AI_AUTO_ZERO_MODE",
        "AI_BRIDGE_SHUNT_CAL_ENABLE",
        "AI_CHOP_ENABLE",
        "AI_COUPLING",
        "AI_DATA_XFER_MECH",
        "AI_LOWPASS_CUTOFF_FREQ",
        "AI_LOWPASS_ENABLE",
        "AI_OPEN_THRMCPL_DETECT_ENABLE",
        "AI_REMOVE_FILTER_DELAY",
        "AI_TERM_CFG",
        "AO_IDLE_OUTPUT_BEHAVIOR",
        "CHAN_DESCR",
        "AI_AVERAGING_WIN_SIZE",
        "AI_CONV_ACTIVE_EDGE",
        "AI_DATA_XFER_REQ_COND",
        "AI_GAIN",
        "AI_INPUT_SRC",
        "AI_MEM_MAP_ENABLE",
        "AI_USB_XFER_REQ_COUNT",
        "AI_USB_XFER_REQ_SIZE",
        "AO_DATA_XFER_MECH",
        "AO_DATA_XFER_REQ_COND",
        "AO_USB_XFER_REQ_COUNT",
        "AO_USB_XFER_REQ_SIZE",
        "CI_COUNT_EDGES_DIG_FLTR_ENABLE",
        "CI_COUNT_EDGES_DIG_FLTR_MIN_PULSE_WIDTH",
        "CI_DATA_XFER_MECH",
        "CI_DUP_COUNT_PREVENT",
        "CI_FREQ_DIG_FLTR_ENABLE",
        "CI_FREQ_DIG_FLTR_MIN_PULSE_WIDTH",
        "CI_FREQ_ENABLE_AVERAGING",
        "CI_PERIOD_DIG_FLTR_ENABLE",
        "CI_PERIOD_DIG_FLTR_MIN_PULSE_WIDTH",
        "CO_DATA_XFER_MECH",
        "DI_DATA_XFER_MECH",
        "DI_DIG_FLTR_ENABLE",
        "DI_DIG_FLTR_MIN_PULSE_WIDTH",
        "DO_DATA_XFER_MECH",
        "DO_OUTPUT_DRIVE_TYPE",
        "DO_USE_ONLY_ON_BRD_MEM",
        "NEXT_WRITE_IS_LAST",
        "REF_CLK_RATE",
        "REF_CLK_SRC",
        "SLEEP_TIME",
    )
)
"""Attributes that may be set though the simulated devices do nothing with them."""


def unknown(system: System, scope: str, name: str) -> DaqFault:
    """The error of an attribute that is not simulated; counts it."""
    system.miss(f"{scope}.{name}", "-200452")
    return DaqFault(NOT_APPLICABLE, f"Property: {scope}.{name}")


class Store:
    """Attributes of one object: what follows from its state, and what was set."""

    def __init__(
        self,
        system: System,
        scope: str,
        computed: dict[str, Callable[[], Any]],
        kept: dict[str, Any] | None = None,
        setters: dict[str, Callable[[Any], None]] | None = None,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        self._system = system
        self._scope = scope
        self._computed = computed
        self._kept = kept if kept is not None else {}
        self._setters = setters or {}
        self._initial = initial or {}

    def __contains__(self, name: str) -> bool:
        return name in self._computed or name in self._kept

    def __getitem__(self, name: str) -> Any:
        return self._computed[name]() if name in self._computed else self._kept[name]

    def set(self, name: str, value: Any) -> None:
        """Set an attribute; raises DaqFault for one that cannot be set."""
        if name in self._setters:
            self._setters[name](value)
        elif name in self._kept or name in PASSIVE:
            self._kept[name] = value
        else:
            raise unknown(self._system, self._scope, name)

    def reset(self, name: str) -> None:
        """Take back what was set."""
        if name in self._initial:
            self.set(name, self._initial[name])
            return
        if name in self._setters or name in self._kept:
            self._kept.pop(name, None)
            return
        raise unknown(self._system, self._scope, name)
