"""Devices behind tokens shown of late, so that a reading a second is not a look at the store each.

What is known here decides nothing that is stored: `apply` of telemed/readings.py asks the store for
the token of every device it stores for, in the same transaction. So a revocation acts at once, also
one that this process has not heard of.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from people.device_tokens import KnownDevice, device_of, token_hash

if TYPE_CHECKING:
    from api.house import House

# Not longer than `last_seen_at` may lie behind.
KEPT: Final = timedelta(seconds=30)
MOST: Final = 10_000


class KnownDevices:
    """By the hash of their token; the oldest goes when there are too many."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self._by_token: dict[bytes, tuple[datetime, KnownDevice]] = {}
        self._token_of: dict[UUID, bytes] = {}

    async def of(self, token: str, now: datetime) -> KnownDevice:
        """Give the device of a token. Raises NotSignedIn for an unknown or revoked one."""
        key = token_hash(token)
        seen = self._by_token.get(key)
        if seen is not None and timedelta() <= now - seen[0] < KEPT:
            return seen[1]
        async with self._house.transaction() as db:
            device = await device_of(db, token, now)
        self.forget(device.id)
        if len(self._by_token) >= MOST:
            self.forget(next(iter(self._by_token.values()))[1].id)
        self._by_token[key] = (now, device)
        self._token_of[device.id] = key
        return device

    def forget(self, device_id: UUID) -> None:
        """Look the device up anew next time."""
        with suppress(KeyError):
            del self._by_token[self._token_of.pop(device_id)]
