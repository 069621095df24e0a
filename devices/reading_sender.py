"""A home device's readings as the server meets them: posted again and again until acknowledged."""

import asyncio
import csv
import random
import ssl
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Protocol

import httpx
import msgspec

from devices.measurement import KINDS, Kind, Measurement
from devices.refused import FIRST_WAIT_S, LONGEST_WAIT_S, DeviceRefused

READINGS_PATH = "/api/v1/readings"
HELLO_PATH = "/healthz"
BATCH = 500
# The token is wrong or revoked: no repetition will change that.
_FATAL_STATUS = frozenset({401, 403, 404})
_TRY_LATER = frozenset({408, 425, 429})
# Our answers are smaller: whatever is longer is somebody else's.
_LONGEST_ANSWER = 1 << 20
_WHOLE_ANSWER_S = 60.0
# What reading an answer may raise, whoever wrote it.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# The request never left: nothing of it can have been stored.
_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)
# What a generated reading of each quantity is drawn from: mean and spread, canonical units.
_USUAL: dict[str, tuple[float, float, int]] = {
    "systolic": (128, 8, 0),
    "diastolic": (81, 5, 0),
    "pulse": (70, 6, 0),
    "glucose": (6.1, 0.9, 1),
    "cholesterol": (5.2, 0.4, 2),
    "hdl": (1.3, 0.15, 2),
    "ldl": (3.1, 0.3, 2),
    "triglyceride": (1.5, 0.3, 2),
    "weight": (78.0, 0.5, 1),
    "rate": (70, 6, 0),
    "spo2": (97, 0.8, 0),
    "temperature": (36.6, 0.2, 1),
}
_UNSET = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates are believed; read once, not once a device."""
    return httpx.create_ssl_context()


class Watch(Protocol):
    """Is told what becomes of readings; what it writes down must last before it returns."""

    def sent(self, readings: Sequence[Measurement]) -> None:
        """They go out now; until another word they may or may not be stored."""

    def unsent(self, readings: Sequence[Measurement]) -> None:
        """They did not get through, or were not taken this time."""

    def stored(self, readings: Sequence[Measurement]) -> None:
        """The server has named each of them as stored."""

    def refused(self, reading: Measurement, problem: dict[str, object]) -> None:
        """The server will never take this one, and said why."""


class _Result(msgspec.Struct):
    sequence: int


class _Results(msgspec.Struct):
    results: list[_Result]


class ReadingSender:
    """Posts queued readings in order. `stored` are the acknowledged sequences, `refused` the rest.

    Trouble with the line or the server is waited out; a refused reading is set aside with the
    server's problem, so that one bad value does not hold back the others. Only an answer that names
    the very readings stores them: a hotel's sign-in page says 200 to anything. With a `watch`, that
    is told instead of the two lists, which would grow for ever.
    """

    def __init__(
        self,
        server: str,
        token: str,
        *,
        client: httpx.AsyncClient | None = None,
        watch: Watch | None = None,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        self.stored: list[int] = []
        self.refused: list[tuple[Measurement, dict[str, object]]] = []
        self._client = client or httpx.AsyncClient(timeout=10, verify=_trusted())
        self._url = server.rstrip("/") + READINGS_PATH
        self._hello = server.rstrip("/") + HELLO_PATH
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self._waiting: deque[Measurement] = deque()
        self._watch: Watch = watch or _Lists(self.stored, self.refused)
        self._longest_wait_s = longest_wait_s
        self._spread = random.Random()  # noqa: S311 - spreads attempts after an outage, no secret

    def queue(self, *readings: Measurement) -> None:
        """Take readings to be sent by the next `flush`."""
        self._waiting.extend(readings)

    def forget(self) -> None:
        """Drop what is queued: who keeps readings elsewhere queues them again."""
        self._waiting.clear()

    async def flush(self) -> None:
        """Return when every queued reading is stored or refused; DeviceRefused for a bad token."""
        wait_s = FIRST_WAIT_S
        suspects = 0  # so many of the first were refused together: the bad one is sought by halves
        while self._waiting:
            size = max(1, suspects // 2) if suspects else BATCH
            batch = [self._waiting[i] for i in range(min(size, len(self._waiting)))]
            answer = await self._post(batch)
            if answer is None or isinstance(answer, float):
                wait_s = max(wait_s, min(answer or 0.0, self._longest_wait_s))
                await asyncio.sleep(wait_s * self._spread.uniform(0.8, 1.2))
                wait_s = min(2 * wait_s, self._longest_wait_s)
                continue
            wait_s = FIRST_WAIT_S
            if answer.is_success:
                self._watch.stored(batch)
            elif len(batch) > 1:
                self._watch.unsent(batch)  # nothing of it was stored
                suspects = len(batch)
                continue
            else:
                self._watch.refused(batch[0], _problem(answer) or {})
            suspects = max(0, suspects - len(batch))
            for _ in batch:
                self._waiting.popleft()

    async def server_time(self) -> datetime | None:
        """What the server's clock shows; None when it does not say."""
        with suppress(httpx.HTTPError, TimeoutError, ValueError, TypeError):
            async with asyncio.timeout(_WHOLE_ANSWER_S):
                async with self._client.stream("GET", self._hello) as answer:
                    shown = parsedate_to_datetime(answer.headers.get("date", ""))
            return shown if shown.tzinfo else None
        return None

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def _post(self, batch: list[Measurement]) -> httpx.Response | float | None:
        """The server's word on the batch; None or the seconds it asks for when it must go again."""
        self._watch.sent(batch)
        try:
            answer = await self._asked(msgspec.json.encode({"readings": batch}))
        except _NOT_REACHED:
            self._watch.unsent(batch)
            return None
        except (httpx.RequestError, TimeoutError):
            return None
        if answer.is_server_error:
            return _asked_wait_s(answer)
        if answer.is_success and _names(answer, batch):
            return answer
        problem = None if answer.is_success else _problem(answer)
        if problem is None or answer.status_code in _TRY_LATER:
            self._watch.unsent(batch)
            return _asked_wait_s(answer)
        if answer.status_code in _FATAL_STATUS:
            self._watch.unsent(batch)
            raise DeviceRefused(str(problem["code"]))
        return answer

    async def _asked(self, content: bytes) -> httpx.Response:
        """The answer, of which no more is read than ours can be."""
        ask = self._client.stream("POST", self._url, content=content, headers=self._headers)
        async with asyncio.timeout(_WHOLE_ANSWER_S), ask as answer:
            body = bytearray()
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > _LONGEST_ANSWER:
                    body.clear()
                    break
        return httpx.Response(answer.status_code, headers=_plain(answer), content=bytes(body))


class _Lists:
    """A watch that remembers."""

    def __init__(
        self, stored: list[int], refused: list[tuple[Measurement, dict[str, object]]]
    ) -> None:
        self._stored, self._refused = stored, refused

    def sent(self, readings: Sequence[Measurement]) -> None:
        """Nothing to remember."""

    def unsent(self, readings: Sequence[Measurement]) -> None:
        """Nothing to remember."""

    def stored(self, readings: Sequence[Measurement]) -> None:
        self._stored.extend(reading.sequence for reading in readings)

    def refused(self, reading: Measurement, problem: dict[str, object]) -> None:
        self._refused.append((reading, problem))


def _plain(answer: httpx.Response) -> dict[str, str]:
    """What of the answer's head matters here; its encoding is undone."""
    asked = answer.headers.get("retry-after")
    return {} if asked is None else {"retry-after": asked}


def _names(answer: httpx.Response, batch: list[Measurement]) -> bool:
    """Whether the answer is our server's word on these readings, each and in order."""
    try:
        results = msgspec.json.decode(answer.content, type=_Results).results
    except _UNREADABLE:
        return False
    return [result.sequence for result in results] == [reading.sequence for reading in batch]


def _problem(answer: httpx.Response) -> dict[str, object] | None:
    """The problem document; None when somebody else than our server speaks."""
    with suppress(*_UNREADABLE):
        problem = msgspec.json.decode(answer.content, type=dict[str, object])
        if answer.is_client_error and isinstance(problem.get("code"), str):
            return problem
    return None


def _asked_wait_s(answer: httpx.Response) -> float | None:
    asked = answer.headers.get("retry-after", "")
    return float(asked) if asked.isascii() and asked.isdigit() else None


def generated(kind: Kind, seed: int, first_sequence: int) -> Iterator[Measurement]:
    """An endless run of plausible readings, the same for one seed; `at` gives them a time."""
    draw = random.Random(f"{seed} {kind}")  # noqa: S311 - demo values
    row = KINDS[kind]
    sequence = first_sequence
    while True:
        values: dict[str, float] = {}
        for quantity in (one for one in row.quantities if one.name in _USUAL):
            mean, spread, places = _USUAL[quantity.name]
            limits = next(iter(quantity.limits.values()))
            value = round(draw.gauss(mean, spread), places)
            values[quantity.name] = float(min(max(value, limits.usual_low), limits.usual_high))
        yield Measurement(
            kind=kind, sequence=sequence, taken_at=_UNSET, unit=row.canonical, values=values
        )
        sequence += 1


def from_csv(path: Path, first_sequence: int) -> Iterator[Measurement]:
    """Readings of a table: columns `kind` (else blood_pressure), `unit`, then value names."""
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            kind = Kind(row.pop("kind", None) or Kind.BLOOD_PRESSURE)
            unit = row.pop("unit", None) or KINDS[kind].canonical
            yield Measurement(
                kind=kind,
                sequence=first_sequence + number,
                taken_at=_UNSET,
                unit=unit,
                values={name: float(value) for name, value in row.items() if value},
            )


def at(reading: Measurement, taken_at: datetime) -> Measurement:
    """The reading as taken at this moment."""
    return msgspec.structs.replace(reading, taken_at=taken_at)
