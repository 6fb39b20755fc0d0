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
from typing import Literal

from instruments.simulation.wire import ByteDevice

Kind = Literal[
    "drop", "late", "truncate", "flip", "garble", "duplicate", "unsolicited", "lf-only", "unplug", "reboot", "freeze"
]
KINDS: tuple[Kind, ...] = (
    "drop", "late", "truncate", "flip", "garble", "duplicate", "unsolicited", "lf-only", "unplug", "reboot", "freeze",
)  # fmt: skip

NAMED: dict[str, tuple[Kind, ...]] = {
    "unplug": ("unplug",),
    "garbled-reply": ("garble", "truncate"),
    "frozen-reading": ("freeze",),
}
"""Faults that a user names, and the kinds that each of them picks from with equal chance.

A garbled byte has its top bit set, as a framing error leaves it, so that a balance's reply, which carries no
checksum, is visibly damaged.  `flip` turns any one bit and may leave a wrong but well-formed number.
"""


@dataclass(frozen=True, slots=True)
class WireFault:
    """A fault that strikes a transaction with ``probability`` from ``from_s`` until before ``until_s``.

    ``kinds`` are drawn from with equal chance each time it strikes.  ``away_s`` is how long a pulled plug stays out,
    ``late_s`` how much later than usual a late reply comes.
    """

    kinds: tuple[Kind, ...]
    probability: float
    from_s: float = 0.0
    until_s: float = math.inf
    away_s: float = 20.0
    late_s: float = 3.0

    def __post_init__(self) -> None:
        if not self.kinds or any(kind not in KINDS for kind in self.kinds):
            raise ValueError(f"a wire fault is of the kinds {', '.join(KINDS)}, not {', '.join(self.kinds) or 'none'}")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(
                f"severity {self.probability} of wire fault {'/'.join(self.kinds)}: it is a probability per "
                "transaction, from 0 to 1"
            )


def named_fault(name: str, severity: float, from_s: float = 0.0) -> WireFault:
    """The fault that a user names; raises ValueError for an unknown name or a severity that is no probability."""
    try:
        return WireFault(NAMED[name], severity, from_s)
    except KeyError:
        raise ValueError(f'unknown wire fault "{name}"; known: {", ".join(NAMED)}') from None


class Misbehaviour:
    """What strikes the transactions of one device.

    Attributes
    ----------
    struck : how often each kind has struck, for tests and logs.
    """

    def __init__(self, name: str, faults: Iterable[WireFault], *, seed: int = 0) -> None:
        self.faults = tuple(faults)
        self.struck: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self._random = random.Random(f"{seed}/wire/{name}")
        self._pending: list[tuple[Kind, WireFault]] = []

    def attach(self, device: ByteDevice) -> None:
        """Stand between a device and its cable."""
        device.misbehaviour = self

    def onset(self) -> float:
        """Earliest moment at which anything may strike; infinite when nothing will."""
        return min((fault.from_s for fault in self.faults if fault.probability > 0.0), default=math.inf)

    def begin(self, device: ByteDevice, data: bytes, now: float) -> bytes | None:
        """Draw what strikes this transaction; None when the host's bytes do not arrive."""
        self._pending = []
        frozen = False
        for fault in self.faults:
            if not fault.from_s <= now < fault.until_s or self._random.random() >= fault.probability:
                continue
            kind = fault.kinds[int(self._random.random() * len(fault.kinds))]
            self.struck[kind] += 1
            if kind == "unplug":
                device.unplug(now, fault.away_s)
                return None
            if kind == "reboot":
                device.reboot(now)
                return None
            if kind == "freeze":
                frozen = True
            else:
                self._pending.append((kind, fault))
        device.frozen = frozen
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
        place = int(self._random.random() * len(data))
        if kind == "truncate":
            return [(at, data[:place])]
        if kind == "flip":
            damaged = data[place] ^ 1 << int(self._random.random() * 8)
        else:  # garble
            damaged = 0x80 | int(self._random.random() * 128)
            damaged ^= damaged == data[place]  # a byte that stays what it was is not garbled
        return [(at, data[:place] + bytes((damaged,)) + data[place + 1 :])]
