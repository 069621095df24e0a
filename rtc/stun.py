"""STUN binding (RFC 8489) as far as an ICE-lite server needs it (RFC 8445 section 2.5).

Only requests that carry a valid FINGERPRINT and MESSAGE-INTEGRITY are answered; everything else is
dropped without a reply, so a stranger learns nothing and nothing is amplified.
"""

import hmac
import ipaddress
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

BINDING_REQUEST = 0x0001
BINDING_SUCCESS = 0x0101
MAGIC = 0x2112A442
FINGERPRINT_XOR = 0x5354554E

USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLING = 0x802A

_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_INTEGRITY_BYTES = 20
_FINGERPRINT_ATTRIBUTE_BYTES = 8
_MAX_ATTRIBUTES = 32
_UFRAG_BYTES = 12  # of ours; see rtc/ice.py

Address = tuple[str, int]


class MalformedStunError(ValueError):
    """Not a STUN message we accept: cut short, false length, wrong fingerprint, no integrity."""


@dataclass(frozen=True, slots=True)
class Stun:
    """A parsed message with a checked FINGERPRINT; its integrity is not checked yet."""

    data: bytes
    kind: int
    transaction: bytes
    attributes: dict[int, bytes]
    integrity_at: int

    @property
    def username(self) -> str:
        """`ours:theirs` (RFC 8445 section 7.2.2)."""
        return self.attributes.get(USERNAME, b"").decode("ascii", "replace")

    @property
    def use_candidate(self) -> bool:
        """The controlling side nominates this pair."""
        return USE_CANDIDATE in self.attributes

    def signed_by(self, password: str) -> bool:
        """Checks MESSAGE-INTEGRITY with a short-term credential (RFC 8489 section 14.5)."""
        expected = _integrity(self.data[: self.integrity_at], password)
        return hmac.compare_digest(expected, self.attributes[MESSAGE_INTEGRITY])


def parse(data: bytes) -> Stun:
    """Reads a message; raises `MalformedStunError` unless both guards are there and well placed.

    What follows MESSAGE-INTEGRITY, other than FINGERPRINT, is ignored (RFC 8489 section 14.5).
    """
    kind, transaction = _header(data)
    attributes: dict[int, bytes] = {}
    integrity_at = 0
    fingerprint = None
    for at, name, value in _attributes(data):
        if fingerprint is not None:
            raise MalformedStunError("more after the fingerprint")
        if name == FINGERPRINT:
            fingerprint = value
            if fingerprint != _fingerprint(data[:at]):
                raise MalformedStunError("wrong fingerprint")
        elif not integrity_at:
            if name == MESSAGE_INTEGRITY:
                integrity_at = at
            attributes.setdefault(name, value)
    if fingerprint is None or len(attributes.get(MESSAGE_INTEGRITY, b"")) != _INTEGRITY_BYTES:
        raise MalformedStunError("no fingerprint or no integrity")
    return Stun(data, kind, transaction, attributes, integrity_at)


def likely_ufrag(data: memoryview) -> str:
    """Our user fragment as it stands in a browser's check, whose first attribute it is.

    Nothing is checked: this is for whoever must not cost us a whole `parse`.
    """
    at = _HEADER.size
    if len(data) < at + _ATTRIBUTE.size or _ATTRIBUTE.unpack_from(data, at)[0] != USERNAME:
        return ""
    name = bytes(data[at + _ATTRIBUTE.size : at + _ATTRIBUTE.size + _UFRAG_BYTES])
    return name.decode("ascii", "replace")


def _header(data: bytes) -> tuple[int, bytes]:
    if len(data) < _HEADER.size:
        raise MalformedStunError("cut short")
    kind, length, magic, transaction = _HEADER.unpack_from(data)
    if magic != MAGIC or kind & 0xC000:
        raise MalformedStunError("not STUN")
    if length % 4 or length != len(data) - _HEADER.size:
        raise MalformedStunError("false length")
    return kind, transaction


def _attributes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yields place, type and value of each attribute; the whole length is a multiple of 4."""
    at = _HEADER.size
    for _ in range(_MAX_ATTRIBUTES):
        if at >= len(data):
            return
        name, size = _ATTRIBUTE.unpack_from(data, at)
        value = data[at + 4 : at + 4 + size]
        if len(value) < size:
            raise MalformedStunError("attribute cut short")
        yield at, name, value
        at += 4 + size + (-size % 4)
    raise MalformedStunError("too many attributes")


def build(kind: int, transaction: bytes, attributes: dict[int, bytes], password: str) -> bytes:
    """A signed message with fingerprint."""
    body = bytearray()
    for name, value in attributes.items():
        body += _ATTRIBUTE.pack(name, len(value)) + value + bytes(-len(value) % 4)
    data = _HEADER.pack(kind, len(body), MAGIC, transaction) + bytes(body)
    data += _ATTRIBUTE.pack(MESSAGE_INTEGRITY, _INTEGRITY_BYTES) + _integrity(data, password)
    # The length in the header counts what is added here, before the sum is taken.
    data = _with_length(data, len(data) - _HEADER.size + _FINGERPRINT_ATTRIBUTE_BYTES)
    return data + _ATTRIBUTE.pack(FINGERPRINT, 4) + _fingerprint(data)


def success(request: Stun, source: Address, password: str) -> bytes:
    """The answer to a checked binding request that came from `source`."""
    mapped = {XOR_MAPPED_ADDRESS: xor_address(source, request.transaction)}
    return build(BINDING_SUCCESS, request.transaction, mapped, password)


def request(username: str, password: str, *, use_candidate: bool, tie_breaker: bytes) -> bytes:
    """A controlling client's check; the worker itself never sends one, test clients do."""
    attributes = {
        USERNAME: username.encode(),
        PRIORITY: (0x7E0000FF).to_bytes(4, "big"),
        ICE_CONTROLLING: tie_breaker,
    }
    if use_candidate:
        attributes[USE_CANDIDATE] = b""
    return build(BINDING_REQUEST, os.urandom(12), attributes, password)


def xor_address(source: Address, transaction: bytes) -> bytes:
    """XOR-MAPPED-ADDRESS (RFC 8489 section 14.2)."""
    address = ipaddress.ip_address(source[0])
    if address.version == 6 and address.ipv4_mapped is not None:  # noqa: PLR2004
        address = address.ipv4_mapped  # of a port that is bound for both families
    mask = MAGIC.to_bytes(4, "big") + transaction
    hidden = bytes(a ^ b for a, b in zip(address.packed, mask, strict=False))
    family = 1 if address.version == 4 else 2  # noqa: PLR2004
    return struct.pack("!BBH", 0, family, source[1] ^ (MAGIC >> 16)) + hidden


def _with_length(data: bytes, length: int) -> bytes:
    return data[:2] + length.to_bytes(2, "big") + data[4:]


def _integrity(data: bytes, password: str) -> bytes:
    signed = _with_length(data, len(data) - _HEADER.size + 4 + _INTEGRITY_BYTES)
    return hmac.digest(password.encode(), signed, "sha1")


def _fingerprint(data: bytes) -> bytes:
    return (crc32(data) ^ FINGERPRINT_XOR).to_bytes(4, "big")
