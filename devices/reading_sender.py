"""A home device's readings as the server meets them: posted again and again until acknowledged."""

import asyncio
import csv
import random
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec

from devices.measurement import KINDS, Kind, Measurement
from devices.recorder import FIRST_WAIT_S, LONGEST_WAIT_S, DeviceRefused

READINGS_PATH = "/api/v1/readings"
BATCH = 500
# The token is wrong or revoked: no repetition will change that.
_FATAL_STATUS = frozenset({401, 403, 404})
_TRY_LATER = frozenset({408, 425, 429})
# What a generated reading of each quantity is drawn from: mean and spread, canonical units.
_USUAL: dict[str, tuple[float, float, int]] = {
    "systolic": (128, 8, 0),
    "diastolic": (81, 5, 0),
    "pulse": (70, 6, 0),
    "glucose": (6.1, 0.9, 1),
    "cholesterol": (5.2, 0.4, 2),
    "rate": (70, 6, 0),
    "spo2": (97, 0.8, 0),
    "temperature": (36.6, 0.2, 1),
}
_UNSET = datetime(1970, 1, 1, tzinfo=UTC)


class ReadingSender:
    """Posts queued readings in order. `stored` are the acknowledged sequences, `refused` the rest.

    Trouble with the line or the server is waited out; a refused reading is set aside with the
    server's problem, so that one bad value does not hold back the others.
    """

    def __init__(self, server: str, token: str, *, client: httpx.AsyncClient | None = None) -> None:
        self.stored: list[int] = []
        self.refused: list[tuple[Measurement, dict[str, object]]] = []
        self._client = client or httpx.AsyncClient(timeout=10)
        self._url = server.rstrip("/") + READINGS_PATH
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self._waiting: deque[Measurement] = deque()

    def queue(self, *readings: Measurement) -> None:
        """Take readings to be sent by the next `flush`."""
        self._waiting.extend(readings)

    async def flush(self) -> None:
        """Return when every queued reading is stored or refused; DeviceRefused for a bad token."""
        wait_s = FIRST_WAIT_S
        size = BATCH
        while self._waiting:
            batch = [self._waiting[i] for i in range(min(size, len(self._waiting)))]
            answer = await self._post(batch)
            if answer is None:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                continue
            wait_s = FIRST_WAIT_S
            if answer.is_success:
                self.stored.extend(reading.sequence for reading in batch)
            elif len(batch) > 1:
                size = 1  # one is bad and nothing was stored: find it
                continue
            else:
                self.refused.append((batch[0], _problem(answer)))
            for _ in batch:
                self._waiting.popleft()

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def _post(self, batch: list[Measurement]) -> httpx.Response | None:
        """The server's word on the batch; None when it had none and the batch must go again."""
        content = msgspec.json.encode({"readings": batch})
        try:
            answer = await self._client.post(self._url, content=content, headers=self._headers)
        except httpx.TransportError:
            return None
        if answer.is_server_error or answer.status_code in _TRY_LATER:
            return None
        if answer.status_code in _FATAL_STATUS:
            raise DeviceRefused(str(_problem(answer).get("code", answer.status_code)))
        return answer


def _problem(answer: httpx.Response) -> dict[str, object]:
    """The problem document, or the bare status when there is none."""
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(answer.content, type=dict[str, object])
    return {"code": str(answer.status_code)}


def generated(kind: Kind, seed: int, first_sequence: int) -> Iterator[Measurement]:
    """An endless run of plausible readings, the same for one seed; `at` gives them a time."""
    draw = random.Random(f"{seed} {kind}")  # noqa: S311 - demo values
    row = KINDS[kind]
    sequence = first_sequence
    while True:
        values: dict[str, float] = {}
        for quantity in row.quantities:
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
