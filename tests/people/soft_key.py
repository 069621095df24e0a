"""A passkey in software: answers as a phone or a fob would, rightly or wrongly."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from people.passkeys import KeyAnswer, KeyQuestion, MadeKey, NewKey

PRESENT, VERIFIED, HAS_KEY = 0x01, 0x04, 0x40


@dataclass
class SoftKey:
    """One key pair. `verifies`: whether it makes sure who holds it."""

    origin: str = "http://localhost:8000"
    verifies: bool = True
    count: int = 0
    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def make(self, asked: NewKey, name: str = "телефон") -> MadeKey:
        """What `navigator.credentials.create` would give."""
        public = self.private.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)}
        made = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id
        data = self._data(asked.rp_id, HAS_KEY) + made + cbor2.dumps(cose)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", asked.challenge)
        return MadeKey(name, self.credential_id, client, attestation)

    def answer(self, asked: KeyQuestion) -> KeyAnswer:
        """What `navigator.credentials.get` would give."""
        self.count += 1
        data = self._data(asked.rp_id)
        client = self._client("webauthn.get", asked.challenge)
        signed = data + hashlib.sha256(client).digest()
        signature = self.private.sign(signed, ec.ECDSA(hashes.SHA256()))
        return KeyAnswer(self.credential_id, client, data, signature)

    def _data(self, rp_id: str, more: int = 0) -> bytes:
        flags = PRESENT | (VERIFIED if self.verifies else 0) | more
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _client(self, kind: str, challenge: bytes) -> bytes:
        word = urlsafe_b64encode(challenge).decode().rstrip("=")
        return json.dumps({"type": kind, "challenge": word, "origin": self.origin}).encode()
