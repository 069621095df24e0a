"""A chain of HMACs over records, and signed checkpoints of how far it has come.

Each link covers the one before, its own number and the record's bytes: whoever has no key can
neither change a record nor take one out nor put two in another order without breaking the chain
there. What a chain cannot tell by itself is that its end was cut off; checkpoints, kept elsewhere,
tell that. Knows neither persons nor tables.
"""

import hashlib
import hmac
import os
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

START = bytes(32)  # what the first link follows


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a chain has come: its last link, and the name of the record under it."""

    sequence: int
    mac: str
    record: str
    at: datetime


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A mark and the Ed25519 signature over it; the public key is for whoever keeps it abroad."""

    mark: Mark
    public_key: str
    signature: str


def link(key: bytes, previous: bytes, sequence: int, record: bytes) -> bytes:
    """Give the link that puts `record` at place `sequence` behind `previous`."""
    return hmac.digest(key, previous + sequence.to_bytes(8, "big") + record, hashlib.sha256)


def same(one: bytes, other: bytes) -> bool:
    """Compare two links in constant time."""
    return hmac.compare_digest(one, other)


def sign(seed: bytes, mark: Mark) -> Checkpoint:
    """Sign a mark with the key that these 32 bytes make."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return Checkpoint(
        mark=mark,
        public_key=key.public_key().public_bytes_raw().hex(),
        signature=key.sign(_signed(mark)).hex(),
    )


def signed_by(seed: bytes, checkpoint: Checkpoint) -> bool:
    """Say whether our own key signed this; the public key written beside it is not believed."""
    return verifies(public_key(seed), checkpoint)


def public_key(seed: bytes) -> bytes:
    """Public half of the key that these 32 bytes make."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def verifies(public: bytes, checkpoint: Checkpoint) -> bool:
    """Say whether the holder of this public key's other half signed the checkpoint."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            bytes.fromhex(checkpoint.signature), _signed(checkpoint.mark)
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed(mark: Mark) -> bytes:
    return b"yanasha checkpoint 1\n" + msgspec.json.encode(mark, order="deterministic")


def read_head(path: Path) -> Checkpoint | None:
    """Give the checkpoint in a file; None when there is none. Raises msgspec's DecodeError."""
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(written, type=Checkpoint)


def write_head(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file's checkpoint; after a power cut it holds this one or the one before."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(encode(checkpoint))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_log(path: Path) -> list[Checkpoint]:
    """Give the checkpoints of a file that grows by one a line. Raises msgspec's DecodeError."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [msgspec.json.decode(line, type=Checkpoint) for line in lines if line]


def append_log(path: Path, checkpoint: Checkpoint) -> None:
    """Add a checkpoint to such a file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(encode(checkpoint) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def encode(checkpoint: Checkpoint) -> bytes:
    """One line of JSON."""
    return msgspec.json.encode(checkpoint, order="deterministic")
