"""Persons who sign: each has a key that only the passphrase opens.  An id is never given to somebody else."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from bench.trust import ledger
from bench.trust.audit import lasting
from bench.trust.keys import MEASURED, known_keys, note, own_key
from bench.trust.ledger import AUDIT, CLOCK, REGISTER, TrustError, alone, read_json, rows_of, write_json, writing_json
from data.audit import Row
from data.keys import SigningKey, is_signed

Role = Literal["operator", "engineer", "QA"]
ROLES: tuple[str, ...] = get_args(Role)

ATTEMPTS = 5
"""Wrong passphrases in a row that lock a person out, until a QA person lets them in again."""

OLDEST = timedelta(days=365)
"""A passphrase older than this signs nothing but a new one."""

SHORTEST = 10
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 15, 8, 1
"""Cost of a guess: 32 MiB and about 0.1 s.  Each wrapped key tells with which cost it was made."""


@dataclass(frozen=True, slots=True)
class User:
    """A person.  ``keys`` are the public keys with the time from and until when each was theirs."""

    id: str
    name: str
    role: str
    account: str
    keys: list[dict[str, str]]
    passphrase_set: str
    wrapped: dict[str, Any]
    failures: int = 0
    locked: bool = False
    retired: str = ""


def users(home: Path) -> dict[str, User]:
    """Everybody who was ever added, by id."""
    path = home / "trust" / "users.json"
    try:
        return {name: User(**said) for name, said in read_json(path).items()}
    except TypeError:
        raise TrustError(f"{path}: is damaged; restore it from a backup") from None


def user(home: Path, name: str) -> User:
    """A person by id; raises TrustError."""
    found = users(home)
    if name not in found:
        there = ", ".join(found) or "none"
        raise TrustError(f'there is no user "{name}" (there are: {there}); add one: pumpbench users add')
    return found[name]


def add(
    home: Path, name: str, printed: str, role: str, passphrase: str, account: str = "", by: User | None = None
) -> User:
    """Add a person; the first one has the role QA and lets in the others.

    Whether somebody was there before is known by the list and by the audit trail: a list that has gone makes nobody
    the first one.

    Raises
    ------
    TrustError
        The id was used before or is none, the passphrase is too short, or the person who adds may not.
    """
    _insist_on(passphrase)
    if not re.fullmatch(r"[a-z][a-z0-9._-]{0,31}", name):
        raise TrustError(f'"{name}" is no user id: small letters, digits, ".", "_" and "-", a letter first')
    if not printed.strip():
        raise TrustError("the printed name is missing; it stands beside each signature")
    moment = ledger.now().isoformat()
    with alone(home):
        there = users(home)
        if name in there:
            raise TrustError(f'the id "{name}" was given to {there[name].name}; ids are never given again')
        noted = {str(row.get("what")) for row in rows_of(home, AUDIT)[0]}
        if f"user {name}" in noted:
            raise TrustError(f'the id "{name}" was given before, as the audit trail says; ids are never given again')
        is_first = not there and not any(what.startswith("user ") for what in noted)
        if is_first and role != "QA":
            raise TrustError("the first user lets in all others, so needs the role QA")
        if not there and not is_first:
            lost = home / "trust" / "users.json"
            raise TrustError(f"{lost}: lists nobody, and the audit trail knows persons; restore it from a backup")
        if not is_first:
            insist_on_qa(by)
        key = SigningKey.new()
        keys = [{"public": key.public, "from": moment, "until": ""}]
        made = User(name, printed.strip(), role, account, keys, moment, wrap(key, passphrase))
        _store(home, made, None, "added", by or made)
    return made


def change_role(home: Path, name: str, role: str, reason: str, by: User) -> User:
    """Give a person another role."""
    return _change(home, name, reason, by, lambda one, _: replace(one, role=role))


def retire(home: Path, name: str, reason: str, by: User) -> User:
    """Let a person sign no more.  What they signed before stands."""

    def retired(one: User, moment: str) -> User:
        keys = [{**key, "until": key["until"] or moment} for key in one.keys]
        return replace(one, retired=moment, keys=keys, wrapped={})

    return _change(home, name, reason, by, retired)


def unlock(home: Path, name: str, reason: str, by: User) -> User:
    """Let a person try again who was locked out."""
    return _change(home, name, reason, by, lambda one, _: replace(one, locked=False, failures=0))


def change_passphrase(home: Path, name: str, old: str, new: str) -> User:
    """Wrap a person's key anew; an aged passphrase can still be changed."""
    _insist_on(new)
    if old == new:
        raise TrustError("the new passphrase is the old one; choose another")
    one, key = unlocked(home, name, old, old_too=True)
    with alone(home):
        made = replace(users(home)[name], wrapped=wrap(key, new), passphrase_set=ledger.now().isoformat())
        _store(home, made, one, "new passphrase", one)
    return made


def new_key(home: Path, name: str, passphrase: str, reason: str, by: User) -> User:
    """Give a person a new key, since the passphrase was forgotten or the key is no longer theirs alone."""
    _insist_on(passphrase)
    key = SigningKey.new()

    def renewed(one: User, moment: str) -> User:
        keys = [{**old, "until": old["until"] or moment} for old in one.keys]
        keys.append({"public": key.public, "from": moment, "until": ""})
        fresh = wrap(key, passphrase)
        return replace(one, keys=keys, wrapped=fresh, passphrase_set=moment, failures=0, locked=False)

    return _change(home, name, reason, by, renewed)


def aged(one: User) -> bool:
    """Whether a person's passphrase is too old to sign with."""
    return not one.retired and ledger.now() - datetime.fromisoformat(one.passphrase_set) > OLDEST


def _who_lets_in(home: Path, one: User) -> str:
    """What helps a person who is locked out."""
    others = [other for other in users(home).values() if other.role == "QA" and other.id != one.id]
    able = [other.id for other in others if not other.retired and not other.locked]
    if not able:
        return "nobody else has the role QA and can let them in: restore the state folder from a backup"
    return f'a QA person lets them in: pumpbench users unlock {one.id} --by {able[0]} --reason "..."'


def unlocked(home: Path, name: str, passphrase: str, *, old_too: bool = False) -> tuple[User, SigningKey]:
    """A person and their key, opened by the passphrase.

    Parameters
    ----------
    old_too : an aged passphrase opens it as well.

    Raises
    ------
    TrustError
        The person is retired or locked out, the passphrase is wrong, or too old.
    """
    with alone(home):
        one = user(home, name)
        if one.retired:
            raise TrustError(f"{one.name} was retired on {one.retired[:10]} and signs no more")
        if one.locked:
            raise TrustError(f"{one.name} is locked out; {_who_lets_in(home, one)}")
        key = unwrap(one.wrapped, passphrase)
        if key is None or key.public != one.keys[-1]["public"]:
            failed = replace(one, failures=one.failures + 1, locked=one.failures + 1 >= ATTEMPTS)
            left = ATTEMPTS - failed.failures
            tries = "1 attempt is left" if left == 1 else f"{left} attempts are left"
            why = "locked out" if failed.locked else f"wrong passphrase, {tries}"
            _write(home, failed)  # it counts, whether the trail can take it or not
            _store(home, failed, one, why, one)
            raise TrustError(f"{one.name}: {why}" + (f"; {_who_lets_in(home, one)}" if failed.locked else ""))
        if one.failures:
            _write(home, replace(one, failures=0))
    if not old_too and aged(one):
        raise TrustError(f"the passphrase is older than a year; set a new one: pumpbench users passphrase {name}")
    return one, key


def signed_by(persons: Mapping[str, User], row: Mapping[str, Any]) -> str:
    """Why a signature's key is not that of the person it names; empty when it is."""
    one = persons.get(str(row.get("user")))
    if one is None:
        return f"{row.get('name')} is not known here"
    for key in one.keys:
        if key["public"] == row.get("key"):
            when = datetime.fromisoformat(str(row["when"]))
            begun = datetime.fromisoformat(key["from"]) <= when
            if begun and (not key["until"] or when <= datetime.fromisoformat(key["until"])):
                return ""
            return f"the key was not {one.name}'s at the time that it names"
    return f"the key is none of {one.name}'s"


def role_claimed(home: Path, row: Mapping[str, Any]) -> str:
    """Why a person had not the role in which a row is signed, as the audit trail knows it; empty when all is well.

    What the trail noted before a QA person accepted the clock came before all that was signed after that, whatever
    time it says; what it noted after that came after what was signed before.
    """
    when, trail = datetime.fromisoformat(str(row["when"])), rows_of(home, AUDIT)[0]
    since, until = _clocks_beside(home, row, when, trail)
    known, roles = known_keys(home), []
    for number, one in enumerate(trail[:until], 1):
        if one.get("what") != f"user {row.get('user')}":
            continue
        if one.get("key") not in known or not is_signed(one):
            return f"row {number} of the audit trail, on {row.get('name')}, was changed, or signed with a foreign key"
        if number <= since or datetime.fromisoformat(str(one["when"])) <= when:
            roles.append(str(one["new"]["role"]))
    if roles and roles[-1] != row.get("role"):
        return f"{row.get('name')} was {roles[-1]} at that time, and signed as {row.get('role')}"
    return ""


def _clocks_beside(home: Path, row: Mapping[str, Any], when: datetime, trail: Sequence[Row]) -> tuple[int, int]:
    """How many rows the trail had when the clock was accepted last before a signature, and first after it."""
    clocks = [one for one in trail if one.get("what") == CLOCK]
    if not clocks:
        return 0, len(trail)
    noted = (number for number, one in enumerate(rows_of(home, REGISTER)[0], 1) if one.get("row") == row)
    number = next(noted, None)
    if number is None:  # not signed yet, or elsewhere
        before = [one["new"] for one in clocks if datetime.fromisoformat(str(one["when"])) <= when]
        after = []
    else:
        before = [one["new"] for one in clocks if int(one["new"][REGISTER]) < number]
        after = [one["new"] for one in clocks if int(one["new"][REGISTER]) >= number]
    return (int(before[-1][AUDIT]) if before else 0), (int(after[0][AUDIT]) if after else len(trail))


def insist_on_qa(by: User | None) -> None:
    """See that somebody with the role QA does it; raises TrustError."""
    if by is None or by.role != "QA" or by.retired:
        raise TrustError("only a person with the role QA changes users; say who: --by USER")


def wrap(key: SigningKey, passphrase: str) -> dict[str, Any]:
    """A key in a box that the passphrase opens: scrypt (RFC 7914), then AES-256-GCM."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    said: dict[str, Any] = {"n": SCRYPT_N, "r": SCRYPT_R, "p": SCRYPT_P, "salt": _text(os.urandom(16))}
    nonce = os.urandom(12)
    return said | {
        "nonce": _text(nonce),
        "box": _text(AESGCM(_stretched(said, passphrase)).encrypt(nonce, key.secret, None)),
    }


def unwrap(wrapped: Mapping[str, Any], passphrase: str) -> SigningKey | None:
    """The key in the box, None when the passphrase does not open it."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        box = AESGCM(_stretched(wrapped, passphrase))
        secret = box.decrypt(base64.b64decode(wrapped["nonce"]), base64.b64decode(wrapped["box"]), None)
    except (InvalidTag, KeyError):
        return None
    return SigningKey.from_bytes(secret)


def _stretched(said: Mapping[str, Any], passphrase: str) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    kdf = Scrypt(base64.b64decode(said["salt"]), 32, int(said["n"]), int(said["r"]), int(said["p"]))
    return kdf.derive(passphrase.encode())


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _change(home: Path, name: str, reason: str, by: User, changed: Any) -> User:
    if not reason.strip():
        raise TrustError("--reason: say why; it stands in the audit trail")
    insist_on_qa(by)
    with alone(home):
        old = user(home, name)
        if old.retired:
            raise TrustError(f"{old.name} was retired on {old.retired[:10]}; add the person again under a new id")
        made: User = changed(old, ledger.now().isoformat())
        staff = [one for one in (users(home) | {name: made}).values() if one.role == "QA" and not one.retired]
        if not staff:
            raise TrustError(f"{old.name} is the last one with the role QA; add another QA person first")
        _store(home, made, old, reason, by)
    return made


def _store(home: Path, made: User, old: User | None, why: str, who: User) -> None:
    """Write a person down who is noted in the trail, or neither.  The caller holds the folder."""
    before = None if old is None else lasting(asdict(old))
    with writing_json(home / "trust" / "users.json", _with(home, made)):
        note(home, own_key(home, MEASURED), f"user {made.id}", why, old=before, new=lasting(asdict(made)), who=who.id)


def _write(home: Path, made: User) -> None:
    write_json(home / "trust" / "users.json", _with(home, made))


def _with(home: Path, made: User) -> dict[str, Any]:
    """Every person, as the file has them, with one of them anew."""
    return {name: asdict(one) for name, one in users(home).items()} | {made.id: asdict(made)}


def _insist_on(passphrase: str) -> None:
    if len(passphrase) < SHORTEST:
        raise TrustError(f"the passphrase has fewer than {SHORTEST} characters; choose a longer one")
