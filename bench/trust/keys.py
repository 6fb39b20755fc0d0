"""The bench's own keys, and the public keys of other benches that count here."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.trust import ledger
from bench.trust.ledger import AUDIT, TrustError, alone, read_json, rows_of, writing_json, writing_private
from data.audit import Row, add_row, foreign
from data.keys import SigningKey, is_public, key_id

MEASURED = "bench"
UNMEASURED = "unmeasured"
KINDS = (MEASURED, UNMEASURED)
"""Kinds of a bench's keys: one for what was measured, another one for every other run."""


@dataclass(frozen=True, slots=True)
class Known:
    """A bench's public key."""

    public: str
    name: str
    kind: str
    own: bool
    since: str
    revoked: str = ""
    reason: str = ""

    @property
    def id(self) -> str:
        """Its short name."""
        return key_id(self.public)


def known_keys(home: Path) -> dict[str, Known]:
    """Every key that counts, or counted, here; by its public half."""
    path = home / "trust" / "keys.json"
    try:
        return {public: Known(**said) for public, said in read_json(path).items()}
    except TypeError:
        raise TrustError(f"{path}: is damaged; restore it from a backup") from None


def vouched_rows(home: Path, name: str) -> tuple[list[Row], list[str]]:
    """Rows of a log and what is wrong with it, its chain and the keys that vouch for it; raises TrustError."""
    rows, broken = rows_of(home, name)
    return rows, [*broken, *foreign(home / "trust" / name, rows, known_keys(home))]


def bench_key(home: Path, kind: str = MEASURED) -> SigningKey:
    """The bench's own key of a kind, made at first need.

    Raises
    ------
    TrustError
        Its file is damaged.
    OSError
        The state folder cannot be written.
    """
    path = home / "trust" / f"{kind}.pem"
    if path.exists():
        return _load(path)
    with alone(home):
        return own_key(home, kind)


def own_key(home: Path, kind: str) -> SigningKey:
    """`bench_key` for who holds the folder already."""
    path = home / "trust" / f"{kind}.pem"
    if path.exists():
        return _load(path)
    from cryptography.hazmat.primitives import serialization

    key = SigningKey.new()
    signer = key if kind == MEASURED else own_key(home, MEASURED)
    known, moment = known_keys(home), ledger.now()
    pem = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    lost = [one.id for one in known.values() if one.own and one.kind == kind and not one.revoked]
    made = Known(key.public, platform.node() or "bench", kind, True, moment.isoformat())
    why = f"the file of key {lost[-1]} was not there" if lost else "made at first need"
    with writing_private(path, pem), _storing(home, made):
        note(home, signer, f"key {made.id}", why, new=asdict(made), old=lost[-1] if lost else None, moment=moment)
    return key


def trust(home: Path, public: str, name: str, kind: str, reason: str) -> Known:
    """Let a key of another bench count here; raises TrustError for what is no key, or is known."""
    if not is_public(public):
        raise TrustError(f'"{public}" is no public key: 32 bytes in base64, as pumpbench keys export prints it')
    moment = ledger.now()
    with alone(home):
        known = known_keys(home)
        if public in known and not known[public].revoked:
            raise TrustError(f"key {key_id(public)} counts here already, as {known[public].name}")
        made = Known(public, name, kind, False, moment.isoformat())
        _store(home, made, known.get(public), reason)
    return made


def revoke(home: Path, name: str, reason: str) -> Known:
    """Let a key count no longer for what was not registered before; its id or the beginning of it says which."""
    moment = ledger.now()
    with alone(home):
        found = [one for one in known_keys(home).values() if one.id.startswith(name) and not one.revoked]
        if len(found) != 1:
            raise TrustError(f'there are {len(found)} keys "{name}" that count; see: pumpbench keys list')
        made = replace(found[0], revoked=moment.isoformat(), reason=reason)
        path = home / "trust" / f"{made.kind}.pem"
        if made.own and path.exists() and _load(path).public == made.public:
            path.replace(path.with_name(f"{made.kind}-{made.id}.revoked"))
        _store(home, made, found[0], reason)
    return made


def _store(home: Path, made: Known, old: Known | None, reason: str) -> None:
    signer = own_key(home, MEASURED)
    with _storing(home, made):
        note(home, signer, f"key {made.id}", reason, new=asdict(made), old=None if old is None else asdict(old))


def _storing(home: Path, made: Known) -> AbstractContextManager[None]:
    """Write a key's public half down when the block has noted it."""
    known = {public: asdict(one) for public, one in known_keys(home).items()}
    return writing_json(home / "trust" / "keys.json", known | {made.public: asdict(made)})


def note(
    home: Path,
    key: SigningKey,
    what: str,
    why: str,
    *,
    old: Any = None,
    new: Any = None,
    who: str = "",
    moment: datetime | None = None,
) -> Row:
    """Add a row to the audit trail: who changed what, from what to what, why and when.  The caller holds the folder."""
    fields: Mapping[str, Any] = {
        "who": who or getpass.getuser(),
        "account": getpass.getuser(),
        "what": what,
        "old": old,
        "new": new,
        "why": why,
    }
    return add_row(home / "trust" / AUDIT, fields, (moment or ledger.now()).isoformat(), key)


def _load(path: Path) -> SigningKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        private = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(private, Ed25519PrivateKey):
            raise TypeError
    except (ValueError, TypeError):
        raise TrustError(f"{path}: is no key; restore it from a backup, or remove it to have a new one made") from None
    return SigningKey.of(private)
