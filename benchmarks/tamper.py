"""Alterations of a sealed and signed record: how many are noticed, and how long the longest look takes.

python -m benchmarks tamper [NUMBER]       1000 without a number

Each is made in a fresh copy and looked for as `pumpbench verify` and `pumpbench audit verify` do.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bench.closing import close_run
from bench.trust import users
from bench.trust.audit import check_trail
from bench.trust.signing import Answer, checklist, sign
from bench.trust.standing import standing
from data.journal import JournalWriter
from data.keys import SigningKey, canonical
from data.samples import Block, Channel, Stream
from data.seal import read_seal, room_of
from data.signatures import rows_of, sidecar

NUMBER = 1000
LONGEST_S = 10.0

KINDS = (
    "bit flip",
    "bit flip in the seal",
    "bit flip in the signatures",
    "bit flip in the sidecar",
    "edited sample",
    "renamed attribute",
    "changed limit",
    "re-tared axis",
    "truncated tail",
    "appended tail",
    "removed signature",
    "removed signatures and sidecar",
    "swapped signatures",
    "changed signature",
    "forged signature",
    "sealed anew",
    "edited audit row",
    "removed audit row",
    "edited register row",
    "promoted user",
)
QA, ENGINEER = "correct horse battery", "another long word"

HEADER: dict[str, Any] = {
    "title": "Flow record",
    "procedure": "flow-record",
    "method": 1,
    "origin": "measured",
    "start_utc": "2026-01-01T00:00:00+00:00",
    "params": {"recording_s": 60.0},
    "roles": {"flow": "sensor.flow"},
    "station": {"name": "lab", "instruments": {"sensor": {"driver": "sensirion-shdlc"}}},
    "dut": {"model": "P-20", "serial": "7", "limits": {"mean": {"low_percent": -14.5, "high_percent": 14.5}}},
    "software": {"pumpbench": "0.1.0"},
}


def measured_run(
    folder: Path,
    name: str = "run",
    *,
    people: bool = True,
    run_id: str = "r-1",
    events: Sequence[tuple[str, dict[str, Any]]] = (),
    **header: Any,
) -> Path:
    """A small run of origin measured, sealed in a state folder of its own; with people, it is reviewed too.

    Parameters
    ----------
    events : kind and fields of more records, after 500 s.
    """
    journal = folder / f"{name}.journal"
    session = {"run_id": run_id, "user": "Author", "os_account": "lab", **header.pop("session", {})}
    said = {**HEADER, **header, "session": session}
    writer = JournalWriter(journal, said)
    writer.stream(Stream("sensor", "sensor", (Channel("flow", "uL/h"),), 0.5))
    k = np.arange(2000)
    writer.block(Block("sensor", 0, 0.5 * k, 40.0 + k[:, None] % 11, np.zeros((2000, 1), dtype=np.uint16)))
    writer.record("override", 0.0, {"finding": "rig-check", "person": "Author", "reason": "a new rig"})
    for kind, fields in events:
        writer.record(kind, 500.0, fields)
    writer.record("status", 1000.0, {"status": "completed", "reason": "all steps done", "person": ""})
    writer.close()
    before = os.environ.get("PUMPBENCH_HOME")
    os.environ["PUMPBENCH_HOME"] = str(folder / "home")
    try:
        path = close_run(journal, folder / f"{name}.h5").run_file
        if people:
            _people(folder / "home")
            answers = {item.key: Answer(True, "looked at") for item in checklist(path)}
            sign(path, "eve", ENGINEER, "reviewed", "complete", answers)
    finally:
        if before is None:
            del os.environ["PUMPBENCH_HOME"]
        else:
            os.environ["PUMPBENCH_HOME"] = before
    return path


def _people(home: Path) -> None:
    quinn = users.add(home, "quinn", "Quinn Example", "QA", QA)
    users.add(home, "author", "Author", "QA", QA, by=quinn)
    users.add(home, "eve", "Eve Engineer", "engineer", ENGINEER, by=quinn)
    users.add(home, "olga", "Olga Operator", "operator", ENGINEER, by=quinn)


def alter(folder: Path, kind: str, chance: random.Random) -> str:
    """Alter the record in a folder in one way; returns in words what was done."""
    run, trust = folder / "run.h5", folder / "home" / "trust"
    sealed = read_seal(run) or {}
    offset, size = room_of(sealed) or (0, 0)
    if kind.startswith("bit flip"):
        path = sidecar(run) if kind.endswith("sidecar") else run
        spans = {"bit flip in the seal": (0, 1024), "bit flip in the signatures": (offset, offset + size)}
        return _flip(path, *spans.get(kind, (0, path.stat().st_size)), chance)
    if kind in ("truncated tail", "appended tail"):
        data = run.read_bytes()
        cut = chance.randrange(1, len(data) // 2)
        run.write_bytes(data[:-cut] if kind == "truncated tail" else data + chance.randbytes(cut % 4096 + 1))
        return f"{kind} by {cut}"
    if "signature" in kind:
        return _signatures(run, kind, (offset, size), chance)
    if "row" in kind:
        return _row(trust / ("audit.jsonl" if "audit" in kind else "register.jsonl"), kind, chance)
    if kind == "promoted user":
        said = json.loads((trust / "users.json").read_text())
        said[chance.choice(["eve", "olga"])]["role"] = "QA"
        (trust / "users.json").write_text(json.dumps(said))
        return kind
    if kind == "sealed anew":
        rest = {key: value for key, value in sealed.items() if key not in ("key", "signature")}
        rest["content"] = chance.randbytes(32).hex()
        block = b"pumpbench seal 1\n" + canonical(SigningKey.new().signed(rest))
        run.write_bytes(block.ljust(1023) + b"\n" + run.read_bytes()[1024:])
        return kind
    with h5py.File(run, "r+") as file:
        _edit(file, kind, chance)
    return kind


def _flip(path: Path, begin: int, end: int, chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    at = chance.randrange(begin, min(end, len(data)))
    data[at] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return f"{path.name}: bit of byte {at}"


def _edit(file: h5py.File, kind: str, chance: random.Random) -> None:
    flow, t = file["entry/sensor/flow"], file["entry/sensor/time"]
    if kind == "edited sample":
        at = chance.randrange(len(flow))
        flow[at] = np.nextafter(flow[at], np.inf)
    elif kind == "renamed attribute":
        items = [item for item in file["entry/sensor"].values() if "units" in item.attrs]
        item = chance.choice(items)
        item.attrs["unit"] = item.attrs.pop("units")
    elif kind == "re-tared axis":
        chance.choice([flow, t])[...] += chance.choice([1e-9, 0.01, 1.0])
    else:  # changed limit
        limits = file["entry/dut/limits"]
        said = limits.asstr()[()] if isinstance(limits, h5py.Dataset) else ""
        del file["entry/dut/limits"]
        file["entry/dut"].create_dataset("limits", data=said.replace("14.5", f"{chance.uniform(15, 30):.3f}"))


def _signatures(run: Path, kind: str, room: tuple[int, int], chance: random.Random) -> str:
    offset, size = room
    data = run.read_bytes()
    rows, _ = rows_of(data[offset : offset + size])
    if kind == "changed signature":
        name = chance.choice(["reason", "meaning", "when", "name", "user", "run_id", "content", "previous"])
        rows[-1][name] = f"{rows[-1][name]}x"
    elif kind == "swapped signatures":
        rows = [rows[-1], *rows[:-1], rows[0]]
    elif kind == "forged signature":
        rest = {key: value for key, value in rows[-1].items() if key not in ("key", "signature")}
        rows[-1] = SigningKey.new().signed({**rest, "meaning": "approved"})
    else:
        rows = rows[:-1]
    text = b"".join(canonical(row) + b"\n" for row in rows)
    run.write_bytes(data[:offset] + text.ljust(size, b"\0") + data[offset + size :])
    if kind != "removed signature" and chance.random() < 0.5:
        said = json.dumps({"signatures": rows}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        sidecar(run).write_text(said, "utf-8")
    if kind == "removed signatures and sidecar":
        sidecar(run).unlink(missing_ok=True)
    return kind


def _row(path: Path, kind: str, chance: random.Random) -> str:
    lines = path.read_bytes().splitlines(keepends=True)
    at = chance.randrange(len(lines))
    if kind.startswith("removed"):
        del lines[at]
    else:
        begin = lines[at].index(b'"when":"') + 8
        lines[at] = lines[at][:begin] + b"1" + lines[at][begin + 1 :]
    path.write_bytes(b"".join(lines))
    return f"{kind} {at + 1}"


def main() -> int:
    """Alter, look, count; exit code 1 when one goes unnoticed or a look takes too long."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else NUMBER
    noticed, made = Counter[str](), Counter[str]()
    slowest = 0.0
    with tempfile.TemporaryDirectory(prefix="tamper-") as name:
        folder = Path(name)
        measured_run(folder)
        pristine = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for turn in range(number):
            kind = KINDS[turn % len(KINDS)]
            what = alter(folder, kind, random.Random(turn))
            begun = time.perf_counter()
            found = standing(folder / "run.h5", folder / "home")
            seen = not found.intact or bool(check_trail(folder / "home").problems)
            slowest = max(slowest, time.perf_counter() - begun)
            made[kind] += 1
            noticed[kind] += seen
            if not seen:
                print(f"NOT NOTICED: {what} (turn {turn})")
            for path, content in pristine.items():
                path.write_bytes(content)
        whole = standing(folder / "run.h5", folder / "home").intact and not check_trail(folder / "home").problems
    for kind in KINDS:
        print(f"{kind:32} {noticed[kind]:4} of {made[kind]}")
    print(f"noticed {noticed.total()} of {number}; the untouched record is {'intact' if whole else 'NOT INTACT'}")
    print(f"the longest look took {slowest:.2f} s (asked for: under {LONGEST_S:g} s)")
    return 0 if noticed.total() == number and whole and slowest < LONGEST_S else 1


if __name__ == "__main__":
    sys.exit(main())
