"""Small secrets at rest: AES-256-GCM under a key of storage/secrets.py.

`about` is bound to the sealed bytes (associated data): moved to another row they do not open.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_NONCE_BYTES = 12


class CannotOpen(Exception):  # noqa: N818 - states a fact
    """Not sealed with this key, or not for this row: the key was lost, or a row was moved."""


def seal(key: bytes, plain: bytes, about: bytes) -> bytes:
    """Seal `plain`; opened only with the same key and `about`."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, plain, _VERSION + about)


def unseal(key: bytes, sealed: bytes, about: bytes) -> bytes:
    """Open what `seal` made. Raises CannotOpen."""
    version, nonce, rest = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    if version != _VERSION:
        raise CannotOpen
    try:
        return AESGCM(key).decrypt(nonce, rest, version + about)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen from error
