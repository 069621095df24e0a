"""Asks every operation of tests/api/sweep.py for everybody, and reads every answer to the end.

An answer of 200 that lists things lists the caller's own; what a device sends lies with its person
and nobody else; and no answer holds a word that was planted where the caller may not look.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import sweep as table
from litestar import Litestar
from sqlalchemy import select
from sweep import LISTS, NOBODY, SELF, STRANGER
from sweep_bodies import BODIES, QUERIES
from sweep_region import SAMPLES, Region
from sweep_targets import targets

from api.house import House
from people.audit import WRITE_PATH
from people.policy import Act, Rule
from telemed import visits
from telemed.readings import Readings

BASE = "http://127.0.0.1:8000"
# The operation that is being asked for.
ASKED: ContextVar[str | None] = ContextVar("asked", default=None)


class Law(dict[Act, tuple[Rule, ...]]):
    """The law of people/policy.py that notes by which acts each operation is judged."""

    def __init__(self, rules: Mapping[Act, tuple[Rule, ...]]) -> None:
        super().__init__(rules)
        self.judged: dict[str, set[Act]] = defaultdict(set)

    def get(self, act: Act, default: Any = ()) -> Any:
        """Give the rules of an act, and note who asked."""
        operation = ASKED.get()
        if operation is not None:
            self.judged[operation].add(act)
        return super().get(act, default)


def made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make standing questions each time they are asked: by the law as it is at that moment."""
    for name in ("_one_seen", "_one_whole"):
        monkeypatch.setattr(visits, name, getattr(visits, name).__wrapped__)


@dataclass(frozen=True)
class Breach:
    """An answer that was not expected."""

    operation: str
    who: str
    relation: str
    expected: str
    got: int


def report(found: Iterable[Breach]) -> str:
    """The breaches as a list to read: alike ones are one line."""
    alike: dict[tuple[str, str, str, int], set[str]] = defaultdict(set)
    for one in found:
        alike[one.operation, one.relation, one.expected, one.got].add(one.who)
    return "\n".join(
        f"{operation} as {relation}: expected {expected}, got {got}: {', '.join(sorted(who))}"
        for (operation, relation, expected, got), who in sorted(alike.items())
    )


def operations_of(document: dict[str, Any]) -> dict[str, tuple[str, str, frozenset[str]]]:
    """Operation → method, path and which of its parameters are numbers, as the API says."""
    return {
        operation["operationId"]: (method.upper(), path, _numbers(operation))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def _numbers(operation: dict[str, Any]) -> frozenset[str]:
    parameters = operation.get("parameters", ())
    return frozenset(p["name"] for p in parameters if p["schema"].get("type") == "integer")


async def sweep(
    app: Litestar, document: dict[str, Any], region: Region, only: Iterable[str] | None = None
) -> list[Breach]:
    """Ask for everything, or for `only` these; what came out otherwise than expected."""
    operations = operations_of(document)
    missing = operations.keys() - table.MATRIX
    found = [Breach(name, "-", "-", "a row in MATRIX", 0) for name in sorted(missing)]
    # In the table's order: what ends or overwrites things comes after what reads them.
    wanted = table.MATRIX.keys() if only is None else set(only)
    chosen = [name for name in table.MATRIX if name in wanted]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with AsyncExitStack() as stack:
        clients: dict[str | None, httpx.AsyncClient] = {}
        for person in [None, *(str(one["id"]) for one in region.persons)]:
            cookies = {"yanasha": region.cookies[person]} if person else {}
            client = httpx.AsyncClient(transport=transport, base_url=BASE, cookies=cookies)
            clients[person] = await stack.enter_async_context(client)
        alike = Alike(region)
        for name in (name for name in chosen if name in operations):
            for person, client in clients.items():
                found += await _ask(client, operations[name], alike, (name, person))
                client.cookies = httpx.Cookies(
                    {"yanasha": region.cookies[person]} if person else {}
                )
    return found


class Alike:
    """What was asked before by somebody in the same shoes is not asked again.

    The shoes: the roles, what one is to the thing, what one is where the thing or its person
    belongs and whether that is a clinic or a school, and which of the ids in the path belong to
    something that is there.
    """

    def __init__(self, region: Region) -> None:
        self.region = region
        self._roles = {str(one["id"]): tuple(one["roles"]) for one in region.persons}
        rooms = [*region.visits, *region.lessons]
        self._place = {str(one["id"]): str(one["organisation_id"]) for one in rooms}
        self._known = {
            *self._place,
            *region.places,
            *region.everybody,
            *region.streams.values(),
            *region.decks.values(),
            *region.cards.values(),
            *region.files.values(),
            *region.ecg_files.values(),
            *(one for things in region.own.values() for _, one in things),
            *(tie for ties in region.family.ties.values() for _, tie in ties),
            *region.family.managed.values(),
            *(code for codes in region.family.codes.values() for code in codes),
        }
        self._asked: set[Any] = set()

    def again(self, name: str, person: str | None, relation: str, ids: dict[str, str]) -> bool:
        """Whether this was asked before; from now on it was."""
        room = ids.get("visit_id") or ids.get("lesson_id")
        place = ids.get("organisation_id") or self._place.get(room or "")
        whose = ids.get("whose") or ids.get("person_id") or ids.get("child_id")
        both = {whose, person}
        where = frozenset(
            (self.region.kinds[one], members.get(person or ""))
            for one, members in self.region.places.items()
            if (one == place if place else both <= members.keys())
        )
        there = frozenset(key for key, value in ids.items() if value in self._known)
        shoes = (name, self._roles.get(person or "", ()), relation, where, there)
        before = shoes in self._asked
        self._asked.add(shoes)
        return before


async def _ask(
    client: httpx.AsyncClient,
    how: tuple[str, str, frozenset[str]],
    alike: Alike,
    what: tuple[str, str | None],
) -> list[Breach]:
    """One operation, asked by one person of every thing."""
    (method, path, numbers), (name, person), region = how, what, alike.region
    found: list[Breach] = []
    for relation, target in targets(region, name, path, person or ""):
        is_to = relation if person else NOBODY
        if name not in LISTS and alike.again(name, person, is_to, target):
            continue
        # Query and body may name what the target has not: then there is no such thing.
        ids = defaultdict(lambda: str(uuid4()), target)
        ids |= {one: "999999999" for one in numbers & ids.keys() if not ids[one].isdigit()}
        query = QUERIES.get(name, "").format_map(ids)
        body = BODIES.get(name)
        ASKED.set(name)
        answer = await client.request(
            method, path.format(**ids) + query, json=body(ids) if callable(body) else body
        )
        ASKED.set(None)
        row = table.MATRIX[name]
        expected = row.get(is_to, row.get(STRANGER, set()))
        login = _login(region, person)
        if answer.status_code not in expected:
            found.append(Breach(name, login, is_to, str(expected), answer.status_code))
        elif person and name in LISTS:
            found += _not_own(region, name, person, answer.json())
        found += [
            Breach(name, login, is_to, f"no {where}", answer.status_code)
            for where in region.canaries.leaked(_said(answer), person)
        ]
    return found


def _said(answer: httpx.Response) -> str:
    """Everything the answer tells: its body and its headers."""
    return answer.text + str(answer.headers)


def _not_own(region: Region, name: str, person: str, body: Any) -> list[Breach]:
    """A list that is not the caller's own: a day may show a part of it, other lists are whole."""
    rows = [*body["visits"], *body["lessons"]] if name == "myDay" else body
    shown, owned = {row["id"] for row in rows}, region.owned[name].get(person, set())
    if shown <= owned and (name == "myDay" or shown == owned):
        return []
    return [Breach(name, _login(region, person), SELF, f"only {sorted(owned)}", 200)]


async def sweep_devices(app: Litestar, path: str, region: Region) -> list[Breach]:
    """Every device sends a reading; so does who has no device's token. What lies where it must not."""
    found: list[Breach] = []
    house: House = app.state.house
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:

        async def send(token: str, kind: str) -> httpx.Response:
            ASKED.set("sendReadings")
            headers = {"Authorization": f"Bearer {token}"}
            answer = await client.post(path, json=_sent(kind), headers=headers)
            ASKED.set(None)
            return answer

        for one in region.sensors:
            answer = await send(one["token"], one["kinds"][0])
            if answer.status_code != 201:
                found.append(Breach(path, one["id"], SELF, "201", answer.status_code))
                continue
            ids = [UUID(row["id"]) for row in answer.json()["results"]]
            query = select(Readings.person_id, Readings.device_id).where(Readings.id.in_(ids))
            async with house.transaction() as db:
                rows = (await db.execute(query, execution_options=WRITE_PATH)).all()
            if [(str(a), str(b)) for a, b in rows] != [(one["person_id"], one["id"])]:
                found.append(Breach(path, one["id"], SELF, "a row of its own person", 201))
            me = await client.get("/api/v1/me", headers={"Cookie": f"yanasha={one['token']}"})
            if me.status_code != 401:
                found.append(Breach("me", one["id"], STRANGER, "401", me.status_code))
            foreign = next(kind for kind in SAMPLES if kind not in one["kinds"])
            refused = await send(one["token"], foreign)
            if refused.status_code != 422:
                found.append(Breach(path, one["id"], SELF, "422", refused.status_code))
        token = region.sensors[0]["token"]
        for wrong in ("garbage", token[:-1], token.upper(), *region.cookies.values()):
            answer = await send(wrong, region.sensors[0]["kinds"][0])
            if answer.status_code != 401:
                found.append(Breach(path, "no device", STRANGER, "401", answer.status_code))
    return found


def _sent(kind: str) -> dict[str, Any]:
    unit, values = SAMPLES[kind]
    taken_at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    # A number no program that runs beside the test has used.
    one = {"kind": kind, "sequence": uuid4().int >> 80, "taken_at": taken_at}
    return {"readings": [{**one, "values": values, "unit": unit}]}


def _login(region: Region, person: str | None) -> str:
    logins = {str(one["id"]): str(one["login"]) for one in region.persons}
    return logins[person] if person else NOBODY
