"""What a backup consists of on disk: sealed streams that only the recovery kit opens, and a signed
manifest that names them.

A sealed stream is for the holder of an X25519 key that the machine does not keep; its chunks are
AES-256-GCM under a key of this stream alone, numbered, the last one marked, and the whole is signed
by the installation (Ed25519). Changed, cut, swapped with another or made by somebody else: all of
it is Damaged, or Foreign, before a byte of it is used. Knows neither database nor object store.

BackupError      one sentence for the operator
├── Damaged      not what was written
└── Foreign      another installation's, or sealed for another recovery kit
"""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Self

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = 1
CHUNK = 1 << 20
_MAGIC = b"yanasha sealed 1\n"
_KEY = _ID = 32
_TAG, _SIGNATURE = 16, 64
_HEAD = len(_MAGIC) + _KEY + _KEY + _KEY
_KIT = "YANASHA-RECOVERY-1"
_CHECK = 6  # with it the letters come out even, and none is without meaning


class BackupError(Exception):
    """Why a backup is not read: one sentence."""


class Damaged(BackupError):  # noqa: N818 - states a fact
    """The bytes are not those that were written."""


class Foreign(BackupError):  # noqa: N818 - states a fact
    """Whole perhaps, but not of the installation that the recovery kit belongs to."""


class Sealer(msgspec.Struct, frozen=True):
    """What an installation seals with: the kit's public half, and its own signing seed."""

    recipient: bytes
    seed: bytes

    @property
    def signer(self) -> bytes:
        """Public half of the signing key: names the installation."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()


class Kit(msgspec.Struct, frozen=True):
    """What the operator keeps apart: opens the backups, and knows who may have made them."""

    private: bytes
    signer: bytes

    @classmethod
    def new(cls, signer: bytes) -> Self:
        """Draw a new one for the installation that signs with this key."""
        return cls(X25519PrivateKey.generate().private_bytes_raw(), signer)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `text` gave; blanks and line ends do not matter. Raises BackupError."""
        joined = "".join(text.split()).upper()
        head, _, body = joined.partition(":")
        try:
            raw = base64.b32decode(body.replace("-", "") + "=" * (-len(body.replace("-", "")) % 8))
        except binascii.Error as error:
            raise BackupError("This is not a recovery key: characters are missing.") from error
        private, signer, check = raw[:_KEY], raw[_KEY:-_CHECK], raw[-_CHECK:]
        if head != _KIT or len(raw) != 2 * _KEY + _CHECK or _check(private + signer) != check:
            raise BackupError("This is not a recovery key: it was mistyped, or a part is missing.")
        return cls(private, signer)

    @property
    def text(self) -> str:
        """For paper or a password safe."""
        raw = self.private + self.signer
        letters = base64.b32encode(raw + _check(raw)).decode().rstrip("=")
        groups = [letters[at : at + 6] for at in range(0, len(letters), 6)]
        return f"{_KIT}:{'-'.join(groups)}"

    @property
    def recipient(self) -> bytes:
        """The public half: for whom is sealed."""
        return X25519PrivateKey.from_private_bytes(self.private).public_key().public_bytes_raw()


def _check(raw: bytes) -> bytes:
    return hashlib.sha256(_KIT.encode() + raw).digest()[:_CHECK]


def seal(sealer: Sealer, about: str, plain: Iterable[bytes]) -> Iterator[bytes]:
    """Seal a stream under this name: it opens under no other one."""
    own = X25519PrivateKey.generate()
    ephemeral = own.public_key().public_bytes_raw()
    shared = own.exchange(X25519PublicKey.from_public_bytes(sealer.recipient))
    head = _MAGIC + sealer.recipient + sealer.signer + ephemeral
    key, digest = _key(shared, head, about), hashlib.sha256(about.encode() + b"\0" + head)
    yield head
    for number, last, chunk in _numbered(_chunks(plain, CHUNK)):
        sealed = key.encrypt(_nonce(number, last), chunk, None)
        digest.update(sealed)
        yield sealed
    yield Ed25519PrivateKey.from_private_bytes(sealer.seed).sign(_signed(digest.digest()))


def unseal(kit: Kit, about: str, sealed: Iterable[bytes]) -> Iterator[bytes]:
    """Open a stream; it is the right one only when this came to its end. Raises BackupError."""
    chunks = _behind(kit, about, sealed)
    try:
        yield from chunks
    except (InvalidTag, ValueError) as error:  # ValueError: no key can be agreed with these bytes
        raise Damaged(f"{about} is damaged: its bytes were changed or cut off.") from error
    except InvalidSignature as error:
        raise Damaged(f"{about} is not signed by the installation it names.") from error


def _behind(kit: Kit, about: str, sealed: Iterable[bytes]) -> Iterator[bytes]:
    source = _Held(sealed, _SIGNATURE)
    head = source.take(_HEAD)
    if len(head) < _HEAD or not head.startswith(_MAGIC):
        raise Damaged(f"{about} is damaged: it does not begin as a sealed stream.")
    recipient, signer, ephemeral = (head[at : at + _KEY] for at in range(len(_MAGIC), _HEAD, _KEY))
    if signer != kit.signer:
        raise Foreign(f"{about} was made by another installation.")
    if recipient != kit.recipient:
        raise Foreign(f"{about} was sealed for another recovery key.")
    shared = X25519PrivateKey.from_private_bytes(kit.private).exchange(
        X25519PublicKey.from_public_bytes(ephemeral)
    )
    key, digest = _key(shared, head, about), hashlib.sha256(about.encode() + b"\0" + head)
    for number, last, chunk in _numbered(iter(lambda: source.take(CHUNK + _TAG), b"")):
        digest.update(chunk)
        yield key.decrypt(_nonce(number, last), chunk, None)
    Ed25519PublicKey.from_public_bytes(signer).verify(source.tail, _signed(digest.digest()))


def deflated(plain: Iterable[bytes]) -> Iterator[bytes]:
    """Pack a stream before it is sealed: a log that was closed early is mostly zeros."""
    packer = zlib.compressobj(level=1)
    for piece in plain:
        yield packer.compress(piece)
    yield packer.flush()


def inflated(about: str, packed: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack it, never more than a chunk at a time. Raises Damaged."""
    unpacker = zlib.decompressobj()
    try:
        for piece in packed:
            yield unpacker.decompress(piece, CHUNK)
            while rest := unpacker.unconsumed_tail:
                yield unpacker.decompress(rest, CHUNK)
        while rest := unpacker.decompress(unpacker.unconsumed_tail, CHUNK):
            yield rest
    except zlib.error as error:
        raise Damaged(f"{about} is damaged: it cannot be unpacked.") from error
    if not unpacker.eof:
        raise Damaged(f"{about} is damaged: it ends too early.")


def _key(shared: bytes, head: bytes, about: str) -> AESGCM:
    made = HKDF(hashes.SHA256(), _KEY, salt=head, info=b"yanasha backup 1 " + about.encode())
    return AESGCM(made.derive(shared))


def _nonce(number: int, last: bool) -> bytes:
    """The key serves one stream only, so a counter never repeats under it."""
    return number.to_bytes(11, "big") + bytes([last])


def _signed(digest: bytes) -> bytes:
    return b"yanasha sealed stream 1\n" + digest


def _chunks(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of this size; the last one is shorter, perhaps empty."""
    rest = bytearray()
    for piece in pieces:
        rest += piece
        while len(rest) > size:
            yield bytes(rest[:size])
            del rest[:size]
    yield bytes(rest)


def _numbered(chunks: Iterable[bytes]) -> Iterator[tuple[int, bool, bytes]]:
    """Each chunk with its number, and whether it is the last."""
    number, held = 0, None
    for chunk in chunks:
        if held is not None:
            yield number, False, held
            number += 1
        held = chunk
    yield number, True, held if held is not None else b""


class _Held:
    """Reads pieces by length and keeps the last bytes of the whole back."""

    def __init__(self, pieces: Iterable[bytes], keep: int) -> None:
        self.pieces = iter(pieces)
        self.keep = keep
        self.rest = bytearray()

    def take(self, size: int) -> bytes:
        while len(self.rest) < size + self.keep:
            piece = next(self.pieces, None)
            if piece is None:
                break
            self.rest += piece
        taken = bytes(self.rest[: min(size, max(0, len(self.rest) - self.keep))])
        del self.rest[: len(taken)]
        return taken

    @property
    def tail(self) -> bytes:
        return bytes(self.rest)


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sealed stream of a backup: its size and SHA-256 as it lies there."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One backup: what it holds and which point of time it brings back."""

    format: int
    id: str
    installation: str  # the signing key, hexadecimal
    recipient: str
    lineage: str  # which run of the write-ahead log: a restored database begins a new one
    product: str
    revision: str | None  # of the tables
    postgres: int  # major version
    began_at: str
    point_at: str  # every change committed by then is in, none of later
    point: str  # the restore point's name in the write-ahead log
    first_wal: str
    last_wal: str
    objects: int
    object_bytes: int
    parts: dict[str, Part]


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    manifest: msgspec.Raw
    signature: str


class ObjectEntry(msgspec.Struct, frozen=True):
    """An object in a backup's list. `piece` names the sealed stream, `modified` is Unix time."""

    key: str
    size: int
    sha256: str
    etag: str
    piece: str
    kind: str  # content type
    modified: float


def write_manifest(sealer: Sealer, manifest: Manifest) -> bytes:
    """The manifest as a file."""
    body = msgspec.json.encode(manifest, order="deterministic")
    key = Ed25519PrivateKey.from_private_bytes(sealer.seed)
    return msgspec.json.encode(_Written(msgspec.Raw(body), key.sign(_said(body)).hex())) + b"\n"


def read_manifest(kit: Kit, written: bytes) -> Manifest:
    """Read a manifest that this kit opens. Raises BackupError."""
    manifest = signed_manifest(kit.signer, written)
    if manifest.recipient != kit.recipient.hex():
        raise Foreign("This backup was sealed for another recovery key.")
    return manifest


def signed_manifest(signer: bytes, written: bytes) -> Manifest:
    """Read a manifest that this installation signed. Raises BackupError."""
    try:
        found = msgspec.json.decode(written, type=_Written)
        signature = bytes.fromhex(found.signature)
        named = msgspec.json.decode(found.manifest, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError) as error:
        raise Damaged("The manifest is damaged: it cannot be read.") from error
    if named.get("installation") != signer.hex():
        raise Foreign("This backup was made by another installation.")
    try:
        Ed25519PublicKey.from_public_bytes(signer).verify(signature, _said(bytes(found.manifest)))
    except InvalidSignature as error:
        raise Damaged("The manifest is damaged: its signature does not fit.") from error
    if named.get("format") != FORMAT:
        raise BackupError("This backup has a format that this version does not know.")
    return msgspec.convert(named, Manifest)


def _said(body: bytes) -> bytes:
    return b"yanasha backup manifest 1\n" + body
