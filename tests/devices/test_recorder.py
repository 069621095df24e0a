"""The recorder against a real socket: nothing is lost, whatever happens to the link."""

import asyncio
from uuid import UUID

import numpy as np
import pytest
from device_peer import Ward, ward
from numpy.typing import NDArray

from devices.frames import MISSING, StreamHeader, decode
from devices.recorder import DeviceRefused, EcgRecorder, device_socket

HEADER = StreamHeader(stream=UUID(int=9), rate_hz=360, gain_per_mv=200, baseline=1024, lead="MLII")
STARTED_AT_US = 1_770_000_000_000_000
SAMPLES: NDArray[np.int16] = np.arange(72 * 50 + 10, dtype=np.int16)

pytestmark = pytest.mark.timeout(30)


def recorder(peer: Ward, *, loop: bool = False) -> EcgRecorder:
    return EcgRecorder(peer.url, "token-1", HEADER, SAMPLES, started_at_us=STARTED_AT_US, loop=loop)


async def test_the_address_of_the_socket_follows_from_the_servers() -> None:
    assert device_socket("http://127.0.0.1:8000/") == "ws://127.0.0.1:8000/ws/device"
    assert device_socket("https://clinic.example") == "wss://clinic.example/ws/device"


async def test_samples_arrive_as_recorded_with_the_time_of_each_frame() -> None:
    async with ward() as peer, recorder(peer) as device:
        await device.send_until(device.frames - 1)
        await device.wait_acknowledged(device.frames - 1)
        frames = [decode(peer.stored[n]) for n in range(device.frames)]
    assert np.concatenate([frame.samples for frame in frames]).tolist() == SAMPLES.tolist()
    assert [frame.started_at_us for frame in frames] == [
        STARTED_AT_US + n * 200_000 for n in range(51)
    ]
    assert {frame.stream for frame in frames} == {HEADER.stream}


async def test_the_hello_carries_token_and_header() -> None:
    async with ward() as peer, recorder(peer) as device:
        await device.send_until(0)
    assert peer.hellos == [
        {
            "type": "hello",
            "token": "token-1",
            "stream": {
                "stream": str(HEADER.stream),
                "rate_hz": 360.0,
                "gain_per_mv": 200.0,
                "baseline": 1024,
                "lead": "MLII",
            },
        }
    ]


async def test_only_what_was_asked_for_is_sent() -> None:
    async with ward() as peer, recorder(peer) as device:
        await device.send_until(4)
        await device.wait_acknowledged(4)
        assert peer.received == [0, 1, 2, 3, 4]
        await device.send_until(6)
        await device.wait_acknowledged(6)
        assert peer.received == [0, 1, 2, 3, 4, 5, 6]


async def test_what_was_not_acknowledged_is_sent_again_after_a_cut() -> None:
    async with ward() as peer, recorder(peer) as device:
        await device.send_until(9)
        await device.wait_acknowledged(9)
        await device.drop_link()
        await device.offer(range(10, 30))
        assert device.acknowledged == 9
        device.restore_link()
        await device.wait_acknowledged(29)
        assert device.connections == 2
    assert sorted(peer.stored) == list(range(30))


async def test_frames_stored_but_never_acknowledged_are_not_sent_twice() -> None:
    async with ward() as peer, recorder(peer) as device:
        peer.acknowledge = False
        await device.send_until(9)
        await peer.until(lambda: len(peer.received) == 10)
        await device.drop_link()
        peer.acknowledge = True
        device.restore_link()
        await device.wait_acknowledged(9)
    assert peer.received == list(range(10))


async def test_the_server_going_away_for_a_while_loses_nothing() -> None:
    async with ward() as peer, recorder(peer) as device:
        await device.send_until(4)
        assert peer.server is not None
        for connection in list(peer.server.connections):
            connection.transport.abort()
        await device.send_until(20)
        await device.wait_acknowledged(20)
    assert peer.contiguous == 20


async def test_a_recorder_started_before_its_server_waits_for_it() -> None:
    async with ward() as peer:
        url = peer.url
        assert peer.server is not None
        port = next(iter(peer.server.sockets)).getsockname()[1]
    device = EcgRecorder(url, "t", HEADER, SAMPLES, started_at_us=STARTED_AT_US)
    async with device:
        sending = asyncio.create_task(device.send_until(3))
        late = Ward()
        from websockets.asyncio.server import serve  # noqa: PLC0415 - the second server of one port

        async with serve(late.visit, "127.0.0.1", port):
            await sending
            await device.wait_acknowledged(3)
    assert late.contiguous == 3


async def test_frames_go_in_the_order_offered_repeats_included() -> None:
    async with ward() as peer, recorder(peer) as device:
        await device.offer([1, 0, 0, 3, 2])
        await device.wait_acknowledged(3)
    assert peer.received == [1, 0, 0, 3, 2]


async def test_a_refused_token_ends_the_attempts_with_the_servers_reason() -> None:
    async with ward() as peer:
        peer.refuse = ("not_signed_in", 4401)
        async with recorder(peer) as device:
            with pytest.raises(DeviceRefused, match="not_signed_in"):
                await device.send_until(0)
        assert len(peer.hellos) == 1


async def test_a_measurement_the_server_will_never_take_stops_the_recorder() -> None:
    """Sending it again and again would store nothing and keep the server busy."""
    async with ward() as peer:
        peer.refuse_frame = (2, "from_future", 4422)
        async with recorder(peer) as device:
            await device.offer(range(device.frames))
            with pytest.raises(DeviceRefused, match="from_future"):
                await device.wait_acknowledged(2)
        assert device.acknowledged == 1
        assert len(peer.hellos) == 1


@pytest.mark.parametrize("bad", [{0}, {3}, {2, 3, 7}])
async def test_a_frame_nobody_can_read_is_set_aside_and_the_recording_goes_on(
    bad: set[int],
) -> None:
    """A gap stands in its place, every other frame arrives as recorded, and the recorder says so."""
    async with ward() as peer:
        peer.unreadable = bad
        async with recorder(peer) as device:
            await device.offer([1, 0, 0, 3, 2, *range(4, 12)])
            await device.wait_acknowledged(11)
            await device.send_until(20)
            await device.wait_acknowledged(20)
    assert device.set_aside == dict.fromkeys(bad, "malformed_body")
    gaps = {n for n in range(21) if set(decode(peer.stored[n]).samples.tolist()) == {MISSING}}
    assert gaps == bad
    assert device.refused is None


@pytest.mark.parametrize("code", ["malformed_body", "sequence_reused"])
async def test_a_stream_nobody_takes_ends_the_attempts(code: str) -> None:
    """A hello that cannot be read, or the stream of another device: no frame could mend that."""
    async with ward() as peer:
        peer.refuse = (code, 1008)
        async with recorder(peer) as device:
            with pytest.raises(DeviceRefused, match=code):
                await device.send_until(0)
        assert len(peer.hellos) == 1


async def test_when_not_even_the_gap_is_read_the_attempts_end() -> None:
    """A server that cannot read any frame of ours."""
    async with ward() as peer:
        peer.refuse_frame = (2, "malformed_body", 1008)
        async with recorder(peer) as device:
            await device.offer(range(3))
            with pytest.raises(DeviceRefused, match="malformed_body"):
                await device.wait_acknowledged(2)
        assert device.acknowledged == 1
        assert device.set_aside == {2: "malformed_body"}


async def test_a_link_that_stores_nothing_is_tried_ever_more_slowly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the server closes for; a link that brought something on is tried again at once."""
    pauses: list[float] = []

    class Random:
        def __init__(self, _: int) -> None: ...

        def uniform(self, _low: float, _high: float) -> float:
            return 1.0

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            peer.refuse_frame = (4, "internal", 1011)
        if len(pauses) == 6:
            peer.refuse_frame = None

    monkeypatch.setattr("devices.recorder.random.Random", Random)
    monkeypatch.setattr("devices.recorder._pause", pause)
    async with ward() as peer:
        peer.refuse_frame = (2, "internal", 1011)
        async with recorder(peer) as device:
            await device.send_until(5)
            await device.wait_acknowledged(5)
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 0.2]


async def test_a_busy_server_is_tried_again() -> None:
    async with ward() as peer:
        peer.refuse = ("busy", 1013)
        async with recorder(peer) as device:
            await peer.until(lambda: bool(peer.hellos))
            peer.refuse = None
            await device.send_until(2)
            await device.wait_acknowledged(2)
    assert len(peer.hellos) >= 2


@pytest.mark.parametrize("word", ["not json", '{"type":"greeting"}', '{"type":"ready"}'])
async def test_a_word_nobody_understands_ends_the_link_not_the_recorder(word: str) -> None:
    async with ward() as peer:
        peer.first_word = word
        async with recorder(peer) as device:
            await device.send_until(1)
            await device.wait_acknowledged(1)
    assert len(peer.hellos) == 2


async def test_a_looped_recording_goes_on_under_one_sequence_and_clock() -> None:
    async with ward() as peer, recorder(peer, loop=True) as device:
        await device.send_until(device.frames)
        await device.wait_acknowledged(device.frames)
        again = decode(peer.stored[device.frames])
    assert again.samples.tolist() == SAMPLES[:72].tolist()
    assert again.started_at_us == STARTED_AT_US + round(len(SAMPLES) / 360 * 1e6)


async def test_beyond_the_end_of_a_recording_there_are_no_frames() -> None:
    device = EcgRecorder("ws://unused", "t", HEADER, SAMPLES, started_at_us=STARTED_AT_US)
    with pytest.raises(IndexError):
        device.frame(device.frames)


async def test_a_pulled_electrode_makes_missing_samples_for_its_frames_only() -> None:
    device = EcgRecorder("ws://unused", "t", HEADER, SAMPLES, started_at_us=STARTED_AT_US)
    device.pull_electrode(2, 3)
    values = [set(decode(device.frame(n)).samples.tolist()) == {MISSING} for n in range(6)]
    assert values == [False, False, True, True, False, False]


async def test_a_recording_is_dated_anew_until_its_first_frame_is_offered() -> None:
    """The pace and the dates begin together, however long the connection took."""
    async with ward() as peer, recorder(peer) as device:
        await device.linked()
        device.begin_at(STARTED_AT_US + 1_600_000)
        await device.send_until(0)
        await device.wait_acknowledged(0)
        with pytest.raises(ValueError, match="have been offered"):
            device.begin_at(STARTED_AT_US)
        frame = decode(peer.stored[0])
    assert frame.started_at_us == STARTED_AT_US + 1_600_000
