"""What a guess tells by its time: somebody known against nobody, over HTTP on a machine at rest.

Three doors that must not say who is there: signing in with a wrong password, asking for help to get
in, and a card's secret (one that was revoked against one that never was). Known and unknown take
turns, each first in every other round, and must be answered alike; between the rounds the throttle
is made to forget, as if each guess came from a network of its own.
"""

import asyncio
import secrets
import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from bench.harness import Row, at_most
from bench.load import Connection
from bench.requests import OURS, connections, serving
from people.cards import Cards, new_secret
from people.device_tokens import token_hash
from people.organisations import Organisations
from people.passwords import Credentials, password_hash
from people.persons import Persons
from storage.engine import make_engine, new_id, sessions
from storage.settings import Settings

ROUNDS = 40
WARM = 3
APART_MS = 20.0
# What answers may differ in: by which the log finds the request.
_OWN = ("error_id",)


async def guesses(settings: Settings) -> list[Row]:
    """Milliseconds between the medians of known and unknown, door by door."""
    engine = make_engine(settings.database_url)
    maker = sessions(engine)
    login, revoked = await _known(maker)
    doors: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "login": (
            "/api/v1/sign-in",
            {"login": login, "password": "wrong"},
            {"login": "nobody.at.all", "password": "wrong"},
        ),
        "recovery": (
            "/api/v1/recover",
            {"login_or_number": login},
            {"login_or_number": "nobody.at.all"},
        ),
        "code": ("/api/v1/enter", {"secret": revoked}, {"secret": secrets.token_urlsafe(20)}),
    }
    rows = []
    with serving(OURS, settings) as server:
        async with connections(server, 1) as (connection,):
            for name, (path, known, unknown) in doors.items():
                both = await _compared(maker, connection, path, (known, unknown))
                ours, peer = (statistics.median(side) * 1000 for side in both)
                figure = abs(ours - peer)
                rows += [
                    at_most(f"guess.{name}", figure, "ms apart, medians", bar=APART_MS),
                    Row(f"guess.{name}_ms", ours, "ms known", peer),
                ]
    await engine.dispose()
    return rows


async def _known(maker: async_sessionmaker[AsyncSession]) -> tuple[str, str]:
    """A login of somebody, and the secret of a card that somebody had."""
    now, hashed, secret = datetime.now(UTC), await password_hash(secrets.token_hex()), new_secret()
    async with maker() as db, db.begin():
        clinic, person = new_id(), new_id()
        db.add(Organisations(id=clinic, kind="clinic", name="Bench"))
        db.add(Persons(id=person, family_name="Bench", given_name="Test", created_at=now))
        await db.flush()
        login = f"bench.{person}"
        made = {"person_id": person, "login": login, "password_hash": hashed, "changed_at": now}
        db.add(Credentials(**made))
        card = {"id": new_id(), "person_id": person, "organisation_id": clinic}
        number = str(person.int)[-12:]
        db.add(
            Cards(
                **card,
                number=number,
                secret_sha256=token_hash(secret),
                issued_at=now,
                revoked_at=now,
            )
        )
    return login, secret


async def _compared(
    maker: async_sessionmaker[AsyncSession],
    connection: Connection,
    path: str,
    bodies: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> tuple[list[float], list[float]]:
    """Seconds of each answer, for the known and for the unknown."""
    took: tuple[list[float], list[float]] = ([], [])
    said: set[tuple[int, str]] = set()
    for round_ in range(WARM + ROUNDS):
        for side in (0, 1) if round_ % 2 else (1, 0):
            async with maker() as db, db.begin():
                await db.execute(text("DELETE FROM sign_in_failures"))
            body = msgspec.json.encode(bodies[side])
            began = time.perf_counter()
            answer = await connection.ask(
                "POST", path, body=body, headers={"Content-Type": "application/json"}
            )
            if round_ >= WARM:
                took[side].append(time.perf_counter() - began)
            said.add((answer.status, _without_its_own(answer.body)))
    assert len(said) == 1, f"{path} tells by what it says: {sorted(said)[:2]}"
    return took


def _without_its_own(body: bytes) -> str:
    if body in {b"", b"null"}:
        return ""
    found = msgspec.json.decode(body)
    return str({key: value for key, value in found.items() if key not in _OWN})


if __name__ == "__main__":
    from bench.storage import main

    raise SystemExit(asyncio.run(main(["guesses"])))
