"""What a backup is made of: it opens for its kit, and not with one byte changed."""

import os

import msgspec
import pytest

from storage.backup_format import (
    CHUNK,
    BackupError,
    Damaged,
    Foreign,
    Kit,
    Manifest,
    Part,
    Sealer,
    deflated,
    inflated,
    read_manifest,
    seal,
    unseal,
    write_manifest,
)

SEED = bytes(range(32))
KIT = Kit.new(Sealer(b"", SEED).signer)
SEALER = Sealer(KIT.recipient, SEED)


def opened(kit: Kit, about: str, sealed: bytes) -> bytes:
    return b"".join(
        unseal(kit, about, [sealed[at : at + 7001] for at in range(0, len(sealed), 7001)])
    )


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_a_stream_of_any_length_opens_as_it_was(size: int) -> None:
    """Also where its end is a chunk's end, and packed."""
    plain = os.urandom(size)
    assert opened(KIT, "a", b"".join(seal(SEALER, "a", [plain[:3], plain[3:]]))) == plain
    packed = b"".join(seal(SEALER, "a", deflated([plain])))
    assert b"".join(inflated("a", unseal(KIT, "a", [packed]))) == plain


def test_every_flipped_byte_is_seen() -> None:
    """In the head, in a chunk, in its tag, in the signature."""
    sealed = b"".join(seal(SEALER, "a", [b"a patient's name"]))
    for at in range(len(sealed)):
        wrong = bytearray(sealed)
        wrong[at] ^= 1
        with pytest.raises(BackupError):
            opened(KIT, "a", bytes(wrong))


def test_every_cut_is_seen() -> None:
    """A stream that lost its end, whole chunks of it too, is damaged; so is one that grew."""
    sealed = b"".join(seal(SEALER, "a", [bytes(2 * CHUNK + 9)]))
    for cut in (0, 10, len(sealed) - 1, len(sealed) - 64, len(sealed) - 64 - 25, CHUNK + 200):
        with pytest.raises(Damaged):
            opened(KIT, "a", sealed[:cut])
    with pytest.raises(Damaged):
        opened(KIT, "a", sealed + b"x")


def test_a_stream_opens_under_its_own_name_only() -> None:
    """Swapped with another of the same backup it is damaged."""
    with pytest.raises(Damaged):
        opened(KIT, "b", b"".join(seal(SEALER, "a", [b"x"])))


def test_of_two_chunks_neither_can_take_the_others_place() -> None:
    """They are numbered."""
    sealed = b"".join(seal(SEALER, "a", [bytes(CHUNK) + os.urandom(CHUNK) + b"end"]))
    head = len(sealed) - 64 - (3 + 16) - 2 * (CHUNK + 16)
    one, other = sealed[head : head + CHUNK + 16], sealed[head + CHUNK + 16 :][: CHUNK + 16]
    with pytest.raises(Damaged):
        opened(KIT, "a", sealed[:head] + other + one + sealed[head + 2 * (CHUNK + 16) :])


def test_who_knows_the_public_key_alone_makes_nothing_that_opens() -> None:
    """Sealed for our kit, but signed by somebody else who claims to be us."""
    forger = Sealer(KIT.recipient, bytes(32))
    with pytest.raises(Foreign):
        opened(KIT, "a", b"".join(seal(forger, "a", [b"x"])))
    claimed = bytearray(b"".join(seal(forger, "a", [b"x"])))
    at = claimed.index(forger.signer)
    claimed[at : at + 32] = SEALER.signer
    with pytest.raises(Damaged):
        opened(KIT, "a", bytes(claimed))


def test_another_kit_opens_nothing() -> None:
    """A newer key of the same installation does not open what was sealed for the older one."""
    with pytest.raises(Foreign, match="another recovery key"):
        opened(Kit.new(SEALER.signer), "a", b"".join(seal(SEALER, "a", [b"x"])))


def test_a_kit_is_read_as_it_was_shown() -> None:
    """Blanks, line ends and small letters do no harm; a wrong letter is told."""
    shown = KIT.text
    assert Kit.read(f"  {shown[:40].lower()}\n{shown[40:]}\n") == KIT
    for at in (len(shown) - 1, 25, 60):
        other = "A" if shown[at] != "A" else "B"
        with pytest.raises(BackupError):
            Kit.read(shown[:at] + other + shown[at + 1 :])
    with pytest.raises(BackupError):
        Kit.read(shown[:-8])


def manifest() -> Manifest:
    return Manifest(
        format=1,
        id="one",
        installation=SEALER.signer.hex(),
        recipient=KIT.recipient.hex(),
        lineage="l",
        product="0",
        revision="r",
        postgres=18,
        began_at="2026-11-22T00:00:00+00:00",
        point_at="2026-11-22T00:00:01+00:00",
        point="one",
        first_wal="000000010000000000000001",
        last_wal="000000010000000000000002",
        objects=1,
        object_bytes=2,
        parts={"base": Part(3, "00")},
    )


def test_every_flipped_byte_of_a_manifest_is_seen() -> None:
    """None gives another manifest than the one that was signed."""
    written = write_manifest(SEALER, manifest())
    assert read_manifest(KIT, written) == manifest()
    for at in range(len(written) - 1):
        for bit in (1, 32):
            wrong = bytearray(written)
            wrong[at] ^= bit
            try:
                found = read_manifest(KIT, bytes(wrong))
            except BackupError:
                continue
            assert found == manifest()  # the case of a hexadecimal letter of the signature


def test_a_manifest_of_elsewhere_is_foreign() -> None:
    """Of another installation, and for another recovery key."""
    other = Sealer(KIT.recipient, bytes(32))
    with pytest.raises(Foreign, match="another installation"):
        read_manifest(
            KIT,
            write_manifest(
                other, msgspec.structs.replace(manifest(), installation=other.signer.hex())
            ),
        )
    with pytest.raises(Foreign, match="another recovery key"):
        read_manifest(Kit.new(SEALER.signer), write_manifest(SEALER, manifest()))
