"""What is to be done in a room, one thing after the other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from rtc.janus.session import JanusError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Turns(Generic[T]):
    """What goes wrong with one thing does not keep the others from their turn."""

    def __init__(self, room: str, do: Callable[[T], Awaitable[None]]) -> None:
        self._room = room
        self._do = do
        self._todo: asyncio.Queue[T] = asyncio.Queue()
        self._task = asyncio.create_task(self._work())

    @property
    def waiting(self) -> int:
        """How many things wait."""
        return self._todo.qsize()

    def add(self, thing: T) -> None:
        """Has its turn behind all that wait."""
        self._todo.put_nowait(thing)

    def add_later(self, after_s: float, thing: T) -> None:
        """As `add`, a little later."""
        asyncio.get_running_loop().call_later(after_s, self._todo.put_nowait, thing)

    async def finish(self) -> None:
        """Waits until nothing waits any more."""
        await self._todo.join()

    async def stop(self) -> None:
        """Does nothing more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            thing = await self._todo.get()
            try:
                await self._do(thing)
            except JanusError as error:
                log.warning("room %s: %s", self._room, error)
            except Exception:  # what goes wrong once must not end the room
                log.exception("room %s stumbled", self._room)
            finally:
                self._todo.task_done()
