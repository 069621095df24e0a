"""What is taken away in the middle of a visit ends sockets, media and reads within a second.

The media worker is the real one in its own process; a raw client sends the patient's voice all the
time, another counts what the doctor hears. The figures are printed.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from api_faults import program
from api_server import Page, Server, free_port
from api_world import API, reading
from sqlalchemy import update
from test_api_lesson_raw import connected

from people.break_glass import NewBreakGlass, break_glass
from people.cards import issue_card
from people.guardian_steps import NewGuardian, appoint
from people.persons import Persons
from people.policy import Kind, Right
from people.relations import grant
from people.sessions import session_person, start_session
from people.shares import Shares
from storage.engine import new_id
from storage.settings import Settings
from tests.rtc.raw_client import RawTransport, Source

AT_MOST_S = 1.0
PACE_S = 0.01

Take = Callable[[Server], Awaitable[Callable[[], Awaitable[None]]]]


@pytest.fixture(autouse=True, scope="module")
def nothing_old_to_look_through() -> None:
    """What hundreds of tests before these have left stops the server here no more."""
    gc.collect()
    gc.freeze()


async def ok(server: Server, who: str, method: str, path: str, **more: object) -> object:
    """Ask as somebody, and be given it."""
    async with server.client(who) as client:
        answer = await client.request(method, f"{API}{path}", **more)  # type: ignore[arg-type]
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


async def taking_the_session(server: Server) -> Callable[[], Awaitable[None]]:
    """The patient ends it from another browser."""
    async with server.world.sessions() as db, db.begin():
        now = datetime.now(UTC)
        other = await start_session(db, server.world["patient"], "n", now, staff=False)
    server.world.cookies = server.world.cookies | {"patient elsewhere": other.token}
    path = f"/sessions/{server.world['patient:session']}"

    async def take() -> None:
        await ok(server, "patient elsewhere", "DELETE", path)

    return take


async def taking_the_card(server: Server) -> Callable[[], Awaitable[None]]:
    """The clinic revokes the card that the patient came in with."""
    now, clinic = datetime.now(UTC), server.world["clinic"]
    admin = await server.world.actor("clinic_admin")
    async with server.world.sessions() as db, db.begin():
        card, _ = await issue_card(db, admin, server.world["patient"], clinic, now)
        session = await start_session(
            db, server.world["patient"], "n", now, staff=False, method="card", opened_by=card.id
        )
    server.world.cookies = server.world.cookies | {"patient": session.token}

    async def take() -> None:
        await ok(server, "clinic_admin", "DELETE", f"/organisations/{clinic}/cards/{card.id}")

    return take


async def taking_the_consent(server: Server) -> Callable[[], Awaitable[None]]:
    """The patient does not want to be treated at a distance any more."""
    word = {
        "organisation_id": str(server.world["clinic"]),
        "purpose": "telemedicine",
        "version": 1,
    }
    given = await ok(server, "patient", "POST", "/consents", json=word)
    assert isinstance(given, dict)

    async def take() -> None:
        await ok(server, "patient", "POST", f"/consents/{given['id']}/withdraw")

    return take


async def taking_the_hat(server: Server) -> Callable[[], Awaitable[None]]:
    """The doctor is no doctor of this clinic any more."""
    place, person = server.world["clinic"], server.world["doctor"]
    path = f"/organisations/{place}/people/{person}/hats/duty"

    async def take() -> None:
        await ok(server, "clinic_admin", "DELETE", path)

    return take


class Visit:
    """An open visit: both pages, the patient's voice on its way, the doctor's ear."""

    def __init__(self, pages: dict[str, Page], voice: RawTransport, ear: RawTransport) -> None:
        self.pages = pages
        self.voice = voice
        self.ear = ear
        self.heard_at_s = 0.0

    @property
    def heard(self) -> int:
        """How many packets reached the doctor."""
        return sum(track.count for track in self.ear.received.values())

    async def go_on(self) -> None:
        """Send the voice, and note when the doctor heard it last."""
        source, count = Source("audio"), 0
        while True:
            self.voice.send_rtp(source.next())
            await asyncio.sleep(PACE_S)  # the pace of the packets
            if self.heard > count:
                count, self.heard_at_s = self.heard, time.monotonic()


@asynccontextmanager
async def running_visit(settings: Settings, server: Server, log: Path) -> AsyncIterator[Visit]:
    """The visit with a media worker of its own process."""
    settings = replace(settings, rtc_port=free_port())
    async with program(settings, "rtc", log), asyncio.timeout(60):
        while not server.house.media.up:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.02)
        await ok(server, "doctor", "POST", f"/visits/{server.world['visit']}/open")
        async with server.page("doctor") as doctor, server.page("patient") as patient:
            for page in (doctor, patient):
                await page.say("media_ready", audio=True, video=False)
            ends = []
            for page, name, way in (
                (patient, "patient", "publish"),
                (doctor, "doctor", "subscribe"),
            ):
                offer = await page.of("offer", direction=way)
                ends.append(await connected(page, offer, str(server.world[name])))
            visit = Visit({"doctor": doctor, "patient": patient}, *ends)
            task = asyncio.create_task(visit.go_on())
            await visit.ear.until(lambda: visit.heard > 20)
            try:
                yield visit
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                for end in ends:
                    await end.close(say_goodbye=False)


async def closed_after(page: Page, began_s: float) -> float:
    """Seconds until the socket was closed."""
    await page.closed()
    return time.monotonic() - began_s


async def refused_after(server: Server, who: str, path: str, began_s: float) -> float:
    """Seconds until the last read was asked for that was still granted."""
    last_s = began_s
    async with server.client(who) as client:
        asked_s = time.monotonic()
        while (await client.get(f"{API}{path}")).is_success:
            last_s, asked_s = asked_s, time.monotonic()
        assert not (await client.get(f"{API}{path}")).is_success
    return last_s - began_s


async def taking_the_guardian(server: Server) -> Callable[[], Awaitable[None]]:
    """The clinic ends a guardianship: of a visit a guardian has reads, no seat and no media."""
    world, now = server.world, datetime.now(UTC)
    admin = await world.actor("clinic_admin")
    async with world.sessions() as db, db.begin():
        born = date(now.year - 8, 1, 1)
        change = update(Persons).where(Persons.id == world["patient"]).values(born_on=born)
        await db.execute(change)
        new = NewGuardian(guardian_id=world["parent"], child_id=world["patient"])
        tie = await appoint(db, admin, world["clinic"], new, now)

    async def take() -> None:
        async with server.client("parent") as client:
            path = f"{API}/visits/{world['visit']}"
            assert (await client.post(f"{path}/ticket")).status_code == 404
            assert (await client.get(f"{API}{reads_of(server, 'guardian')[0]}")).is_success
        path = f"/organisations/{world['clinic']}/guardianships/{tie}"
        await ok(server, "clinic_admin", "DELETE", path)

    return take


# What is taken → from whom, and whose sockets end.
WAYS: dict[str, tuple[Take, str, tuple[str, ...]]] = {
    "session": (taking_the_session, "patient", ("patient",)),
    "card": (taking_the_card, "patient", ("patient",)),
    "consent": (taking_the_consent, "doctor", ("doctor", "patient")),
    "hat": (taking_the_hat, "doctor", ("doctor",)),
    "guardian": (taking_the_guardian, "parent", ()),
}


def reads_of(server: Server, way: str) -> list[str]:
    """What is read, and is not any more."""
    patient, visit = server.world["patient"], f"/visits/{server.world['visit']}"
    if way == "guardian":
        return [f"/records/{patient}", f"/children/{patient}/visits"]
    return [f"{visit}/readings", f"{visit}/ecg"]


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_taken_away_ends_a_live_visit_within_a_second(
    settings: Settings, server: Server, tmp_path: Path, way: str
) -> None:
    """The sockets of who lost it, the voice between both, and what he could read."""
    made, who, sockets = WAYS[way]
    take = await made(server)
    async with running_visit(settings, server, tmp_path / "log") as visit:
        began_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            ends = {
                f"socket of the {name}": tasks.create_task(closed_after(visit.pages[name], began_s))
                for name in sockets
            }
            await take()
            ends |= {
                path.rpartition("/")[2]: tasks.create_task(
                    refused_after(server, who, path, began_s)
                )
                for path in reads_of(server, way)
            }
        figures = {name: task.result() for name, task in ends.items()}
        # Whatever is still on its way would come in this time.
        await asyncio.sleep(max(0.0, began_s + AT_MOST_S + 0.3 - time.monotonic()))
        heard_s = visit.heard_at_s - began_s
        if sockets:
            figures["media"] = heard_s
        else:
            # The visit itself is not the guardian's: it goes on.
            assert heard_s > AT_MOST_S
            assert await ticket(server, "doctor") == 201
        if way == "consent":
            assert await ticket(server, "doctor") == 403
            await ok(server, "doctor", "GET", f"/visits/{server.world['visit']}/note")
            await ok(server, "patient", "GET", f"/visits/{server.world['visit']}/readings")
    print(f"revoked {way}:", {name: f"{seconds:.3f} s" for name, seconds in figures.items()})
    assert all(seconds < AT_MOST_S for seconds in figures.values()), figures


async def ticket(server: Server, who: str) -> int:
    """Whether a new page would be let in."""
    async with server.client(who) as client:
        return (await client.post(f"{API}/visits/{server.world['visit']}/ticket")).status_code


async def test_a_revoked_device_sends_nothing_more_within_a_second(server: Server) -> None:
    """Its socket ends, and what it sends is refused."""
    path = f"/devices/{server.world['patient:recorder']}"
    async with server.recorder() as recorder:
        await recorder.announce()
        began_s = time.monotonic()
        ends = asyncio.create_task(closed_after(recorder, began_s))
        await ok(server, "patient", "DELETE", path)
        socket_s = await ends
    await ok(server, "patient", "DELETE", f"/devices/{server.world['patient:cuff']}")
    headers = {"Authorization": f"Bearer {server.world.device_tokens['patient:cuff']}"}
    async with server.client() as client:
        body = {"readings": [reading(1)]}
        answer = await client.post(f"{API}/readings", json=body, headers=headers)
        assert answer.status_code == 401
    print(f"revoked device: socket {socket_s:.3f} s")
    assert socket_s < AT_MOST_S


async def share(server: Server) -> tuple[str, str, Callable[[], Awaitable[None]]]:
    """A colleague reads a record that the patient opened, and closes again."""
    world, now = server.world, datetime.now(UTC)
    until = now + timedelta(hours=1)
    async with world.sessions() as db, db.begin():
        row = Shares(
            id=new_id(),
            person_id=world["patient"],
            asked_by=world["doctor2"],
            organisation_id=world["clinic"],
            asked_fields=["readings"],
            asked_at=now,
            answer_until=now,
            answered_at=now,
            answered_by=world["patient"],
            fields=["readings"],
            until=until,
        )
        db.add(row)
        await db.flush()
        right = Right(
            actor_id=world["doctor2"],
            kind=Kind.SHARE,
            subject_id=world["patient"],
            organisation_id=world["clinic"],
            about_id=row.id,
            since=now,
            until=until,
        )
        await grant(db, right, "test")

    async def take() -> None:
        await ok(server, "patient", "POST", f"/shares/{row.id}/end")

    return "doctor2", f"/records/{world['patient']}", take


async def emergency(server: Server) -> tuple[str, str, Callable[[], Awaitable[None]]]:
    """A colleague broke the glass; the administrator closes it."""
    world, now = server.world, datetime.now(UTC)
    new = NewBreakGlass(reason="Без сознания, нужны измерения", person_id=world["patient"])
    async with world.sessions() as db, db.begin():
        caller = await session_person(db, world.cookies["doctor2"], now)
        opened = await break_glass(db, caller, world["clinic"], new, now)

    async def take() -> None:
        await ok(server, "clinic_admin", "POST", f"/break-glass/{opened.id}/end")

    return "doctor2", f"/records/{world['patient']}", take


@pytest.mark.parametrize("given", [share, emergency])
async def test_a_record_that_is_closed_again_is_read_no_more_within_a_second(
    server: Server,
    given: Callable[[Server], Awaitable[tuple[str, str, Callable[[], Awaitable[None]]]]],
) -> None:
    """A share, an emergency."""
    who, path, take = await given(server)
    await ok(server, who, "GET", path)
    began_s = time.monotonic()
    await take()
    seconds = await refused_after(server, who, path, began_s)
    print(f"revoked {given.__name__}: reads {seconds:.3f} s")
    assert seconds < AT_MOST_S
