"""The messages of NI's service: the only module that knows where nidaqmx keeps its (private) protobuf descriptors.

Handlers are found by the names of the service's descriptor and attributes by the names of its enumerations, so no
numbers of the protocol are written down anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from nidaqmx._stubs import nidaqmx_pb2  # private to nidaqmx, which is pinned for this reason
from numpy.typing import NDArray

SERVICE = "nidaqmx_grpc.NiDAQmx"

_SERVICE = nidaqmx_pb2.DESCRIPTOR.services_by_name["NiDAQmx"]
_ATTRIBUTE_RPC = re.compile(r"(Get|Set|Reset)([A-Za-z]+?)Attribute(Ex)?([A-Z][A-Za-z0-9]*)?$")
_UNSCOPED = re.compile(r"^(PHYSICALCHANNEL_(?:RESET_)?ATTRIBUTE_PHYSICAL_CHAN_|[A-Z]+_(?:RESET_)?ATTRIBUTE_)")

Message = Any  # the classes are generated at import time; there is nothing that a type checker could see


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC: its name and message classes, and for an attribute RPC what it does to which kind of object."""

    name: str
    request: Any
    reply: Any
    action: str = ""  # Get, Set or Reset of an attribute; empty for every other RPC
    scope: str = ""  # Chan, Timing, Read, Device, ...


@cache
def method(name: str) -> Method | None:
    """Look up an RPC of the service; None when there is no such one."""
    found = _SERVICE.methods_by_name.get(name)
    if found is None:
        return None
    request = getattr(nidaqmx_pb2, found.input_type.name)
    reply = getattr(nidaqmx_pb2, found.output_type.name)
    attribute = _ATTRIBUTE_RPC.match(name)
    if attribute is None:
        return Method(name, request, reply)
    return Method(name, request, reply, attribute[1], attribute[2])


def methods(prefix: str) -> list[str]:
    """Names of all RPCs that begin in a way."""
    return [method.name for method in _SERVICE.methods if method.name.startswith(prefix)]


@cache
def _attribute_names(request: str) -> dict[int, str]:
    values = getattr(nidaqmx_pb2, request).DESCRIPTOR.fields_by_name["attribute"].enum_type.values
    return {value.number: _UNSCOPED.sub("", value.name) for value in values}


def attribute_name(request: Message) -> str:
    """Name of the attribute that a request is about, such as ``AI_MAX``; ``#4711`` for a number without a name."""
    number = request.attribute_raw
    return _attribute_names(type(request).__name__).get(number, f"#0x{number:04X}")


def set_value(reply: Message, value: object) -> None:
    """Fill the value of a reply to a Get...Attribute request; enumerations travel as raw numbers."""
    name = "value_raw" if "value_raw" in reply.DESCRIPTOR.fields_by_name else "value"
    if isinstance(value, (list, tuple)):
        getattr(reply, name).extend(value)
    else:
        setattr(reply, name, value)


def get_value(request: Message) -> object:
    """Value of a Set...Attribute request."""
    name = "value_raw" if "value_raw" in request.DESCRIPTOR.fields_by_name else "value"
    value = getattr(request, name)
    return value if isinstance(value, (bool, int, float, str)) else list(value)


@cache
def _array_tag(reply: str) -> bytes:
    number = getattr(nidaqmx_pb2, reply).DESCRIPTOR.fields_by_name["read_array"].number
    return _varint((number << 3) | 2)  # wire type 2: length-delimited, that is packed


def with_doubles(reply: Message, values: NDArray[np.float64]) -> bytes:
    """Serialise a reply whose ``read_array`` is ``values``, without a Python object for each number.

    A protobuf message may be sent in pieces, so the packed field is simply put behind the others.
    """
    data = values.astype("<f8", copy=False).tobytes()
    encoded: bytes = reply.SerializeToString()
    return b"".join((encoded, _array_tag(type(reply).__name__), _varint(len(data)), data))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append((number & 127) | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def fields(request: Message) -> Sequence[tuple[str, object]]:
    """All (name, value) pairs of a request, raw numbers for enumerations, repeated fields as lists."""
    pairs = []
    for field in request.DESCRIPTOR.fields:
        if field.name == "task" or (field.enum_type is not None and not field.name.endswith("_raw")):
            continue
        value = getattr(request, field.name)
        pairs.append((field.name, value if isinstance(value, (bool, int, float, str)) else list(value)))
    return pairs
