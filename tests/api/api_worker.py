"""Stands where a media worker listens: keeps what it is told, says what a test wants said."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from rtc.messages import FromWorker, RoomState, ToWorker, Welcome, frame, read_to_worker
from storage.settings import Settings


class Worker:
    """One link at a time."""

    def __init__(self) -> None:
        self.id = uuid4().hex
        self.told: list[ToWorker] = []
        self._more = asyncio.Condition()
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with the API until it hangs up."""
        self._writer = writer
        writer.write(frame(Welcome(self.id, 0.0)))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = await read_to_worker(reader)
                async with self._more:
                    self.told.append(message)
                    self._more.notify_all()
        writer.close()

    def say(self, message: FromWorker) -> None:
        """Tell the API something."""
        assert self._writer is not None
        self._writer.write(frame(message))

    def hang_up(self) -> None:
        """End the link."""
        if self._writer is not None:
            self._writer.close()

    async def until(self, seen: Callable[[list[ToWorker]], bool], within_s: float) -> None:
        """Wait until what was told is as `seen` says."""
        async with asyncio.timeout(within_s), self._more:
            await self._more.wait_for(lambda: seen(self.told))

    @property
    def state(self) -> RoomState:
        """The newest state of the only room."""
        return [one for one in self.told if isinstance(one, RoomState)][-1]

    async def until_state(self, seen: Callable[[RoomState], bool], within_s: float) -> RoomState:
        """Wait until the newest state of the only room is as `seen` says."""

        def newest(told: list[ToWorker]) -> bool:
            return any(isinstance(one, RoomState) for one in told) and seen(self.state)

        await self.until(newest, within_s)
        return self.state


@asynccontextmanager
async def listening(settings: Settings, number: int = 0) -> AsyncIterator[Worker]:
    """A stand-in at the address of a worker, gone with its link in the end."""
    worker = Worker()
    path = settings.link_path(number)
    path.unlink(missing_ok=True)
    listener = await asyncio.start_unix_server(worker.serve, path)
    yield worker
    listener.close()
    worker.hang_up()
    path.unlink(missing_ok=True)
