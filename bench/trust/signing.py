"""Review of a run: the checklist, and the signature that closes it.

The functions that a window or the command line needs: `checklist`, `sign`, `restore`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

from bench.catalogue import note_run
from bench.state_folder import home
from bench.trust import ledger
from bench.trust.audit import check_trail
from bench.trust.checklist import Item, authors_of, names_of, origin_of
from bench.trust.checklist import checklist as items_of
from bench.trust.clock import insist_on_time
from bench.trust.keys import MEASURED, own_key
from bench.trust.ledger import REGISTER, TrustError, alone, rows_of, unclosed
from bench.trust.register import registered
from bench.trust.review import MAY
from bench.trust.seals import OneSeal, insist_on_named, seals_by_run, seals_of
from bench.trust.standing import standing
from bench.trust.users import User, role_claimed, signed_by, unlocked, user, users
from data.audit import add_row
from data.checks import Origin
from data.keys import digest_of, is_signed
from data.run import Run
from data.seal import read_seal, room_of, verify
from data.signatures import MEANINGS, Row, fits, write_rows

TEXT = 600
"""Characters of what the file says of a question that are kept with a signature."""

ANOTHER = "another file was put there since it was shown; open it anew and look at it"
"""Why nothing is signed: the record is not the one that a person has seen."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reviewer's answer to a question of the checklist: accepted or not, with a note.

    ``seen`` is the `digest` of the item that was shown; empty where it was answered unseen, as by an option.
    """

    accepted: bool
    note: str = ""
    seen: str = ""


def checklist(path: Path, folder: Path | None = None) -> list[Item]:
    """The questions that a review of a run answers, with what the file and the register say of each."""
    rows, _ = rows_of(folder or home(), REGISTER)
    runs: dict[str, Row] = {}
    for row in rows:
        if row.get("kind") == "run":
            runs.setdefault(row["run_id"], row)
    with Run.open(path) as run:
        mine, serial = str(run.session.get("run_id")), str(run.dut.get("serial", ""))
    known = names_of(users(folder or home()).values())
    if mine not in runs:
        return items_of(path, known=known)
    numbered = sorted([*runs.values(), *unclosed(rows)], key=lambda row: int(row["number"]))
    same = [row for row in numbered if row["dut"] == serial and row["procedure"] == runs[mine]["procedure"]]
    seals = seals_by_run(rows)
    return items_of(path, [said for row in same for said in _attempt(row, seals.get(row["run_id"], []))], known)


def seal_at(path: Path) -> str:
    """Digest of the seal of what lies at a path now; empty without one that can be read."""
    with suppress(ValueError, OSError):
        if (sealed := read_seal(path)) is not None:
            return digest_of(sealed)
    return ""


def sign(
    path: Path,
    who: str,
    passphrase: str,
    meaning: str,
    reason: str,
    answers: Mapping[str, Answer] | None = None,
    folder: Path | None = None,
    seal: str | None = None,
) -> Row:
    """Sign a run file; returns the signature's row, which is in the register, the file and its sidecar.

    The catalogue hears of it; one that cannot be reached costs no signature, and `bench.catalogue.missed` says so.

    Parameters
    ----------
    meaning : "reviewed", "approved", "rejected" or "addendum"; an addendum returns the run to unreviewed.
    answers : by the key of each question of `checklist`; a review and an approval need all of them.
    seal : digest of the seal of what was shown (`data.run.Run.seal`), which alone is signed then.

    Raises
    ------
    TrustError
        The person may not, the file is not as it was, or an answer is missing; nothing was signed.
    """
    folder = folder or home()
    if meaning not in MEANINGS:
        raise TrustError(f'"{meaning}" is no meaning of a signature; there are {", ".join(MEANINGS)}')
    if not reason.strip():
        raise TrustError("the reason is missing; it stands beside the signature")
    _insist_may(user(folder, who), meaning, path)
    found = standing(path, folder)
    if not found.intact:
        raise TrustError(f"{path}: is {found.state}, so it is not signed: {'; '.join(found.problems)}")
    if seal is not None and found.seal != seal:
        raise TrustError(f"{path}: {ANOTHER}")
    if problems := check_trail(folder).problems:
        raise TrustError(
            f"nothing is signed on a trail that does not hold: {problems[0]}; see: pumpbench audit verify, and "
            "where it cannot be mended a QA person says so: pumpbench audit accept"
        )
    questions = _answered(checklist(path, folder), meaning, answers or {})
    one, key = unlocked(folder, who, passphrase)
    with alone(folder):
        before, when = list(found.signatures), ledger.now().astimezone(UTC)
        insist_on_time(folder, when)
        with Run.open(path) as run:
            run_id, now = str(run.session.get("run_id")), run.seal
        if now != found.seal:  # while it was verified, and its questions were gone through
            raise TrustError(f"{path}: {ANOTHER}")
        here = registered(folder, run_id)
        if [row for row in here.signatures if row["seal"] == found.seal] != before:
            raise TrustError(f"{path}: somebody has signed it in this moment; look at it again")
        if meaning == "approved":
            written = " ".join(one.note for one in (answers or {}).values())
            insist_on_named(seals_of([*here.seals, *here.altered], here.signatures), found.seal, written)
        said = {
            "number": len(before) + 1,
            "previous": digest_of(before[-1]) if before else "",
            "run_id": run_id,
            "content": found.digest,
            "seal": found.seal,
            "user": one.id,
            "name": one.name,
            "role": one.role,
            "meaning": meaning,
            "reason": reason.strip(),
            "when": when.isoformat(),
            "checklist": questions,
        }
        row = key.signed(said)
        if text := signed_by(users(folder), row):
            raise TrustError(
                f"{text}: it is of {one.keys[-1]['from'][:16]}; a QA person gives a new one: pumpbench users passphrase"
            )
        if text := role_claimed(folder, row):
            raise TrustError(f"{text}; a QA person gives the role anew: pumpbench users role")
        bench, noted = own_key(folder, MEASURED), {"kind": "signature", "run_id": run_id, "row": row}
        fits(path, found.room, [*before, row])
        add_row(folder / "trust" / REGISTER, noted, ledger.now().isoformat(), bench)
        write_rows(path, found.room, [*before, row])
    note_run(path)
    return row


def restore(path: Path, folder: Path | None = None) -> int:
    """Put the registered signatures back into a file that has lost some, as after a restore; returns how many.

    Raises
    ------
    TrustError
        The file is not the one that was sealed, or has signatures that the register does not know.
    """
    folder = folder or home()
    found = verify(path)
    with alone(folder):
        here = registered(folder, str(found.sealed.get("run_id")))
        if not found.sealed or not here.has(found.sealed):
            raise TrustError(f"{path}: is not registered here, so nothing is known of its signatures")
        rows = [dict(row) for row in here.signatures if row["seal"] == digest_of(found.sealed)]
        if foreign := [row for row in found.signatures if row not in rows and is_signed(row)]:
            raise TrustError(
                f"{path}: the signature of {foreign[0].get('name')} is not in the register; nothing was done"
            )
        write_rows(path, room_of(found.sealed), rows)
    note_run(path)
    return len(rows)


def _attempt(row: Row, seals: Sequence[OneSeal]) -> list[str]:
    """What the checklist says of a run: its verdict, or each of its sealed files where there are several."""
    number = f"run {row['run_number']}"
    if row.get("kind") != "run":
        return [f"{number}: began and was never closed"]
    if len(seals) == 1:
        return [f"{number}: {row['verdict']}"]
    return [f"{number}, {one.name}: {one.said}" for one in seals]


def _insist_may(one: User, meaning: str, path: Path) -> None:
    """See that a person may sign a run so."""
    if one.role not in MAY[meaning]:
        raise TrustError(f'{one.name} has the role {one.role}; "{meaning}" is signed by {" or ".join(MAY[meaning])}')
    if meaning != "approved":
        return
    origin = origin_of(path)
    if origin is not Origin.MEASURED:
        raise TrustError(f"{path}: the run is {origin}; only a measured run can be approved")
    if names_of([one]) & authors_of(path):
        raise TrustError(
            f"{path}: {one.name} took part in this run, and nobody approves the own run; ask another QA person"
        )


def _answered(items: Sequence[Item], meaning: str, answers: Mapping[str, Answer]) -> list[dict[str, Any]]:
    """The checklist as it is stored with a signature."""
    shown = {item.key: item.digest for item in items}
    if changed := [key for key, answer in answers.items() if answer.seen and answer.seen != shown.get(key)]:
        raise TrustError(f"the checklist has changed since you looked: {', '.join(changed)}; look at it again")
    if unknown := sorted(set(answers) - set(shown)):
        raise TrustError(f'the checklist has no "{unknown[0]}"; it has {", ".join(item.key for item in items)}')
    if meaning in ("reviewed", "approved"):
        if missing := [item.key for item in items if item.key not in answers]:
            raise TrustError(f"the checklist is not answered: {', '.join(missing)}; see: pumpbench review")
        if mute := [item.key for item in items if item.found == "look" and not answers[item.key].note.strip()]:
            raise TrustError(
                f"the file shows something for {', '.join(mute)}; say in a note why it is acceptable, or not"
            )
    if meaning == "approved" and (refused := [name for name, answer in answers.items() if not answer.accepted]):
        raise TrustError(
            f"{', '.join(refused)}: not accepted, so the run is not approved; reject it, or have it mended"
        )
    return [
        {"key": item.key, "found": item.found, "text": item.text[:TEXT], "accepted": said.accepted, "note": said.note}
        for item in items
        if (said := answers.get(item.key)) is not None
    ]
