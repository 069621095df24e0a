"""Devices behind tokens shown of late, so that a reading a second is not a look at the store each.

What is known here decides nothing that is stored: `apply` of telemed/readings.py asks the store for
the token of every device it stores for, in the same transaction. So a revocation acts at once, also
one that this process has not heard of.

Those that are asked for meanwhile are looked up together: after an outage all devices come at once.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias
from uuid import UUID

from people.device_tokens import KnownDevice, devices_of, token_hash
from people.refused import NotSignedIn

if TYPE_CHECKING:
    from api.house import House

# Not longer than `last_seen_at` may lie behind.
KEPT: Final = timedelta(seconds=30)
MOST: Final = 10_000
_AT_ONCE: Final = 1000

_Answer: TypeAlias = "asyncio.Future[KnownDevice | None]"


class KnownDevices:
    """By the hash of their token; the oldest goes when there are too many."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self._by_token: dict[bytes, tuple[datetime, KnownDevice]] = {}
        self._token_of: dict[UUID, bytes] = {}
        self._asked: list[tuple[bytes, _Answer]] = []
        self._looking: asyncio.Task[None] | None = None

    async def of(self, token: str, now: datetime) -> KnownDevice:
        """Give the device of a token. Raises NotSignedIn for an unknown or revoked one."""
        key = token_hash(token)
        seen = self._by_token.get(key)
        if seen is not None and timedelta() <= now - seen[0] < KEPT:
            return seen[1]
        device = await self._look_up(key)
        if device is None:
            raise NotSignedIn
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

    async def _look_up(self, key: bytes) -> KnownDevice | None:
        answer: _Answer = asyncio.get_running_loop().create_future()
        self._asked.append((key, answer))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return await answer

    async def _look(self) -> None:
        while self._asked:
            asked, self._asked = self._asked[:_AT_ONCE], self._asked[_AT_ONCE:]
            try:
                async with self._house.transaction() as db:
                    found = await devices_of(db, {key for key, _ in asked}, self._house.clock())
            except Exception as error:  # noqa: BLE001 - theirs who asked
                for _, answer in asked:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for key, answer in asked:
                if not answer.done():
                    answer.set_result(found.get(key))
