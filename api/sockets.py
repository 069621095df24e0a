"""What both sockets share: opening with an Origin check and a hello in time, ending with a code."""

import asyncio
from contextlib import suppress
from typing import Any, TypeVar

from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect

from api.house import House
from api.live import Close, Tab
from api.logs import log
from api.problems import problem_of, read_json
from api.security import origin_allowed
from api.socket_wire import Protocol, wire_of
from people.refused import Refused

HELLO_WITHIN_S = 5.0
# A page sends a ping every few seconds and a few messages at a call's start.
MESSAGES_ALLOWED, MESSAGES_PER_S = 200, 10.0
# What waits is written together, so much of it before the client must have taken some.
AT_ONCE_BYTES = 64 * 1024

Socket = WebSocket[Any, Any, Any]
T = TypeVar("T")

# What sending to, or reading from, a socket that is gone raises; the latter by uvicorn.
GONE = (WebSocketDisconnect, OSError)


class Ended(Exception):  # noqa: N818 - the end of a socket, named as the fact
    """The socket is to be closed with this code."""

    def __init__(self, why: Close, code: str = "") -> None:
        super().__init__(why.name)
        self.why = why
        self.code = code


def ended_by(error: Exception) -> Ended:
    """The end that a refusal or a failure means for a socket."""
    problem, _ = problem_of(error)
    why = {
        401: Close.NOT_SIGNED_IN,
        403: Close.FORBIDDEN,
        404: Close.NOT_FOUND,
        503: Close.BUSY,
        500: Close.FAILED,
    }.get(problem.status, Close.PROTOCOL)
    return Ended(why, problem.code)


async def receive(socket: Socket) -> str | bytes:
    """The next message; WebSocketDisconnect when there will be none."""
    message: Any = await socket.receive()
    if message["type"] != "websocket.receive":
        raise WebSocketDisconnect(detail="gone")
    text: str | bytes | None = message.get("text")
    return text if text is not None else message.get("bytes") or b""


async def open_socket(socket: Socket, house: House, hello: type[T]) -> T:
    """Accept and return the client's hello. Raises Ended for a foreign page or a bad hello."""
    await socket.accept()
    if not origin_allowed(socket.scope, house.settings.origins):
        raise Ended(Close.FORBIDDEN, "origin_refused")
    try:
        async with asyncio.timeout(HELLO_WITHIN_S):
            return read_json(await receive(socket), hello)
    except TimeoutError as late:
        raise Ended(Close.NOT_SIGNED_IN, "not_signed_in") from late
    except Refused as bad:
        raise Ended(Close.PROTOCOL, bad.code) from bad


async def send_out(socket: Socket, tab: Tab) -> None:
    """Send what waits in the tab until it is ended; must-arrive messages before live ones."""
    wire = wire_of(socket)
    if wire is not None:
        await _write_out(wire, tab)
        return
    while True:
        while (message := tab.take_message()) is not None:
            await socket.send_data(message, mode="text")
        if tab.ended is not None:
            return
        if (live := tab.take_live()) is not None:
            await socket.send_data(live, mode="text" if isinstance(live, str) else "binary")
        else:
            await tab.wait()


async def _write_out(wire: Protocol, tab: Tab) -> None:
    while True:
        # What is framed is written: behind packed text that was lost nothing could be read.
        await wire.taken()
        framed, room = [], AT_ONCE_BYTES
        while room > 0 and (message := tab.take_message()) is not None:
            framed.append(wire.framed(message, text=True))
            room -= len(framed[-1])
        while room > 0 and tab.ended is None and (live := tab.take_live()) is not None:
            text = isinstance(live, str)
            framed.append(wire.framed(live.encode() if isinstance(live, str) else live, text=text))
            room -= len(framed[-1])
        if framed:
            wire.write(b"".join(framed))
        elif tab.ended is not None:
            return
        else:
            await tab.wait()


async def close(socket: Socket, why: Close, *, route: str) -> None:
    """Close with the code; a socket that is gone is closed."""
    log.info("socket closed", route=route, close_code=why.value)
    with suppress(*GONE, RuntimeError):
        await socket.close(why.value)


async def first_ended(*tasks: asyncio.Task[None]) -> None:
    """Wait for the first to end, cancel the rest, raise what the first raised."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


class Allowance:
    """A flood of messages ends a socket: so many at once, so many a second in the long run."""

    def __init__(self) -> None:
        self._left = float(MESSAGES_ALLOWED)
        self._at = asyncio.get_running_loop().time()

    def spend(self) -> None:
        """Take one; raises Ended when there is none."""
        now = asyncio.get_running_loop().time()
        self._left = min(MESSAGES_ALLOWED, self._left + (now - self._at) * MESSAGES_PER_S) - 1
        self._at = now
        if self._left < 0:
            raise Ended(Close.PROTOCOL, "too_many_messages")
