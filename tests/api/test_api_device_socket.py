"""The recorder's socket: acknowledged means stored, and nothing is stored twice."""

import asyncio
import time
from collections.abc import Collection, Iterable
from datetime import timedelta
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from api_server import Recorder, Server
from api_world import API
from sqlalchemy.ext.asyncio import AsyncSession

from api import recorders
from api.live import Tab
from devices.frames import EcgFrame, decode, frame_of
from telemed.ecg import AppliedFrame

FRAME = frame_of(UUID(int=1), 0, 0, np.zeros(1, np.int16))


async def frames(server: Server, recorder: Recorder) -> list[int]:
    """Sequences that lie in the store, read as the doctor reads them."""
    url = f"{API}/visits/{server.world['visit']}/ecg/{recorder.stream}/frames?limit=3000"
    async with server.client("doctor") as client:
        answer = await client.get(url)
    assert answer.headers["content-type"] == "application/octet-stream"
    found, data = [], answer.content
    while data:
        size = int.from_bytes(data[:4], "little")
        found.append(decode(data[4 : 4 + size]).sequence)
        data = data[4 + size :]
    return found


async def test_acknowledged_frames_are_read_back_in_order(server: Server) -> None:
    async with server.recorder() as recorder:
        assert await recorder.announce() == -1
        await recorder.send(*range(20))
        await recorder.stored(19)
    assert await frames(server, recorder) == list(range(20))
    async with server.client("doctor") as client:
        (info,) = (await client.get(f"{API}/visits/{server.world['visit']}/ecg")).json()
    assert (info["last_sequence"], info["frames"], info["lead"]) == (19, 20, "MLII")


async def test_a_recorder_that_comes_back_is_told_how_far_it_is_stored(server: Server) -> None:
    async with server.recorder() as first:
        await first.announce()
        await first.send(0, 1, 2)
        await first.stored(2)
    async with server.recorder() as again:
        again.stream, again.started_us = first.stream, first.started_us
        assert await again.announce() == 2
        await again.send(1, 2, 3)
        await again.stored(3)
    assert await frames(server, again) == [0, 1, 2, 3]


async def test_only_what_has_no_hole_before_it_is_acknowledged(server: Server) -> None:
    async with server.recorder() as recorder:
        await recorder.announce()
        await recorder.send(0, 2, 3)
        await recorder.stored(0)
        await recorder.send(1)
        await recorder.stored(3)
    assert await frames(server, recorder) == [0, 1, 2, 3]


async def test_a_recorder_without_a_good_token_is_closed_4401(server: Server) -> None:
    async with server.recorder() as recorder:
        recorder.token = "nonsense"
        await recorder.say("hello", token="nonsense", stream=recorder.header())
        assert (await recorder.of("problem"))["code"] == "not_signed_in"
        assert await recorder.closed() == 4401


async def test_a_device_that_is_no_recorder_may_not_announce_a_stream(server: Server) -> None:
    async with server.recorder() as recorder:
        token = server.world.device_tokens["patient:cuff"]
        await recorder.say("hello", token=token, stream=recorder.header())
        assert (await recorder.of("problem"))["code"] == "forbidden"
        assert await recorder.closed() == 4403


async def test_nobody_can_write_into_another_recorders_stream(server: Server) -> None:
    async with server.recorder() as first:
        await first.announce()
        async with server.recorder("patient2") as second:
            token = server.world.device_tokens["patient2:recorder"]
            await second.say("hello", token=token, stream=first.header())
            assert (await second.of("problem"))["code"] == "sequence_reused"
            assert await second.closed() == 1008
        async with server.recorder("patient2") as third:
            await third.announce()
            await third.ws.send(first.frame_bytes(0))
            assert await third.closed() == 4403
    assert server.world["patient"]


@pytest.mark.parametrize("data", [b"", b"YEC1", b"\0" * 300, "text"])
async def test_what_is_no_frame_ends_the_socket(data: bytes | str, server: Server) -> None:
    async with server.recorder() as recorder:
        await recorder.announce()
        await recorder.ws.send(data)
        assert (await recorder.of("problem"))["code"] == "malformed_body"
        assert await recorder.closed() == 1008


async def test_a_header_nobody_can_read_by_is_refused(server: Server) -> None:
    async with server.recorder() as recorder:
        await recorder.say("hello", token=recorder.token, stream=recorder.header(rate_hz=5))
        assert await recorder.closed() == 1008


def _store_when_heard(server: Server, monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    """Nothing is stored before so many frames were read: what waits is then one batch."""
    put, flush = server.house.recorders.put, server.house.recorders.flush

    def counting(recorder: recorders.Recorder, frame: EcgFrame) -> None:
        put(recorder, frame)
        if len(recorder.waiting) == frames:
            monkeypatch.setattr(recorders, "LEAST_S", 0.0)
            flush()

    monkeypatch.setattr(server.house.recorders, "put", counting)
    monkeypatch.setattr(recorders, "LEAST_S", 3600.0)


@pytest.mark.parametrize(
    ("away", "reason"), [(timedelta(minutes=11), "from_future"), (timedelta(days=-400), "too_old")]
)
async def test_a_frame_from_an_impossible_time_is_refused_for_good_and_takes_no_other_with_it(
    away: timedelta, reason: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those sent with it are stored; the close code says that sending again is of no use."""
    async with server.recorder() as recorder:
        await recorder.announce()
        good = recorder.started_us
        _store_when_heard(server, monkeypatch, frames=5)
        await recorder.send(0, 1)
        recorder.started_us = good + int((away + timedelta(minutes=1)).total_seconds() * 1e6)
        await recorder.send(2)
        recorder.started_us = good
        await recorder.send(3, 4)
        await recorder.stored(1)
        assert (await recorder.of("problem"))["code"] == reason
        assert await recorder.closed() == 4422
    async with server.recorder() as again:
        again.stream, again.started_us = recorder.stream, good
        assert await again.announce() == 1
        await again.send(2)
        await again.stored(4)


async def test_revoking_the_device_ends_its_socket_within_a_second(server: Server) -> None:
    async with server.recorder() as recorder:
        await recorder.announce()
        async with server.client("patient") as client:
            await client.delete(f"{API}/devices/{server.world['patient:recorder']}")
        started = time.monotonic()
        assert await recorder.closed() == 4401
        assert time.monotonic() - started < 1


def _revoke(server: Server) -> None:
    """As another process does: the row says it, and nothing here is told."""
    with psycopg.connect(server.house.settings.database_url.replace("+psycopg", "")) as connection:
        connection.execute(
            "UPDATE devices SET revoked_at = now() WHERE id = %s",
            (server.world["patient:recorder"],),
        )


async def test_a_device_revoked_elsewhere_is_ended_within_seconds(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorders, "ALIVE_EVERY_S", 0.1)
    async with server.recorder() as recorder:
        await recorder.announce()
        await asyncio.to_thread(_revoke, server)
        assert (await recorder.of("problem"))["code"] == "not_signed_in"
        assert await recorder.closed() == 4401


async def test_a_failed_look_at_tokens_ends_who_came_meanwhile_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is left whom no later look would ask about."""
    came = asyncio.Event()

    async def broken(_db: AsyncSession, _ids: Collection[UUID]) -> set[UUID]:
        await came.wait()
        raise RuntimeError

    monkeypatch.setattr(recorders, "ALIVE_EVERY_S", 0.0)
    monkeypatch.setattr(recorders, "alive_among", broken)
    async with server.recorder() as first, server.recorder("patient2") as second:
        await first.announce()
        await second.announce()
        came.set()
        assert (await first.closed(), await second.closed()) == (1011, 1011)


async def test_single_frames_are_told_of_together_many_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[int] = []
    last = asyncio.Event()

    def tell(sequence: int) -> None:
        told.append(sequence)
        if sequence == 7:
            last.set()

    recorder = recorders.Recorder(uuid4(), Tab(), tell)

    def stored(*sequences: int) -> None:
        recorder.acknowledge([AppliedFrame(FRAME, True, uuid4(), one) for one in sequences])

    for sequences in ((0,), (1,), (2,), (3, 4), (5,)):
        stored(*sequences)
    assert told == [0, 4]
    recorder.tell()
    recorder.tell()
    assert told == [0, 4, 5]
    monkeypatch.setattr(recorders, "TELL_EVERY_S", 0.05)
    stored(6)
    stored(7)
    await asyncio.wait_for(last.wait(), 5)
    assert len(told) <= 5


async def test_a_device_revoked_while_it_says_hello_is_not_let_in(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at its token and the first moment it would be told of a revocation."""
    join = server.house.live.join

    def late(tab: Tab, channels: Iterable[str]) -> None:
        _revoke(server)
        join(tab, channels)

    monkeypatch.setattr(server.house.live, "join", late)
    async with server.recorder() as recorder:
        await recorder.say("hello", token=recorder.token, stream=recorder.header())
        assert await recorder.closed() == 4401
        assert [(m["type"], m["code"]) for m in recorder.kept] == [("problem", "not_signed_in")]


async def test_a_recorder_that_does_not_listen_is_told_busy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its token is as good as before, and it may come again."""
    monkeypatch.setattr("api.live.MESSAGES_KEPT", 0)
    async with server.recorder() as recorder:
        await recorder.say("hello", token=recorder.token, stream=recorder.header())
        assert (await recorder.of("problem"))["code"] == "busy"
        assert await recorder.closed() == 1013


async def test_a_burst_after_an_outage_is_stored_whole(server: Server) -> None:
    async with server.recorder() as recorder:
        await recorder.announce()
        await asyncio.gather(recorder.send(*range(1500)), recorder.stored(1499))
    assert await frames(server, recorder) == list(range(1500))


async def test_a_bad_frame_in_a_group_is_its_own_recorders_trouble_alone(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two recorders' frames go to the writer together; the other one's are stored and go on."""
    put, flush = server.house.recorders.put, server.house.recorders.flush
    put_down = iter(range(3))

    def held(recorder: recorders.Recorder, frame: EcgFrame) -> None:
        put(recorder, frame)
        if next(put_down, 3) == 2:
            monkeypatch.setattr(recorders, "LEAST_S", 0.0)
            flush()

    async with server.recorder() as bad, server.recorder("patient2") as good:
        await bad.announce()
        await good.announce()
        monkeypatch.setattr(server.house.recorders, "put", held)
        monkeypatch.setattr(recorders, "LEAST_S", 3600.0)
        bad.started_us += int(timedelta(minutes=30).total_seconds() * 1e6)
        await bad.send(0)
        await good.send(0, 1)
        assert (await bad.of("problem"))["code"] == "from_future"
        assert await bad.closed() == 4422
        await good.stored(1)
        await good.send(2)
        await good.stored(2)


async def test_what_was_put_down_before_a_malformed_frame_is_stored(server: Server) -> None:
    """Or a recorder that sends one again and again would never get on."""
    async with server.recorder() as recorder:
        await recorder.announce()
        await recorder.send(0, 1)
        await recorder.ws.send(b"none")
        assert await recorder.closed() == 1008
    stored = -1
    async with asyncio.timeout(5):
        while stored < 1:
            async with server.recorder() as again:
                again.stream, again.started_us = recorder.stream, recorder.started_us
                stored = await again.announce()
