"""Live ECG end to end: recorders over sockets into the started API, stored, shown to a page each.

Recorders and pages are processes of their own over loopback, with real tokens and tickets; every
stream has a page that is shown it, and ten of one patient have the same one. A frame
carries 200 ms of the recording that comes with the product, by the clock of this machine. The
figure is streams per core of the API process: seconds of trace stored, acknowledged and shown / its
processor time from the first frame to the last, so a server that falls behind is not flattered.
What PostgreSQL uses beside it is a row of its own. Of all frames sent none may be lost: what the
store holds is counted, the acknowledgements, and what the pages were shown. On a machine without
processor time to spare frames are late, which is a row of its own: real recorders send them again.
"""

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psutil
import psycopg
from websockets.asyncio.client import ClientConnection, connect

import devices
from bench.harness import Row, at_least, percentile
from bench.requests import serving
from bench.stores import running_stores
from devices.ecg_files.wfdb import read_record
from devices.frames import StreamHeader, encode, frame_of
from people.device_tokens import NewDevice, add_device
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Actor, Kind, Right
from people.relations import actor_of, grant
from people.sessions import Caller, start_session
from people.tickets import issue
from storage import data_keys, migrate
from storage.engine import libpq_url, make_engine, new_id, sessions
from storage.settings import Settings
from telemed.visits import NewVisit, book

# A recorder with many leads sends each as a stream of its own; a page shows a patient's.
STREAMS, A_PATIENT, SENDERS = 300, 10, 2
FRAME_S = 0.2
RUN_S = 12.0
# What is on its way has arrived when nothing came for so long: longer than a stalled writer has.
QUIET_S = 15.0
BAR = 1000
SAMPLE = Path(devices.__file__).parent / "samples" / "100_2min"


class Stream(msgspec.Struct, frozen=True):
    """A recorder of the run: its token, the visit that looks on, and the ticket to it."""

    stream: UUID
    token: str
    visit: UUID
    ticket: str


@dataclass
class Sent:
    """What one process of recorders did."""

    frames: int = 0
    acknowledged: int = 0
    waits: list[float] = field(default_factory=list)


def ws_rows() -> list[Row]:
    """Measure on stores and an API of its own."""
    with running_stores() as settings:
        migrate.upgrade(settings.database_url)
        return asyncio.run(_measured(settings))


async def _measured(settings: Settings) -> list[Row]:
    streams = await _furnished(settings)
    with serving("api", settings) as server, _postgres(settings) as postgres:
        await _until_open(server.port)
        parts = [streams[at::SENDERS] for at in range(SENDERS)]
        context = multiprocessing.get_context("spawn")
        talks = [
            *(_child(context, _send, server.port, part) for part in parts),
            _child(context, _look, server.port, streams[::A_PATIENT]),
        ]
        for talk in talks:
            await asyncio.to_thread(talk.recv)  # all are linked
        began, ours, theirs = time.monotonic(), server.cpu_s(), postgres()
        for talk in talks:
            talk.send("go")
        await asyncio.sleep(RUN_S)
        *recorders, pages = talks
        told: list[Any] = []
        for some in (recorders, [pages]):  # pages last: when everything is stored
            for talk in some:
                talk.send("stop")
            told += [await asyncio.to_thread(talk.recv) for talk in some]
        wall = time.monotonic() - began
        used, beside = server.cpu_s() - ours, postgres() - theirs
    *senders, seen = told
    frames = sum(one.frames for one in senders)
    acknowledged = sum(one.acknowledged for one in senders)
    stored = await _stored(settings)
    waits = [wait for one in senders for wait in one.waits]
    done = min(stored, acknowledged, seen.frames)
    ends = {
        "lost": (acknowledged - stored, "frames acknowledged but not stored"),
        "late": (frames - acknowledged, "frames not acknowledged when all was quiet"),
        "unseen": (frames - seen.frames, "frames that no page was shown"),
    }
    return [
        at_least("live.ws", done * FRAME_S / used, "streams a core of the API", bar=BAR),
        Row("live.ws_postgres", beside / wall, "cores of PostgreSQL beside it"),
        Row(
            "live.ws_streams",
            len(streams),
            f"streams on {STREAMS // A_PATIENT} pages, {frames:,} frames",
        ),
        *(
            Row(f"live.ws_{name}", max(0, count), what, None, "0", count <= 0)
            for name, (count, what) in ends.items()
        ),
        Row("live.ws_ack_p99", percentile(waits, 0.99), "s, frame to acknowledgement"),
        Row("live.ws_seen_p99", percentile(seen.waits, 0.99), "s, frame to page"),
    ]


async def _furnished(settings: Settings) -> list[Stream]:
    """A clinic whose every patient has a recorder and a visit, and a page's ticket to it."""
    data_keys.unlock(settings.home)
    now = datetime.now(UTC)
    engine = make_engine(settings.database_url)
    made = []
    async with sessions(engine)() as db, db.begin():
        clinic = new_id()
        db.add(Organisations(id=clinic, kind="clinic", name="Bench"))
        await db.flush()

        async def person(kind: Kind) -> UUID:
            row = Persons(id=new_id(), family_name="Bench", given_name="Test", created_at=now)
            db.add(row)
            await db.flush()
            since = now - timedelta(days=1)
            right = Right(actor_id=row.id, kind=kind, organisation_id=clinic, since=since)
            await grant(db, right, "bench")
            return row.id

        administrator = await actor_of(db, await person(Kind.ADMINISTRATION), now)
        doctor = await person(Kind.DUTY)
        for _ in range(STREAMS // A_PATIENT):
            patient = await person(Kind.ATTACHMENT)
            visit = await book(
                db,
                administrator,
                NewVisit(
                    organisation_id=clinic,
                    patient_id=patient,
                    doctor_id=doctor,
                    starts_at=now,
                    ends_at=now + timedelta(hours=1),
                ),
                now,
            )
            recorder = NewDevice("Recorder", "ecg", ["ecg"])
            _, token = await add_device(
                db, await actor_of(db, patient, now), patient, recorder, now
            )
            session = await start_session(db, patient, "127.0.0.0/24", now, staff=False)
            caller = Caller(session.id, Actor(patient), patient, now)
            # Redeemed when everything has started: later than a ticket of the product lives.
            ticket = await issue(db, caller, visit, now + timedelta(minutes=5))
            made += [Stream(uuid4(), token, visit, ticket.ticket) for _ in range(A_PATIENT)]
    await engine.dispose()
    return made


def _child(context: Any, work: Any, *given: Any) -> Connection:
    ours, theirs = context.Pipe()
    context.Process(target=_run, args=(work, theirs, *given), daemon=True).start()
    return ours  # type: ignore[no-any-return]


def _run(work: Any, pipe: Connection, *given: Any) -> None:
    asyncio.run(work(pipe, *given))


async def _send(pipe: Connection, port: int, streams: list[Stream]) -> None:
    """Recorders: each begins at a moment of its own and sends a frame every 200 ms."""
    record = read_record(SAMPLE)
    sent, stop = Sent(), asyncio.Event()
    async with AsyncExitStack() as stack:
        links = []
        for one in streams:
            ws = await stack.enter_async_context(connect(f"ws://127.0.0.1:{port}/ws/device"))
            row = record.leads[0]
            header = StreamHeader(
                stream=one.stream,
                rate_hz=record.rate_hz,
                gain_per_mv=row.gain_per_mv,
                baseline=row.baseline,
                lead="II",
            )
            hello = {"type": "hello", "token": one.token, "stream": header}
            await ws.send(msgspec.json.encode(hello).decode())
            assert json.loads(await ws.recv())["type"] == "ready"
            links.append((ws, one.stream))
        pipe.send("linked")
        await asyncio.to_thread(pipe.recv)
        size = round(record.rate_hz * FRAME_S)
        whole = len(record.samples) // size
        begun = time.time()
        running = [
            asyncio.create_task(
                _recorder(
                    ws,
                    stream,
                    [record.samples[n * size : (n + 1) * size, 0] for n in range(whole)],
                    begun + FRAME_S * place / len(links),
                    sent,
                    stop,
                )
            )
            for place, (ws, stream) in enumerate(links)
        ]
        await asyncio.to_thread(pipe.recv)
        stop.set()
        await asyncio.gather(*running)
    pipe.send(sent)


async def _recorder(  # noqa: PLR0917 - one recorder of many
    ws: ClientConnection,
    stream: UUID,
    pieces: list[Any],
    begins: float,
    sent: Sent,
    stop: asyncio.Event,
) -> None:
    left: dict[int, float] = {}
    count, known = 0, -1

    async def hear() -> None:
        nonlocal known
        async for said in ws:
            known = json.loads(said)["sequence"]
            now = time.time()
            for number in [one for one in left if one <= known]:
                sent.waits.append(now - left.pop(number))
                sent.acknowledged += 1

    hearing = asyncio.create_task(hear())
    while not stop.is_set():
        due = begins + (count + 1) * FRAME_S
        await asyncio.sleep(max(0.0, due - time.time()))
        left[count] = time.time()
        started_us = int((begins + count * FRAME_S) * 1e6)
        frame = frame_of(stream, count, started_us, pieces[count % len(pieces)])
        await ws.send(encode(frame))
        count += 1
    heard, still = len(left), time.monotonic()
    while left and not hearing.done() and time.monotonic() < still + QUIET_S:
        await asyncio.sleep(0.05)
        if len(left) < heard:
            heard, still = len(left), time.monotonic()
    hearing.cancel()
    sent.frames += count


async def _look(pipe: Connection, port: int, streams: list[Stream]) -> None:
    """Pages: each sees the trace of one visit."""
    seen, origin = Sent(), f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        links = []
        for one in streams:
            url = f"ws://127.0.0.1:{port}/ws/visits/{one.visit}"
            ws = await stack.enter_async_context(connect(url, origin=origin))  # type: ignore[arg-type]
            hello = {"type": "hello", "ticket": one.ticket, "tab": str(uuid4())}
            await ws.send(json.dumps(hello))
            assert json.loads(await ws.recv())["type"] == "welcome"
            links.append(ws)
        pipe.send("linked")

        async def page(ws: ClientConnection) -> None:
            async for said in ws:
                if isinstance(said, bytes):
                    seen.frames += 1
                    ended = int.from_bytes(said[24:32], "little") / 1e6 + FRAME_S
                    seen.waits.append(time.time() - ended)

        running = [asyncio.create_task(page(ws)) for ws in links]
        await asyncio.to_thread(pipe.recv)
        await asyncio.to_thread(pipe.recv)
        shown = -1
        while shown < seen.frames:
            shown = seen.frames
            await asyncio.sleep(1.0)
        for task in running:
            task.cancel()
    pipe.send(seen)


async def _until_open(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert time.monotonic() < until, "the API did not start"
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


@contextmanager
def _postgres(settings: Settings) -> Iterator[Any]:
    """Processor time of all backends that live now, and of what they left to their parent."""
    with psycopg.connect(libpq_url(settings.database_url)) as link:
        parent = psutil.Process(link.info.backend_pid).parent()
    assert parent is not None

    def used() -> float:
        total = sum(parent.cpu_times()[:4])
        for child in parent.children():
            try:
                times = child.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total

    yield used


async def _stored(settings: Settings) -> int:
    async with await psycopg.AsyncConnection.connect(libpq_url(settings.database_url)) as db:
        rows = await db.execute("SELECT sum(frames)::bigint FROM ecg_streams")
        (frames,) = await rows.fetchone() or (0,)
        return int(frames or 0)
