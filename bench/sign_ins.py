"""Signing in: how many a second the server takes, and how long others wait meanwhile.

Every sign-in looks at a password with Argon2id at OWASP's parameters (people/passwords.py) and
opens a session. Meanwhile doctors read their visits at a steady pace, whether answers come or not;
turns without anybody signing in say how long a reader waits then.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from bench.harness import Row, at_least, at_most, percentile
from bench.load import Connection
from bench.requests import OURS, Ask, Server, connections, serving, signed_in
from people.passwords import Credentials, password_hash
from people.persons import Persons
from storage.engine import make_engine, new_id, sessions
from storage.settings import Settings

WHO = 24
AT_ONCE = 20  # more than the pool has connections
READERS = 8
EVERY_S = 0.2  # a reader asks so often: 40 requests a second in all
ROUNDS = 8
TURN_S = 1.5
A_SECOND, TIMES = 10.0, 1.5
PASSWORD = "кама-идел-ак-чулман"  # noqa: S105 - of people who live as long as the run


@dataclass
class Waits:
    """What the readers of some turns waited, in seconds."""

    seconds: list[float] = field(default_factory=list)

    @property
    def p95_ms(self) -> float:
        """95 of 100 were answered within."""
        return percentile(self.seconds, 0.95) * 1000


async def sign_ins(settings: Settings) -> list[Row]:
    """Sign-ins a second, and the readers' p95 with them against without."""
    engine = make_engine(settings.database_url)
    maker = sessions(engine)
    asks, _ = await signed_in(settings, maker)
    logins = await _people(maker)
    await engine.dispose()
    quiet, busy = Waits(), Waits()
    done, took_s = 0, 0.0
    with serving(OURS, settings) as server:
        await _read(server, asks, Waits(), 1.0)
        for round_ in range(ROUNDS):
            for with_them in (True, False) if round_ % 2 else (False, True):
                if not with_them:
                    await _read(server, asks, quiet, TURN_S)
                    continue
                began = time.perf_counter()
                reading = asyncio.create_task(_read(server, asks, busy, TURN_S))
                done += await _sign_in(server, logins, TURN_S)
                took_s += time.perf_counter() - began
                await reading
    rate = done / took_s
    return [
        at_least("signin", rate, f"sign-ins/s, {AT_ONCE} at once", bar=A_SECOND),
        at_most("signin.others", busy.p95_ms / quiet.p95_ms, "x p95 of readers", bar=TIMES),
        Row("signin.others_p95", busy.p95_ms, "ms", quiet.p95_ms),
    ]


async def _people(maker: async_sessionmaker[AsyncSession]) -> list[str]:
    """People with a password, hashed once: it is theirs all."""
    now, hashed = datetime.now(UTC), await password_hash(PASSWORD)
    async with maker() as db, db.begin():
        ids = [new_id() for _ in range(WHO)]
        db.add_all(
            Persons(id=one, family_name="Bench", given_name="Test", created_at=now) for one in ids
        )
        await db.flush()
        logins = [f"bench.{one}" for one in ids]
        db.add_all(
            Credentials(person_id=one, login=login, password_hash=hashed, changed_at=now)
            for one, login in zip(ids, logins, strict=True)
        )
    return logins


async def _sign_in(server: Server, logins: Sequence[str], seconds: float) -> int:
    """Let some sign in one after the other; count the sessions."""
    until = time.perf_counter() + seconds
    waiting, done = cycle(logins), 0

    async def one(connection: Connection) -> None:
        nonlocal done
        while time.perf_counter() < until:
            body = msgspec.json.encode({"login": next(waiting), "password": PASSWORD})
            headers = {"Content-Type": "application/json"}
            answer = await connection.ask("POST", "/api/v1/sign-in", body=body, headers=headers)
            assert answer.status == 201, answer.body.decode()
            done += 1

    async with connections(server, AT_ONCE) as opened:
        await asyncio.gather(*map(one, opened))
    return done


async def _read(server: Server, asks: Sequence[Ask], into: Waits, seconds: float) -> None:
    """Read visits at a steady pace; a wait begins when the request was due."""
    waiting = cycle(asks)
    began = time.perf_counter()

    async def one(number: int, connection: Connection) -> None:
        due = began + EVERY_S * number / READERS
        while due < began + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            ask = next(waiting)
            answer = await connection.ask("GET", ask.path, headers=ask.headers)
            assert answer.status == 200, answer.body.decode()
            into.seconds.append(time.perf_counter() - due)
            due += EVERY_S

    async with connections(server, READERS) as opened:
        began = time.perf_counter()
        await asyncio.gather(*(one(*numbered) for numbered in enumerate(opened)))
