"""The ICE-lite end of one transport: credentials and the peer's addresses."""

import secrets
from dataclasses import dataclass, field

from rtc.stun import BINDING_REQUEST, Address, Stun, success

MAX_ADDRESSES = 8  # a peer that shows more source addresses forgets the oldest
MAX_CREDENTIALS = 2  # both are valid during an ICE restart


@dataclass(frozen=True)
class Credentials:
    """ICE ufrag and password (RFC 8445 section 5.3: ≥ 24 and ≥ 128 random bits)."""

    ufrag: str = field(default_factory=lambda: secrets.token_hex(6))
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)


class IceLite:
    """Answers a controlling peer's checks and remembers where he is; never sends a check itself."""

    def __init__(self) -> None:
        self.credentials = [Credentials()]
        self.addresses: list[Address] = []
        self.address: Address | None = None  # where to send

    @property
    def newest(self) -> Credentials:
        """The credentials the next offer carries."""
        return self.credentials[-1]

    def restart(self) -> Credentials | None:
        """Adds new credentials; gives those that are no longer valid."""
        self.credentials.append(Credentials())
        return self.credentials.pop(0) if len(self.credentials) > MAX_CREDENTIALS else None

    def check(self, stun: Stun, source: Address) -> bytes | None:
        """Answer to a peer's check, None for a forged one.

        The first valid source is taken at once: with ICE-lite Chromium's first check does not
        nominate yet. Later only a nomination under the newest credentials moves the peer.
        """
        if stun.kind != BINDING_REQUEST:
            return None
        ufrag = stun.username.partition(":")[0]
        known = next((each for each in self.credentials if each.ufrag == ufrag), None)
        if known is None or not stun.signed_by(known.password):
            return None
        if self.address is None or (stun.use_candidate and known is self.newest):
            self.address = source
        return success(stun, source, known.password)
