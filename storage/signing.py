"""Ed25519 signatures over canonical JSON, and over the short line that a QR code holds.

A signed file is itself canonical JSON: {"body": …, "key": key id, "signature": base64url}. A QR
line is `base64url(canonical JSON).base64url(signature)`. Both are read strictly: every byte of
either is covered by the signature or fixed by the spelling, so that one changed byte shows.
A public key is believed only when somebody handed it over; the key id in a file just names it.
Knows neither persons nor tables.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import canonical
from storage.canonical import NotCanonical

# What a signature is for stands before what is signed: none serves as another.
_DOCUMENT: Final = b"yanasha document 1\n"
_LINE: Final = b"yanasha qr 1\n"
_KEY_ID_CHARS: Final = 16
_PEM_BEGIN: Final = "-----BEGIN PUBLIC KEY-----"
_PEM_END: Final = "-----END PUBLIC KEY-----"
_SINCE: Final = "Compromised-Since: "
# However editors indent or mark it: a warning that is overread would call a thief's paper genuine.
_COMPROMISED: Final = re.compile(r"compromised-since\s*:([^\r\n]*)", re.IGNORECASE)


class BadKey(ValueError):  # noqa: N818 - states a fact
    """This is no Ed25519 public key."""


class HandedKey(msgspec.Struct, frozen=True):
    """A public key as somebody was handed it, and since when it may be somebody else's."""

    public: bytes
    compromised_since: str | None = None


class Signed(msgspec.Struct, frozen=True):
    """A body, who signed it (key id), and the signature."""

    body: dict[str, Any]
    key: str
    signature: str


class Why(StrEnum):
    """Why a file or line does not count as signed."""

    UNREADABLE = "unreadable"  # not the spelling that a signed thing has
    OTHER_KEY = "other_key"  # names a key that we were not given
    CHANGED = "changed"  # signature and content do not belong together


class Verdict(msgspec.Struct, frozen=True):
    """What was signed, or why it counts as forged."""

    body: dict[str, Any] | None = None
    key: str | None = None
    why: Why | None = None

    @property
    def genuine(self) -> bool:
        """Whether one of the given keys signed exactly this."""
        return self.why is None


def key_id(public: bytes) -> str:
    """Name of a public key (its 32 raw bytes)."""
    return hashlib.sha256(public).hexdigest()[:_KEY_ID_CHARS]


def public_of(seed: bytes) -> bytes:
    """Public half of the key that these 32 bytes make."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(seed: bytes, body: Mapping[str, Any]) -> Signed:
    """Sign a body with the key that these 32 bytes make. Raises NotCanonical."""
    value = dict(body)
    signature = _sign(seed, _DOCUMENT + canonical.dumps(value))
    return Signed(value, key_id(public_of(seed)), b64(signature))


def encode(signed: Signed) -> bytes:
    """The signed file."""
    return canonical.dumps(msgspec.to_builtins(signed))


def digest(body: Mapping[str, Any]) -> bytes:
    """SHA-256 of a body's canonical spelling."""
    return hashlib.sha256(canonical.dumps(dict(body))).digest()


def verify(public_keys: Iterable[bytes], file: bytes | Signed) -> Verdict:
    """Say whether one of these keys (32 raw bytes each) signed this file."""
    try:
        signed = _decode(file) if isinstance(file, bytes) else file
        said = _DOCUMENT + canonical.dumps(signed.body)
        signature = unb64(signed.signature)
    except (NotCanonical, msgspec.ValidationError, ValueError):
        return Verdict(why=Why.UNREADABLE)
    return _judge(public_keys, signed.key, said, signature, signed.body)


def line(seed: bytes, body: Mapping[str, Any]) -> str:
    """Sign what a QR code holds; `body` is given the key id as "y"."""
    value = {**body, "y": key_id(public_of(seed))}
    said = canonical.dumps(value)
    return f"{b64(said)}.{b64(_sign(seed, _LINE + said))}"


def verify_line(public_keys: Iterable[bytes], text: str) -> Verdict:
    """Say whether one of these keys signed this line."""
    said, _, signed = text.partition(".")
    try:
        written, signature = unb64(said), unb64(signed)
        body = msgspec.convert(canonical.loads(written), dict[str, Any])
        named = msgspec.convert(body.get("y"), str)
    except (NotCanonical, msgspec.ValidationError, ValueError):
        return Verdict(why=Why.UNREADABLE)
    return _judge(public_keys, named, _LINE + written, signature, body)


def key_of_line(text: str) -> str:
    """Which key a line of ours names; nothing is verified. Raises NotCanonical, ValueError."""
    body = msgspec.convert(canonical.loads(unb64(text.partition(".")[0])), dict[str, Any])
    return str(body["y"])


def pem(public: bytes, compromised_since: datetime | None = None) -> str:
    """A public key as the file that people keep and hand on.

    What is to be known of it stands before it, where RFC 7468 has room for words.
    """
    key = Ed25519PublicKey.from_public_bytes(public)
    words = f"{_SINCE}{compromised_since.isoformat()}\n" if compromised_since else ""
    return words + (
        key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
    )


def public_keys_in(file: str) -> list[bytes]:
    """Every key of a PEM file with one or several. Raises BadKey."""
    return [one.public for one in handed_keys_in(file)]


def handed_keys_in(file: str) -> list[HandedKey]:
    """Every key of a PEM file, with what stands before each. Raises BadKey."""
    found = []
    before, *parts = file.split(_PEM_BEGIN)
    for part in parts:
        written, end, after = part.partition(_PEM_END)
        try:
            key = serialization.load_pem_public_key((_PEM_BEGIN + written + end).encode())
        except ValueError as error:
            raise BadKey("a public key that cannot be read") from error
        if not isinstance(key, Ed25519PublicKey):
            raise BadKey("not an Ed25519 key")
        since = _COMPROMISED.findall(before)
        found.append(HandedKey(key.public_bytes_raw(), since[-1].strip() if since else None))
        before = after
    if not found:
        raise BadKey("no public key in it")
    return found


def b64(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Read base64url in its one spelling. Raises ValueError."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("no base64url") from error
    if b64(raw) != text:  # unused bits, or padding of its own
        raise ValueError("another spelling of base64url")
    return raw


def _decode(file: bytes) -> Signed:
    return msgspec.convert(canonical.loads(file), _StrictlySigned)


class _StrictlySigned(Signed, frozen=True, forbid_unknown_fields=True):
    """A signed file has these fields and no others."""


def _sign(seed: bytes, said: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(said)


def _judge(
    public_keys: Iterable[bytes],
    named: str,
    said: bytes,
    signature: bytes,
    body: dict[str, Any],
) -> Verdict:
    public = next((key for key in public_keys if key_id(key) == named), None)
    if public is None:
        return Verdict(why=Why.OTHER_KEY)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, said)
    except InvalidSignature:
        return Verdict(why=Why.CHANGED)
    return Verdict(body=body, key=named)
