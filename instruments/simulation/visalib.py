"""A VISA library inside the process: the real pyvisa above it, simulated devices below, time by the clock.

`pyvisa.ResourceManager(SimulatedVisa(clock, {"ASRL1::INSTR": device}))` is all that a bench needs; drivers cannot
tell it from a vendor's library.  Waits and timeouts count on the bench's clock, so a timeout of 2 s costs no wall
time when that clock is virtual.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from pyvisa import attributes, constants, errors, rname
from pyvisa.constants import EventMechanism, EventType, ResourceAttribute, StatusCode
from pyvisa.highlevel import ResourceInfo, VisaLibraryBase
from pyvisa.util import DebugInfo, LibraryPath

from instruments.clock import Clock
from instruments.simulation.visa_session import ConnectionLostError, MessageSession, StreamSession
from instruments.simulation.wire import ByteDevice

_instances = itertools.count(1)

_MANAGER = 1
_BYTES_WAITING = ResourceAttribute.asrl_avalaible_number  # the spelling is pyvisa's
_IDENTITY = {
    ResourceAttribute.resource_manufacturer_name: "pumpbench",
    ResourceAttribute.resource_manager_session: _MANAGER,
}

Session = StreamSession | MessageSession


class SimulatedVisa(VisaLibraryBase):
    """VISA library over simulated devices.

    Parameters
    ----------
    clock : the clock that waits and timeouts count on.
    devices : resource string -> device, e.g. ``{"ASRL1::INSTR": balance, "TCPIP0::10.0.0.7::5025::SOCKET": pace}``.
    raw_errors : an unplugged serial cable raises ``serial.SerialException``, as pyvisa-py does, instead of the
        VI_ERROR_CONN_LOST of vendors' libraries.

    Raises
    ------
    ValueError
        When a resource string is not one.
    """

    resource_manager: Any
    _last_status_in_session: Any

    def __new__(cls, clock: Clock, devices: Mapping[str, ByteDevice], *, raw_errors: bool = False) -> SimulatedVisa:
        """Make a library of its own: pyvisa shares libraries of equal path, and their state with them."""
        path = LibraryPath(f"simulated-{next(_instances)}", "simulated")
        library = super().__new__(cls, path)
        assert isinstance(library, SimulatedVisa)
        return library

    def __init__(self, clock: Clock, devices: Mapping[str, ByteDevice], *, raw_errors: bool = False) -> None:
        self.clock = clock
        self.raw_errors = raw_errors
        self._devices: dict[str, ByteDevice] = {}
        self._aliases: dict[str, str] = {}
        self._sessions: dict[int, Session] = {}
        self._serial = itertools.count(_MANAGER + 1)
        for name, device in devices.items():
            self.attach(name, device)

    def attach(self, resource: str, device: ByteDevice) -> None:
        """Plug a device into a resource string; raises ValueError when the string is none or taken."""
        try:
            name = rname.to_canonical_name(resource)
        except rname.InvalidResourceName as error:
            raise ValueError(f'"{resource}" is no VISA resource; write for instance "ASRL1::INSTR"') from error
        if name in self._devices:
            raise ValueError(f'two simulated devices are plugged into "{name}"; give each a resource of its own')
        self._devices[name] = device

    def alias(self, name: str, resource: str) -> None:
        """Let a resource be opened by another name too, as an alias in a vendor's configuration program."""
        self._aliases[name] = resource

    # -- resource manager

    @staticmethod
    def get_debug_info() -> DebugInfo:
        """Lines for ``pyvisa-info``."""
        return {"Version": "simulated instruments of pumpbench"}

    def open_default_resource_manager(self) -> Any:
        """The manager of this library; there is one."""
        return _MANAGER, self._ok(_MANAGER)

    def list_resources(self, session: Any, query: str = "?*::INSTR") -> tuple[str, ...]:
        """Resources whose cable is plugged in; never touches a network."""
        now = self.clock.now()
        return rname.filter([name for name, device in self._devices.items() if device.connected(now)], query)

    def parse_resource_extended(self, session: Any, resource_name: str) -> tuple[ResourceInfo, StatusCode]:
        """Interface and class of a resource or alias."""
        info, status = super().parse_resource_extended(session, self._aliases.get(resource_name, resource_name))
        return (info._replace(alias=resource_name) if resource_name in self._aliases else info), status

    def open(
        self,
        session: Any,
        resource_name: str,
        access_mode: constants.AccessModes = constants.AccessModes.no_lock,
        open_timeout: int = constants.VI_TMO_IMMEDIATE,
    ) -> Any:
        """Open a resource: not found while unplugged, busy while another session holds the serial port."""
        try:
            parsed = rname.ResourceName.from_string(self._aliases.get(resource_name, resource_name))
        except rname.InvalidResourceName:
            return 0, self._fail(session, StatusCode.error_invalid_resource_name)
        name = str(parsed)
        device = self._devices.get(name)
        if device is None or not device.connected(self.clock.now()):
            return 0, self._fail(session, StatusCode.error_resource_not_found)
        kind = (parsed.interface_type_const, parsed.resource_class)
        make: type[Session]
        if parsed.interface_type_const == constants.InterfaceType.asrl:
            if any(other.name == name and other.alive() for other in self._sessions.values()):
                return 0, self._fail(session, StatusCode.error_resource_busy)
            make = StreamSession
        else:
            make = StreamSession if parsed.resource_class == "SOCKET" else MessageSession
        handle = next(self._serial)
        self._sessions[handle] = make(name, device, self.clock, kind)
        return handle, self._ok(handle)

    def close(self, session: Any) -> StatusCode:
        """Close a session or the manager; a handle that is not known is no error, as at interpreter exit."""
        if session == _MANAGER:
            self._sessions.clear()
        else:
            self._sessions.pop(session, None)
        return StatusCode.success

    # -- bytes

    def write(self, session: Any, data: bytes) -> Any:
        """Send bytes to the device."""
        port = self._sessions.get(session)
        if port is None:
            raise errors.InvalidSession()
        try:
            port.write(data)
        except ConnectionLostError:
            self._lost(session, port, "write failed: [Errno 5] Input/output error")
        return len(data), self._ok(session)

    def read(self, session: Any, count: int) -> Any:
        """Receive at most ``count`` bytes by the rules of the interface; see `visa_session`."""
        port = self._sessions.get(session)
        if port is None:
            raise errors.InvalidSession()
        try:
            data, status = port.read(count)
        except ConnectionLostError:
            self._lost(session, port, "device reports readiness to read but returned no data")
        if status < 0 or status == StatusCode.success_max_count_read:
            return data, self.handle_return_value(session, status)
        self._last_status_in_session[session] = status
        return data, status

    def flush(self, session: Any, mask: constants.BufferOperation) -> StatusCode:
        """Discard what has arrived; output is never held back here, so there is nothing to flush."""
        port = self._port(session)
        reading = (
            constants.BufferOperation.discard_read_buffer
            | constants.BufferOperation.discard_read_buffer_no_io
            | constants.BufferOperation.discard_receive_buffer
            | constants.BufferOperation.discard_receive_buffer2
        )
        if mask & reading:
            try:
                port.discard()
            except ConnectionLostError:
                self._lost(session, port, "Could not configure port: (5, 'Input/output error')")
        return self._ok(session)

    def clear(self, session: Any) -> StatusCode:
        """Device clear; a serial line has none."""
        port = self._port(session)
        if port.serial:
            return self._fail(session, StatusCode.error_nonsupported_operation)
        try:
            port.clear()
        except ConnectionLostError:
            self._lost(session, port, "clear failed")
        return self._ok(session)

    def read_stb(self, session: Any) -> Any:
        """Read the status byte of an instrument that has one."""
        port = self._message(session)
        return port.device.status_byte(self.clock.now()), self._ok(session)

    def assert_trigger(self, session: Any, protocol: constants.TriggerProtocol) -> StatusCode:
        """Trigger an instrument."""
        port = self._message(session)
        port.device.trigger(self.clock.now())
        return self._ok(session)

    def gpib_control_ren(self, session: Any, mode: constants.RENLineOperation) -> StatusCode:
        """Remote enable; simulated instruments have no front panel."""
        self._message(session)
        return self._ok(session)

    # -- attributes

    def get_attribute(self, session: Any, attribute: Any) -> Any:
        """State of an attribute: what was set, else what VISA says is its default."""
        if session == _MANAGER:
            return _IDENTITY.get(attribute, 0), self._ok(session)
        port = self._port(session)
        if attribute == _BYTES_WAITING and port.serial:  # first, since drivers ask it before every question
            try:
                return port.available(), self._ok(session)
            except ConnectionLostError:
                self._lost(session, port, "[Errno 5] Input/output error")
        if not self._known(port, attribute):
            return None, self._fail(session, StatusCode.error_nonsupported_attribute)
        value = port.attributes.get(attribute, _IDENTITY.get(attribute))
        if value is None:
            value = attributes.AttributesByID[attribute].default
        return value, self._ok(session)

    def set_attribute(self, session: Any, attribute: ResourceAttribute, attribute_state: Any) -> StatusCode:
        """Set an attribute."""
        port = self._port(session)
        if not self._known(port, attribute):
            return self._fail(session, StatusCode.error_nonsupported_attribute)
        port.set_attribute(attribute, attribute_state)
        return self._ok(session)

    # -- events: service requests only

    def enable_event(
        self, session: Any, event_type: EventType, mechanism: EventMechanism, context: None = None
    ) -> StatusCode:
        """Enable service requests in the queue."""
        port = self._message(session)
        if event_type != EventType.service_request or mechanism != EventMechanism.queue:
            return self._fail(session, StatusCode.error_invalid_event)
        port.service_requests = True
        return self._ok(session)

    def disable_event(self, session: Any, event_type: EventType, mechanism: EventMechanism) -> StatusCode:
        """Disable events; pyvisa does so for all of them when it closes a resource."""
        port = self._port(session)
        if isinstance(port, MessageSession):
            port.service_requests = False
        return self._ok(session)

    def discard_events(self, session: Any, event_type: EventType, mechanism: EventMechanism) -> StatusCode:
        """Discard events: none are held, the status byte is asked when somebody waits."""
        self._port(session)
        return self._ok(session)

    def wait_on_event(self, session: Any, in_event_type: EventType, timeout: int) -> Any:
        """Wait until the device requests service (bit 6 of its status byte)."""
        port = self._message(session)
        if not port.service_requests:
            return in_event_type, 0, self._fail(session, StatusCode.error_not_enabled)
        if port.wait_for_service(None if timeout == constants.VI_TMO_INFINITE else timeout / 1000.0):
            return EventType.service_request, next(self._serial), self._ok(session)
        return in_event_type, 0, self._fail(session, StatusCode.error_timeout)

    # -- return values

    def _ok(self, session: int) -> StatusCode:
        self._last_status_in_session[session] = StatusCode.success
        return StatusCode.success

    def _fail(self, session: int | None, status: StatusCode) -> StatusCode:
        """Raise the VisaIOError of a negative status."""
        return self.handle_return_value(session, status)  # type: ignore[arg-type]  # handles are plain int here

    def _port(self, session: int) -> Session:
        try:
            return self._sessions[session]
        except KeyError:
            raise errors.InvalidSession() from None

    def _message(self, session: int) -> MessageSession:
        port = self._port(session)
        if not isinstance(port, MessageSession):
            self._fail(session, StatusCode.error_nonsupported_operation)
        assert isinstance(port, MessageSession)
        return port

    def _known(self, port: Session, attribute: ResourceAttribute) -> bool:
        known = attributes.AttributesByID.get(attribute)
        return known is not None and known.in_resource(port.kind)

    def _lost(self, session: int, port: Session, raw: str) -> None:
        if self.raw_errors and port.serial:
            import serial  # type: ignore[import-untyped]  # pyserial ships no types

            raise serial.SerialException(raw)
        self._fail(session, StatusCode.error_connection_lost)
