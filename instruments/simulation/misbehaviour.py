"""Faults of the wire, per device and seeded: what cables, connectors and firmware do to bytes.

A `Misbehaviour` stands between a device and its cable.  Each write of the host is one transaction; from the onset of
a fault on, each transaction draws whether the fault strikes it.  The draws depend on the seed, the device's name and
the number of transactions alone, so equal runs misbehave equally.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from instruments.simulation.faults import Windows
from instruments.simulation.wire import ByteDevice

Kind = Literal[
    "drop", "late", "truncate", "flip", "garble", "duplicate", "unsolicited", "lf-only", "drop-request", "flip-request",
    "unplug", "reboot", "freeze", "saturate",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What happens to a reply, to a request, to the cable and the power, and to the signal."""

NAMED: dict[str, tuple[Kind, ...]] = {
    "unplug": ("unplug",),
    "reboot": ("reboot",),
    "dropped-reply": ("drop",),
    "late-reply": ("late",),
    "truncated-reply": ("truncate",),
    "garbled-reply": ("garble", "truncate"),
    "flipped-bit": ("flip",),
    "doubled-reply": ("duplicate",),
    "unsolicited-message": ("unsolicited",),
    "lf-only": ("lf-only",),
    "frozen-reading": ("freeze",),
    "saturated-reading": ("saturate",),
}
"""Faults that a user names, and the kinds that each of them picks from with equal chance.

A garbled byte has its top bit set, as a framing error leaves it, so that a balance's reply, which carries no
checksum, is visibly damaged.  `flip` turns any one bit and may leave a wrong but well-formed number.
"""


@dataclass(frozen=True, slots=True)
class WireFault:
    """A fault that strikes a transaction with ``probability`` from ``from_s`` until before ``until_s``.

    ``kinds`` are drawn from with equal chance each time it strikes.  ``away_s`` is how long a pulled plug stays out,
    though not beyond ``back_by_s``; ``late_s`` how much later than usual a late reply comes.
    """

    kinds: tuple[Kind, ...]
    probability: float
    from_s: float = 0.0
    until_s: float = math.inf
    away_s: float = 20.0
    late_s: float = 3.0
    back_by_s: float = math.inf

    def __post_init__(self) -> None:
        if not self.kinds or any(kind not in KINDS for kind in self.kinds):
            raise ValueError(f"a wire fault is of the kinds {', '.join(KINDS)}, not {', '.join(self.kinds) or 'none'}")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(
                f"severity {self.probability} of wire fault {'/'.join(self.kinds)}: it is a probability per "
                "transaction, from 0 to 1"
            )


def named_fault(name: str, severity: float, from_s: float = 0.0, until_s: float = math.inf) -> WireFault:
    """The fault that a user names; raises ValueError for an unknown name or a severity that is no probability."""
    try:
        return WireFault(NAMED[name], severity, from_s, until_s, back_by_s=until_s)
    except KeyError:
        raise ValueError(f'unknown wire fault "{name}"; known: {", ".join(NAMED)}') from None


class Misbehaviour:
    """What strikes the transactions of one device.

    Attributes
    ----------
    struck : how often each kind that may strike has struck, for tests and logs.
    hits : how often each of the faults has struck, in their order.
    """

    def __init__(self, name: str, faults: Iterable[WireFault], *, seed: int = 0) -> None:
        self.faults = tuple(faults)
        self.struck: dict[Kind, int] = {kind: 0 for fault in self.faults for kind in fault.kinds}
        self.hits = [0] * len(self.faults)
        self._windows = Windows(self.faults)
        self._random = random.Random(f"{seed}/wire/{name}")
        self._pending: list[tuple[Kind, WireFault]] = []

    def attach(self, device: ByteDevice) -> None:
        """Stand between a device and its cable."""
        device.misbehaviour = self

    def onsets(self) -> set[float]:
        """The moments from which on something may strike."""
        return {fault.from_s for fault in self.faults if fault.probability > 0.0}

    def begin(self, device: ByteDevice, data: bytes, now: float) -> bytes | None:
        """Draw what strikes this transaction; returns what the device gets, None when nothing arrives."""
        self._pending = []
        frozen = saturated = False
        for place, fault in self._windows.at(now):
            if self._random.random() >= fault.probability:
                continue
            kind = fault.kinds[int(self._random.random() * len(fault.kinds))]
            self.struck[kind] += 1
            self.hits[place] += 1
            if kind == "unplug":
                device.unplug(now, min(fault.away_s, fault.back_by_s - now))
                return None
            if kind == "reboot":
                device.reboot(now)
                return None
            if kind == "drop-request":
                return None
            if kind == "flip-request":
                data = self._flipped(data)
            elif kind == "freeze":
                frozen = True
            elif kind == "saturate":
                saturated = True
            else:
                self._pending.append((kind, fault))
        device.frozen, device.saturated = frozen, saturated
        return data

    def tamper(self, device: ByteDevice, data: bytes, at: float) -> list[tuple[float, bytes]]:
        """What becomes of the next message of the device: the faults of this transaction, in order."""
        messages = [(at, data)]
        pending, self._pending = self._pending, []
        for kind, fault in pending:
            messages = [damaged for message in messages for damaged in self._damage(kind, fault, device, *message)]
        return messages

    def _damage(
        self, kind: Kind, fault: WireFault, device: ByteDevice, at: float, data: bytes
    ) -> list[tuple[float, bytes]]:
        if kind == "drop" or not data:
            return []
        if kind == "late":
            return [(at + fault.late_s, data)]
        if kind == "duplicate":
            return [(at, data), (at, data)]
        if kind == "unsolicited":
            return [(at, device.unsolicited()), (at, data)]
        if kind == "lf-only":
            return [(at, data.replace(b"\r\n", b"\n"))]
        if kind == "flip":
            return [(at, self._flipped(data))]
        place = int(self._random.random() * len(data))
        if kind == "truncate":
            return [(at, data[:place])]
        damaged = 0x80 | int(self._random.random() * 128)
        damaged ^= damaged == data[place]  # a byte that stays what it was is not garbled
        return [(at, data[:place] + bytes((damaged,)) + data[place + 1 :])]

    def _flipped(self, data: bytes) -> bytes:
        """The same with one bit changed."""
        if not data:
            return data
        place = int(self._random.random() * len(data))
        damaged = data[place] ^ 1 << int(self._random.random() * 8)
        return data[:place] + bytes((damaged,)) + data[place + 1 :]
