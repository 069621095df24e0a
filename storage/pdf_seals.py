"""Our seal inside the signature that an outside service put on a print.

The service's certificate tells readers of PDF who signed. That the print stands in the register is
told by the organisation's Ed25519 key: it signs what the print covers together with the service's
signature, byte by byte, and the seal is an unsigned attribute of that signature. So whoever holds
the organisation's public key verifies such a print as any other, asking nobody.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from asn1crypto import cms, core
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage.signing import key_id, public_of

# An arc under 2.25 is anybody's own, without asking: ITU-T X.667.
SEAL: Final = "2.25.264174139498146250447230846925217712001"
_WHAT: Final = b"yanasha pdf seal 1\n"
_KEY_ID_CHARS: Final = 16


def sealed(seed: bytes, digest: bytes, container: bytes) -> bytes:
    """Give a signature's container with our seal in it. Raises ValueError for no container."""
    seal = Ed25519PrivateKey.from_private_bytes(seed).sign(_said(digest, container))
    named = key_id(public_of(seed)).encode()
    return _put(container, named + seal)


def is_sealed(container: bytes) -> bool:
    """Whether somebody outside signed, and we sealed it."""
    attributes = _attributes(_signer(cms.ContentInfo.load(container, strict=True)))
    return any(one["type"].native == SEAL for one in attributes)


def judge(public_keys: Iterable[bytes], digest: bytes, container: bytes) -> str | None:
    """Say which of these keys sealed exactly this; None when it names another one.

    Raises InvalidSignature or ValueError for what was changed.
    """
    signed, seal = _cut(container)
    if _put(signed, seal) != container:
        raise ValueError("another spelling of the container")
    named = seal[:_KEY_ID_CHARS].decode("ascii")
    public = next((key for key in public_keys if key_id(key) == named), None)
    if public is None:
        return None
    said = _said(digest, signed)
    Ed25519PublicKey.from_public_bytes(public).verify(seal[_KEY_ID_CHARS:], said)
    return named


def _said(digest: bytes, container: bytes) -> bytes:
    return _WHAT + digest + hashlib.sha256(container).digest()


def _put(container: bytes, seal: bytes) -> bytes:
    info = cms.ContentInfo.load(container, strict=True)
    signer = _signer(info)
    ours = cms.CMSAttribute({"type": SEAL, "values": [core.OctetString(seal)]})
    signer["unsigned_attrs"] = cms.CMSAttributes([*_attributes(signer), ours])
    packed: bytes = info.dump()
    return packed


def _cut(container: bytes) -> tuple[bytes, bytes]:
    """Give the container as the service gave it, and the seal. Raises ValueError."""
    info = cms.ContentInfo.load(container, strict=True)
    signer = _signer(info)
    attributes = _attributes(signer)
    ours = [one for one in attributes if one["type"].native == SEAL]
    if len(ours) != 1 or len(ours[0]["values"]) != 1:
        raise ValueError("not one seal")
    others = [one for one in attributes if one["type"].native != SEAL]
    signer["unsigned_attrs"] = cms.CMSAttributes(others) if others else None
    seal: bytes = ours[0]["values"][0].parse(core.OctetString).native
    return info.dump(), seal


def _signer(info: Any) -> Any:
    signers = info["content"]["signer_infos"]
    if len(signers) != 1:
        raise ValueError("not one signer")
    return signers[0]


def _attributes(signer: Any) -> list[Any]:
    attributes = signer["unsigned_attrs"]
    return [] if isinstance(attributes, core.Void) else list(attributes)
