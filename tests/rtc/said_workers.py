"""Workers that only say what workers would: for tests of who is placed where."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from rtc.link import GONE_S, PATIENCE_S, MediaLink
from rtc.messages import (
    FromWorker,
    Hello,
    Ping,
    Pong,
    Presence,
    ToWorker,
    Welcome,
    frame,
    read_to_worker,
)


class Workers:
    """Listening ends that say what workers would: which rooms they have, and how busy they are."""

    def __init__(
        self,
        home: Path,
        patience_s: float = PATIENCE_S,
        gone_s: float = GONE_S,
        **loads: float,
    ) -> None:
        self.heard: dict[str, list[ToWorker]] = {name: [] for name in loads}
        self.rooms: dict[str, list[str]] = {name: [] for name in loads}
        self.kept: dict[str, list[str]] = {name: [] for name in loads}
        self.branches: dict[str, dict[str, list[str]]] = {name: {} for name in loads}
        self.paths = [home / name for name in loads]
        self.ups: list[str] = []
        self.told: set[str] = set()  # whose load the link knows
        self.link = MediaLink(
            self.paths,
            self._hear,
            self._up,
            self._changed,
            patience_s=patience_s,
            gone_s=gone_s,
        )
        self._loads = loads
        self._event = asyncio.Event()
        self._writers: dict[str, list[asyncio.StreamWriter]] = {name: [] for name in loads}

    def _up(self, name: str) -> None:
        self.ups.append(name)
        self._event.set()

    def _hear(self, message: FromWorker) -> None:
        if isinstance(message, Presence):
            self.told.add(message.room)
        self._event.set()

    def _changed(self) -> None:
        self._event.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not true():
                self._event.clear()
                await self._event.wait()

    @asynccontextmanager
    async def listening(self, name: str) -> AsyncIterator[None]:
        """A worker of this name takes links, until it is gone with all of them."""
        path = next(each for each in self.paths if each.name == name)
        async with await asyncio.start_unix_server(partial(self._serve, name), path):
            yield
            for writer in self._writers[name]:
                writer.close()
        path.unlink(missing_ok=True)

    async def _serve(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers[name].append(writer)
        has = self.rooms[name], self.kept[name], self.branches[name]
        writer.write(frame(Welcome(name, 0.0, *has)))
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                message = await read_to_worker(reader)
                if isinstance(message, Ping):
                    writer.write(frame(Pong(message.n, self._loads[name])))
                    writer.write(frame(Presence(name, message.n, [])))
                self.heard[name].append(message)
                self._event.set()
        writer.close()

    def of(self, name: str) -> list[ToWorker]:
        """What a worker heard of rooms."""
        return [each for each in self.heard[name] if not isinstance(each, Hello | Ping)]
