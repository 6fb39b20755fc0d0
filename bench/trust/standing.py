"""What a run file is worth here: intact, by which key it was sealed, registered or not, signed by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.trust import ledger
from bench.trust.keys import MEASURED, UNMEASURED, Known, known_keys, note, own_key, vouched_rows
from bench.trust.ledger import AUDIT, REGISTER, TrustError, alone
from bench.trust.register import Registered, enrol, registered
from bench.trust.seals import seals_of, told_of
from bench.trust.users import role_claimed, signed_by, users
from data.audit import add_row
from data.checks import Origin
from data.keys import digest_of, is_signed, key_id
from data.report.vouched import Vouched
from data.run import Run
from data.seal import Verification, read_seal, room_of, verify

State = Literal["intact", "unregistered", "rewritten", "altered", "unreadable"]

KINDS = {MEASURED: "for measured runs", UNMEASURED: "for runs that are not measured"}


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of a file, and what vouches for it.

    ``state`` is that of `data.seal.verify`, or "unregistered" for an intact file whose key or number nobody here knows,
    or that has no key and no number.  ``sealed_by`` and ``registered`` are for people; ``signatures`` are the rows,
    ``remarks`` says who of the signers is not known here, and why nobody vouches for a file that was rewritten;
    ``seal`` is the digest of the seal, ``room`` where in the file its signatures have their place.  ``notes`` are of
    other files of the run, which take nothing from this one.  ``worth`` is, of each signature, why it is not proven:
    empty where it is.
    """

    state: State
    problems: tuple[str, ...]
    digest: str
    sealed_by: str
    registered: str
    signatures: tuple[Mapping[str, Any], ...] = ()
    remarks: tuple[str, ...] = ()
    seal: str = ""
    room: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    worth: tuple[str, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether it is what was sealed and signed, as far as anybody can know."""
        return self.state == "intact"


def standing(path: Path, home: Path, *, found: Verification | None = None) -> Standing:
    """Verify a run file, and compare it with the keys, persons and register of the state folder; reads only.

    Parameters
    ----------
    found : what `data.seal.verify` said, where that is known already.
    """
    found = found or verify(path)
    sealed = found.sealed
    if not sealed:
        worth = (f"the record is {found.state}",) * len(found.signatures)
        return Standing(found.state, found.problems, found.digest, "", "", found.signatures, worth=worth)
    key = known_keys(home).get(str(sealed.get("key")))
    here = registered(home, str(sealed["run_id"]))
    seal = digest_of(sealed)
    state: State = found.state
    problems, remarks, unproven = list(found.problems), list[str](), list[str]()
    if state in ("intact", "rewritten"):
        foreign, remarks = _signers(found.signatures, home)
        lost, extra = _against(here, found.signatures, seal)
        altered = [*_replaced(sealed, here), *_other_journal(here, seal), *_wrong_key(path, key), *lost, *foreign]
        unproven = [*_unregistered(sealed, key, here), *here.problems, *extra]
        unproven += vouched_rows(home, AUDIT)[1] if found.signatures else []
        if altered:
            state, problems = "altered", altered
        elif unproven and state == "intact":
            state, problems = "unregistered", unproven
        else:
            remarks = [*remarks, *unproven]
    place = here.place if here.has(sealed) else ""
    by = _sealed_by(sealed, key)
    notes = tuple(told_of(seals_of([*here.seals, *here.altered], here.signatures), seal))
    worth = tuple(_doubt(row, home, state, unproven) for row in found.signatures)
    return Standing(
        state,
        tuple(problems),
        found.digest,
        by,
        place,
        found.signatures,
        tuple(remarks),
        seal,
        room_of(sealed),
        notes,
        worth,
    )


def vouched(path: Path, home: Path, found: Verification) -> Vouched | None:
    """What a report says of a file's worth; None where there is no list of keys that could tell it."""
    if not (home / "trust" / "keys.json").exists():
        return None
    here = standing(path, home, found=found)
    return Vouched(here.state, (*here.problems, *here.remarks), here.worth)


def take_in(path: Path, home: Path, reason: str) -> str:
    """Register a run that a key known here has sealed and the register has lost, and its signatures; returns its place.

    Raises
    ------
    TrustError
        It is altered, registered already, or sealed with no key that counts here.
    """
    found, sealed = standing(path, home), read_seal(path) or {}
    noted = registered(home, str(sealed.get("run_id"))).signatures
    lost = [row for row in found.signatures if row not in noted]
    if (found.registered and not lost) or found.state not in ("intact", "unregistered"):
        raise TrustError(f"{path}: is {found.registered or found.state}; nothing was registered")
    key = known_keys(home).get(str(sealed.get("key")))
    if key is None or key.revoked:
        raise TrustError(
            f"{path}: sealed by {found.sealed_by}; only what a key that counts here has sealed is registered"
        )
    if not found.registered and (why := enrol(path, home)):
        raise TrustError(f"{path}: {why}")
    place = registered(home, str(sealed["run_id"])).place
    with alone(home):
        bench = own_key(home, MEASURED)
        for row in lost:
            fields = {"kind": "signature", "run_id": sealed["run_id"], "row": dict(row)}
            add_row(home / "trust" / REGISTER, fields, ledger.now().isoformat(), bench)
        said = f"{place}, {len(lost)} signature{'s' if len(lost) > 1 else ''}" if lost else place
        note(home, bench, f"register {sealed['run_id']}", reason, new=said)
    return said


def _sealed_by(sealed: Mapping[str, Any], key: Known | None) -> str:
    if "key" not in sealed:
        return "no key: its digests alone show a change"
    if key is None:
        return f"key {key_id(str(sealed['key']))}, which is not known here"
    revoked = f", revoked {key.revoked[:10]}: {key.reason}" if key.revoked else ""
    return f"{'this bench' if key.own else key.name}, key {key.id} {KINDS.get(key.kind, key.kind)}{revoked}"


def _replaced(sealed: Mapping[str, Any], here: Registered) -> list[str]:
    if not here.seals or here.has(sealed):
        return []
    return [f"{here.place} was registered with another seal: this is another file under its run id"]


def _other_journal(here: Registered, seal: str) -> list[str]:
    """Whether a file was registered after one that was made from another journal."""
    if len(here.journals) < 2 or here.journal_of(seal) in (None, here.journals[0]):
        return []
    return [f"{here.place} was registered before, and made from another journal"]


def _wrong_key(path: Path, key: Known | None) -> list[str]:
    """A key that is not for what the file says it is."""
    if key is None:
        return []
    with Run.open(path) as run:
        meant = MEASURED if run.origin is Origin.MEASURED else UNMEASURED
    return [] if key.kind == meant else [f"the run is {run.origin}, and its seal is of the key {KINDS[key.kind]}"]


def _unregistered(sealed: Mapping[str, Any], key: Known | None, here: Registered) -> list[str]:
    """Why nobody here vouches for an intact file."""
    if here.has(sealed):
        return []
    if "key" not in sealed:
        said = "sealed without a key, which anybody could have done, and not in the register here"
        return [f"{said}; its bench makes it again from its journal: pumpbench recover"]
    if key is None:
        name = key_id(str(sealed["key"]))
        return [f"sealed with key {name}, which is not known here; ask its bench, then: pumpbench keys trust"]
    if key.revoked:
        return [f"sealed with key {key.id}, which was revoked ({key.reason}), and not registered before"]
    if key.own:
        return ["sealed by this bench, and not in its register: was the register replaced, or restored from before?"]
    return []


def _doubt(row: Mapping[str, Any], home: Path, state: State, unproven: Sequence[str]) -> str:
    """Why a signature proves nothing; empty where it does."""
    if not is_signed(row):
        return "changed after it was signed"
    if text := signed_by(users(home), row) or role_claimed(home, row):
        return text
    if state not in ("intact", "rewritten"):
        return f"the record is {state}"
    return unproven[0] if unproven else ""


def _signers(rows: Sequence[Mapping[str, Any]], home: Path) -> tuple[list[str], list[str]]:
    """Signatures that are not by the person that they name, and those of persons who are not known here."""
    foreign: list[str] = []
    unknown: list[str] = []
    persons = users(home)
    for row in rows:
        known = row.get("user") in persons
        if text := signed_by(persons, row) or role_claimed(home, row):
            (foreign if known else unknown).append(f"signature {row['number']}: {text}")
    return foreign, unknown


def _against(here: Registered, rows: Sequence[Mapping[str, Any]], seal: str) -> tuple[list[str], list[str]]:
    """Signatures that are in the register alone, and those that are in the file alone."""
    noted = [row for row in here.signatures if row["seal"] == seal]
    if not (noted or here.seals):
        return [], []
    named = [(row, f"signature {row.get('number')} ({row.get('name')})") for row in [*noted, *rows]]
    lost = [
        f"{name} is in the register and not in the file; see: pumpbench sign --restore"
        for row, name in named
        if row not in rows
    ]
    return lost, [f"{name} is not in the register" for row, name in named if row not in noted]
