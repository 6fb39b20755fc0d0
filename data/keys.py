"""Ed25519 keys (RFC 8032): what a bench seals with and a person signs with, over JSON in one canonical form."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_BYTES = 32
KEY_ID_DIGITS = 16


def canonical(said: Mapping[str, Any]) -> bytes:
    """The one form of JSON that is signed and hashed: keys sorted, no blanks, UTF-8."""
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(said: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(said)).hexdigest()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key; ``public`` is the other half, 32 bytes in base64."""

    private: Ed25519PrivateKey
    public: str

    @classmethod
    def new(cls) -> SigningKey:
        """A key that nobody has yet."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls.of(Ed25519PrivateKey.generate())

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> SigningKey:
        """The key of a private half."""
        return cls(private, base64.b64encode(private.public_key().public_bytes_raw()).decode())

    @classmethod
    def from_bytes(cls, secret: bytes) -> SigningKey:
        """The key of the 32 secret bytes."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls.of(Ed25519PrivateKey.from_private_bytes(secret))

    @property
    def secret(self) -> bytes:
        """The 32 secret bytes."""
        return self.private.private_bytes_raw()

    def signed(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What is said, with ``key`` (public half) and ``signature`` over the canonical JSON of all the rest."""
        whole = {**said, "key": self.public}
        return {**whole, "signature": base64.b64encode(self.private.sign(canonical(whole))).decode()}


def is_signed(said: Mapping[str, Any]) -> bool:
    """Whether ``signature`` is that of ``key`` over everything else that is said."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    rest = {name: value for name, value in said.items() if name != "signature"}
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(str(said["key"]), validate=True))
        signature = base64.b64decode(str(said["signature"]), validate=True)
        public.verify(signature, canonical(rest))
    except (KeyError, ValueError, InvalidSignature):
        return False
    # One signature has one text: base64 leaves bits of the last letter free.
    return base64.b64encode(signature).decode() == said["signature"] and is_public(str(said["key"]))


def is_public(public: str) -> bool:
    """Whether a text is the public half of a key, written in the one way."""
    try:
        raw = base64.b64decode(public, validate=True)
    except ValueError:
        return False
    return len(raw) == KEY_BYTES and base64.b64encode(raw).decode() == public


def key_id(public: str) -> str:
    """Short name of a key: 16 hexadecimal digits of the SHA-256 of its public half; "unreadable" of what is no key."""
    try:
        return hashlib.sha256(base64.b64decode(public)).hexdigest()[:KEY_ID_DIGITS]
    except ValueError:  # somebody, or a failing disk, has changed it
        return "unreadable"
