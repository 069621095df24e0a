"""The ICE-lite end of one transport: credentials and the peer's addresses."""

import secrets
from dataclasses import dataclass, field

from rtc.stun import BINDING_REQUEST, Address, Stun, success

MAX_ADDRESSES = 8  # a peer that shows more source addresses forgets the oldest
MAX_CREDENTIALS = 2  # both are valid during an ICE restart
WRONG_A_SECOND = 50  # signatures looked at though they were wrong; who knows a user fragment
MOVE_EVERY_S = 0.2
MOVE_BACK_S = 1.0  # longer than a packet may be late on the way he has left
PROOF_S = 7.0  # Chromium checks every 2.5 s, Firefox every 4 to 6; else he is where he was


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
        self.address: Address | None = None  # where to send; replaced, never changed
        self.proven: Address | None = None  # where a signed check has found him last
        self._moved_at = 0.0  # by a sealed packet
        self._wrong_in, self._wrong = 0, 0

    @property
    def newest(self) -> Credentials:
        """The credentials the next offer carries."""
        return self.credentials[-1]

    def restart(self) -> Credentials | None:
        """Adds new credentials; gives those that are no longer valid."""
        self.credentials.append(Credentials())
        return self.credentials.pop(0) if len(self.credentials) > MAX_CREDENTIALS else None

    def check(self, stun: Stun, source: Address, now: float) -> bytes | None:
        """Answer to a peer's check, None for a forged one.

        The first valid source is taken at once: with ICE-lite Chromium's first check does not
        nominate yet. Later only a nomination under the newest credentials moves the peer; where
        his sealed packets have moved him to, any check proves him, for Firefox nominates only once.
        """
        if stun.kind != BINDING_REQUEST:
            return None
        ufrag = stun.username.partition(":")[0]
        known = next((each for each in self.credentials if each.ufrag == ufrag), None)
        if self._wrong_in != int(now):
            self._wrong_in, self._wrong = int(now), 0
        if known is None or (self._wrong >= WRONG_A_SECOND and source not in self.addresses):
            return None
        if not stun.signed_by(known.password):
            self._wrong += 1
            return None
        nominates = stun.use_candidate and known is self.newest
        if self.address is None or self.address == source or nominates:
            self.address = self.proven = source
        return success(stun, source, known.password)

    def may_move(self, now: float) -> bool:
        """Whether a sealed packet from elsewhere may move the peer."""
        return now - self._moved_at >= MOVE_EVERY_S

    def move(self, source: Address, now: float) -> bool:
        """Sends to where a sealed packet came from, until a check proves it; whether it is new.

        A packet may come late on the way he has left, or be caught and brought here by somebody
        else: a known address takes him back only after `MOVE_BACK_S`.
        """
        if source == self.address:
            return False
        if now - self._moved_at < (MOVE_BACK_S if source in self.addresses else MOVE_EVERY_S):
            return False
        self.address, self._moved_at = source, now
        return True

    def leave(self, address: Address) -> None:
        """Forgets an address that is somebody else's now: nothing more is sent there."""
        self.addresses.remove(address)
        if self.proven == address:
            self.proven = None
        if self.address == address:
            self.address = self.proven

    def expire(self, now: float) -> None:
        """Takes back a move that no check has proven."""
        if self.address != self.proven and now - self._moved_at > PROOF_S:
            self.address = self.proven
