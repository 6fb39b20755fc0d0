"""The seal of a run file: its digests in the first 1024 bytes, and what they say of the file later.

``python -P -m data.seal FILE`` prints what it finds as JSON: a damaged HDF5 file can crash or hang the library, so
`verify` looks at it in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import h5py

from data.digest import combined, object_digests
from data.hdf5 import RecordError, hdf5_file, read_scalar, read_table, write_table, writing
from data.keys import SigningKey, canonical, digest_of, is_signed
from data.layout import (
    ALTERED,
    MAGIC,
    OUTSIDE,
    RECOVER,
    SEAL,
    SESSION,
    USER_BLOCK,
    add_group,
    definition_of,
    why_unread,
)
from data.signatures import Row, bytes_digest, check_rows, make_room, rows_in, sidecar_rows

SAID = ("run_id", "content", "session", "objects", "bytes", "size")
"""What every seal says; one with a key also has ``room``, ``key`` and ``signature``."""

State = Literal["intact", "rewritten", "altered", "unreadable"]

PATIENCE_S = 60.0
SLOWEST_BYTES_PER_S = 5e6
"""A file that takes longer than this to read is damaged."""

OPEN = ((SEAL, "objects"), (SESSION, "session"))
"""What of a file tells at once whose seal is its own: the list of its digests, and its session."""

NO_RUN = "is no run of pumpbench; give a run file (.h5)"
NAMED = 20
"""At most so many changed objects are named."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a sealed file.

    ``state`` is "intact"; "rewritten" when the bytes differ but say the same; "altered" when what they say differs or
    the seal is gone; "unreadable".  ``digest`` is the content digest as computed now, empty when unreadable.
    ``sealed`` is what the seal says; ``signatures`` are the rows in the file, or in the sidecar of a file without room.
    Whether its keys are known, and whether the run is registered, is for those who have a list of keys and a register.
    """

    intact: bool
    state: State
    problems: tuple[str, ...] = ()
    digest: str = ""
    sealed: Mapping[str, Any] = field(default_factory=dict, compare=False)
    signatures: tuple[Row, ...] = field(default=(), compare=False)


Verifier: TypeAlias = Callable[[Path], Verification]
"""What looks whether a file is as it was sealed: `verify` in a process of its own, `examine` in this one."""


def seal(path: Path, key: SigningKey | None = None) -> str:
    """Seal a run file; returns its content digest.

    Parameters
    ----------
    key : signs the seal; without one there are digests alone, which whoever may write the file can make anew.

    Raises
    ------
    RecordError
        The file is sealed already, is no run of ours, or cannot be written.
    """
    block = _user_block(path)
    if block.startswith(MAGIC):
        raise RecordError(f"{path}: is sealed already; a record is never written over")
    if block != bytes(USER_BLOCK):
        raise RecordError(f"{path}: {NO_RUN}")
    with hdf5_file(path, "r+", path) as (file, _):
        if not _is_run(file):
            raise RecordError(f"{path}: {NO_RUN}")
        digests = object_digests(file, OUTSIDE)
        group = add_group(file, SEAL, "NXcollection")
        write_table(group, "object", {"object": list(digests), "digest": list(digests.values())})
        room = make_room(file)
        said: dict[str, Any] = {
            "run_id": _run_id(file),
            "content": combined(digests),
            "session": combined(object_digests(file[SESSION])),
            "objects": combined(object_digests(group)),
            "room": room,
        }
    with writing(path), path.open("r+b") as whole:
        said["bytes"], said["size"] = bytes_digest(path, USER_BLOCK, room), path.stat().st_size - USER_BLOCK
        whole.write(_block(said if key is None else key.signed(said)))
        whole.flush()
        os.fsync(whole.fileno())
    return str(said["content"])


def read_seal(path: Path) -> dict[str, Any] | None:
    """What the seal says (run_id, content, session, objects, bytes, size, ...), None where there is none.

    Raises
    ------
    RecordError
        The file cannot be read, or its seal is damaged.
    """
    block = _user_block(path)
    if not block.startswith(MAGIC):
        return None
    try:
        said = json.loads(block[len(MAGIC) :])
        if not isinstance(said, dict) or not set(SAID) <= set(said):
            raise ValueError
    except ValueError:
        raise RecordError(f"{path}: the seal is damaged") from None
    return said


def seal_of_open(path: Path, file: h5py.File) -> str:
    """Digest of the seal of a file that is open: of all that it says, the run's number among it.

    Empty where there is none, and where another file has been put at the path since this one was opened.

    Raises
    ------
    RecordError
        The file cannot be read, or its seal is damaged.
    """
    sealed = read_seal(path)
    if sealed is None or SEAL not in file or SESSION not in file:
        return ""
    is_same = all(combined(object_digests(file[name])) == sealed[key] for name, key in OPEN)
    return digest_of(sealed) if is_same else ""


def verify(path: Path, *, patience_s: float | None = None) -> Verification:
    """Tell whether a file is as it was sealed.  Looks in a process of its own, which is ended when it hangs.

    Parameters
    ----------
    patience_s : how long the file may take; by default a minute and what its size needs.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        return _unreadable(f"{path}: cannot be read ({error.strerror}); give the path of a run file (.h5)")
    if path.is_dir():
        return _unreadable(f"{path} is a folder; give the path of a run file (.h5)")
    patience_s = patience_s if patience_s is not None else PATIENCE_S + size / SLOWEST_BYTES_PER_S
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "data.seal", str(path.resolve())],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience_s,
            check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired:
        return _unreadable(f"{path}: is damaged: reading it did not end within {patience_s:g} s; {RECOVER}")
    try:
        said = json.loads(done.stdout)
    except ValueError:
        return _unreadable(f"{path}: is damaged: reading it ended the process with {done.returncode}; {RECOVER}")
    said |= {"problems": tuple(said["problems"]), "signatures": tuple(said["signatures"])}
    return Verification(**said)


def examine(path: Path) -> Verification:
    """The work of `verify`, in this process."""
    try:
        sealed = read_seal(path)
        problem = "" if sealed else f"{path}: carries no seal: it was never sealed, or its seal was removed"
    except OSError as error:
        return _unreadable(f"{path}: cannot be read ({error.strerror}); give the path of a run file (.h5)")
    except RecordError as error:
        sealed, problem = None, str(error)
    try:
        with h5py.File(path, "r") as file:
            if not _is_run(file):
                return _unreadable(f"{path}: {NO_RUN}")
            digests = object_digests(file, OUTSIDE)
            problems = [problem] if sealed is None else _differences(file, digests, sealed)
            rows, wrong = rows_in(file)
            wrong += _altered(path, file)
    except Exception as error:  # noqa: BLE001  # damaged bytes raise whatever they like; all of it means unreadable
        return _unreadable(f"{path}: {why_unread(path, error)}")
    digest = combined(digests)
    if sealed is None:
        return Verification(False, "altered", tuple(problems), digest)
    rows, more = _signatures(path, rows, sealed)
    signatures = tuple(rows)
    if problems := [*problems, *_forged(path, sealed), *wrong, *more]:
        return Verification(False, "altered", tuple(problems), digest, sealed, signatures)
    room = room_of(sealed)
    if path.stat().st_size - USER_BLOCK != sealed["size"] or bytes_digest(path, USER_BLOCK, room) != sealed["bytes"]:
        rewritten = (
            f"{path}: says what it said when it was sealed, but its bytes were written anew (copied or repacked)"
        )
        return Verification(False, "rewritten", (rewritten,), digest, sealed, signatures)
    return Verification(True, "intact", (), digest, sealed, signatures)


def _forged(path: Path, sealed: Mapping[str, Any]) -> list[str]:
    """What is wrong with the seal itself."""
    if "key" in sealed and not is_signed(sealed):
        return ["the seal was changed: its signature is not that of its key"]
    return [] if _user_block(path) == _block(sealed) else ["the seal was changed"]


def _altered(path: Path, file: h5py.File) -> list[str]:
    """What the file itself says against the journal that it was made from."""
    said = read_scalar(file[SESSION][ALTERED]) if SESSION in file and ALTERED in file[SESSION] else ""
    return [f"{path}: was made from a journal that is not as its bench wrote it: {said}"] if said else []


def _signatures(path: Path, inside: list[Row], sealed: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """The signatures of a file, and what is wrong with them; the sidecar must say the same as the file."""
    beside, problems = sidecar_rows(path)
    rows = inside if room_of(sealed) else beside or []
    problems += check_rows(rows, str(sealed["run_id"]), str(sealed["content"]), digest_of(sealed))
    if room_of(sealed) and not problems and beside is not None and inside != beside:
        problems.append(_disagree(inside, beside))
    return rows, problems


def _disagree(inside: list[Row], beside: list[Row]) -> str:
    there = f"the file has {len(inside)} signatures, its sidecar {len(beside)}"
    return f"{there}: some were removed or changed; see: pumpbench sign --restore"


def room_of(sealed: Mapping[str, Any]) -> tuple[int, int] | None:
    """Offset and size of the room for signatures, None in a seal of before there was one."""
    room = sealed.get("room")
    return None if room is None else (int(room[0]), int(room[1]))


def _block(said: Mapping[str, Any]) -> bytes:
    """The first bytes of a file: a seal with a key, or room, in its canonical form; an older one a key a line."""
    text = canonical(said) if "room" in said else json.dumps(said, indent=0).encode()
    if len(MAGIC) + len(text) >= USER_BLOCK:
        raise RecordError("the seal is longer than its place; give the run a shorter id")
    return (MAGIC + text).ljust(USER_BLOCK - 1) + b"\n"


def _differences(file: h5py.File, digests: Mapping[str, str], sealed: Mapping[str, Any]) -> list[str]:
    """What differs from the seal, one sentence each."""
    problems = []
    listed = SEAL in file and combined(object_digests(file[SEAL])) == sealed["objects"]
    if not listed:
        problems.append(f"/{SEAL}: the list of digests was changed or removed")
    if combined(digests) != sealed["content"]:
        problems += _changes(digests, file) if listed else ["the content was changed; which object cannot be told"]
    if SESSION not in file or combined(object_digests(file[SESSION])) != sealed["session"]:
        problems.append(f"/{SESSION}: was changed or removed")
    elif _run_id(file) != sealed["run_id"]:
        problems.append(f"the seal is of run {sealed['run_id']}, the file is run {_run_id(file)}")
    return problems


def _changes(digests: Mapping[str, str], file: h5py.File) -> list[str]:
    """The objects that differ from the list made when the file was sealed."""
    table = read_table(file[SEAL])
    before = dict(zip(table["object"], table["digest"], strict=True))
    said = [f"{path}: was changed" for path in sorted(digests) if path in before and before[path] != digests[path]]
    said += [f"{path}: was added" for path in sorted(digests) if path not in before]
    said += [f"{path}: was removed" for path in sorted(before) if path not in digests]
    if not said:
        return ["the seal's content digest was changed"]
    return said if len(said) <= NAMED else [*said[:NAMED], f"and {len(said) - NAMED} more objects differ"]


def _is_run(file: h5py.File) -> bool:
    return definition_of(file) is not None


def _run_id(file: h5py.File) -> str:
    session = file[SESSION]
    return str(read_scalar(session["run_id"])) if "run_id" in session else ""


def _user_block(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(USER_BLOCK)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); give the path of a run file (.h5)") from None


def _unreadable(problem: str) -> Verification:
    return Verification(False, "unreadable", (problem,))


if __name__ == "__main__":
    print(json.dumps(asdict(examine(Path(sys.argv[1])))))
