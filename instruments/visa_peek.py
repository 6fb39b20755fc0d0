"""What has arrived at a VISA port and was not asked for: it is taken without waiting for more, by interface."""

from __future__ import annotations

from collections.abc import Callable

import pyvisa
from pyvisa.constants import ResourceAttribute, StatusCode
from pyvisa.resources import MessageBasedResource, SerialInstrument

_LISTENS_MS = 1  # to a socket, which does not tell what it has kept from before


def peek_of(port: MessageBasedResource) -> Callable[[MessageBasedResource], bytes]:
    """How to take what has arrived without waiting for more, by interface."""
    if isinstance(port, SerialInstrument):
        return _peek_serial
    return _peek_socket if port.resource_class == "SOCKET" else keeps_messages


def keeps_messages(port: MessageBasedResource) -> bytes:
    """A message-based interface keeps nothing but whole replies; `clear` drops those."""
    return b""


def peek_byte_by_byte(port: MessageBasedResource, most: int) -> bytes:
    """What has arrived at a socket: a read of more, with no character at which it ends, loses what it has got."""
    data = b""
    port.timeout = _LISTENS_MS
    try:
        while len(data) < most:
            data += port.read_bytes(1)
    except pyvisa.errors.VisaIOError as error:
        if error.error_code != StatusCode.error_timeout:
            raise
    return data


def _peek_serial(port: MessageBasedResource) -> bytes:
    # Straight to the library: the property of pyvisa costs more than the answer, and this runs before every question.
    waiting, _ = port.visalib.get_attribute(port.session, ResourceAttribute.asrl_avalaible_number)
    return port.read_bytes(waiting) if waiting else b""


def _peek_socket(port: MessageBasedResource) -> bytes:
    usual, data = port.timeout, b""
    port.timeout = _LISTENS_MS
    try:
        while True:
            data += port.read_raw()
    except pyvisa.errors.VisaIOError as error:
        if error.error_code != StatusCode.error_timeout:
            raise
    finally:
        port.timeout = usual
    return data
