"""The link between the API and the worker: real processes, real sockets, real deaths."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from rtc.link import PATIENCE_S, MediaLink
from rtc.messages import (
    MAX_MESSAGE_BYTES,
    FromWorker,
    Hello,
    Leave,
    Ping,
    Pong,
    Presence,
    RoomState,
    SegmentStored,
    TakeStored,
    ToWorker,
    Welcome,
    frame,
    read_from_worker,
    read_to_worker,
)
from rtc.worker import Worker
from tests.rtc.media_house import MediaHouse, both, connected_to
from tests.rtc.raw_client import Source


def free_udp_port() -> int:
    """A port that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def worker_process(home: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m rtc` as the supervisor starts it, ready to serve."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rtc",
        env={**os.environ, "YANASHA_HOME": str(home), "YANASHA_RTC_PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert line.startswith(b"media worker ready")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short folder, since a socket's path has at most 107 bytes."""
    return tmp_path_factory.mktemp("h")


async def media_flows(house: MediaHouse) -> None:
    """Two fresh pages join and a packet gets across."""
    house.state(both("amina"), both("timur"))
    publish = await house.join("amina").publishing()
    subscribe, ssrc = await house.join("timur").watching("amina", "video")
    await house.stats()  # the worker knows, too, that timur is connected
    publish.send_rtp(Source("video").next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 1)


async def test_a_killed_worker_is_found_again(home: Path) -> None:
    """SIGKILL: the link says down, then up with another worker's id, and media flows anew."""
    port, path = free_udp_port(), home / "run" / "rtc-0.sock"
    async with worker_process(home, port) as first, connected_to(path) as house:
        await media_flows(house)
        first.kill()
        await house.until(lambda: house.downs == 1)
        assert house.link.send(Ping(1)) is False
        async with worker_process(home, port):
            await house.until(lambda: len(house.ups) == 2)
            assert house.ups[0] != house.ups[1]
            await media_flows(house)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_the_worker_ends_cleanly(home: Path, how: signal.Signals) -> None:
    """Both signals end it with code 0, its socket is gone and its peers have heard goodbye."""
    path = home / "run" / "rtc-0.sock"
    async with worker_process(home, free_udp_port()) as process, connected_to(path) as house:
        await media_flows(house)
        process.send_signal(how)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert not path.exists()
        dtls = house.pages["amina"].publish
        assert dtls is not None
        await asyncio.wait_for(dtls.ended.wait(), 10)


def test_a_bad_setting_is_one_sentence_and_code_2(home: Path) -> None:
    """No traceback for a mistyped port."""
    ran = subprocess.run(
        [sys.executable, "-m", "rtc"],
        env={**os.environ, "YANASHA_HOME": str(home), "YANASHA_RTC_PORT": "many"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "YANASHA_RTC_PORT" in ran.stderr


def test_a_taken_port_is_one_sentence_and_code_1(home: Path) -> None:
    """Another program on the UDP port is named as the reason; if that is us, its spool is let be."""
    take = home / "spool-1" / "room" / "take"
    take.mkdir(parents=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ran = subprocess.run(
            [sys.executable, "-m", "rtc"],
            env={
                **os.environ,
                "YANASHA_HOME": str(home),
                "YANASHA_RTC_PORT": str(port),
                "YANASHA_RTC_WORKERS": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert take.exists()


def test_the_api_process_never_loads_the_media_engine() -> None:
    """Importing the link and its messages brings in neither aiortc nor libsrtp.

    Nor does it load what only signing needs: pyHanko, half a second of every start.
    """
    program = (
        "import sys, rtc.link, rtc.messages, people.document_checks, people.document_prints;"
        "never = {'aiortc', 'av', 'pylibsrtp', 'pyhanko', 'aiohttp'};"
        "sys.exit(any(n.split('.')[0] in never for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_every_link_hears_of_a_room(house: MediaHouse, worker: Worker) -> None:
    """A second API process hears the presence of rooms it did not open, old and new."""
    house.state(both("amina"))
    await house.join("amina").publishing()
    async with connected_to(worker.link_path) as other:
        await other.until(lambda: other.presence("amina") == (True, True, True))
        await house.pages["amina"].close()
        await other.until(lambda: other.presence("amina") == (False, False, False))


class Workers:
    """Listening ends that say what workers would: which rooms they have, and how busy they are."""

    def __init__(self, home: Path, patience_s: float = PATIENCE_S, **loads: float) -> None:
        self.heard: dict[str, list[ToWorker]] = {name: [] for name in loads}
        self.rooms: dict[str, list[str]] = {name: [] for name in loads}
        self.kept: dict[str, list[str]] = {name: [] for name in loads}
        self.paths = [home / name for name in loads]
        self.ups: list[str] = []
        self.told: set[str] = set()  # whose load the link knows
        self.link = MediaLink(
            self.paths, self._hear, self._up, self._changed, patience_s=patience_s
        )
        self._loads = loads
        self._event = asyncio.Event()
        self._writers: dict[str, list[asyncio.StreamWriter]] = {name: [] for name in loads}

    def _up(self, name: str) -> None:
        self.ups.append(name)
        self._event.set()

    def _hear(self, message: FromWorker) -> None:
        if isinstance(message, Presence):
            self.told.add(message.room)
        self._event.set()

    def _changed(self) -> None:
        self._event.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not true():
                self._event.clear()
                await self._event.wait()

    @asynccontextmanager
    async def listening(self, name: str) -> AsyncIterator[None]:
        """A worker of this name takes links, until it is gone with all of them."""
        path = next(each for each in self.paths if each.name == name)
        async with await asyncio.start_unix_server(partial(self._serve, name), path):
            yield
            for writer in self._writers[name]:
                writer.close()
        path.unlink(missing_ok=True)

    async def _serve(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers[name].append(writer)
        writer.write(frame(Welcome(name, 0.0, self.rooms[name], self.kept[name])))
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                message = await read_to_worker(reader)
                if isinstance(message, Ping):
                    writer.write(frame(Pong(message.n, self._loads[name])))
                    writer.write(frame(Presence(name, message.n, [])))
                self.heard[name].append(message)
                self._event.set()
        writer.close()

    def of(self, name: str) -> list[ToWorker]:
        """What a worker heard of rooms."""
        return [each for each in self.heard[name] if not isinstance(each, Hello | Ping)]


async def test_a_new_room_goes_to_the_worker_with_the_least_to_do(home: Path) -> None:
    """And a burst of rooms is spread although the workers have not told their load again."""
    workers = Workers(home, a=0.62, b=0.41)
    link = workers.link
    async with workers.listening("a"), workers.listening("b"), link:
        await workers.until(lambda: len(workers.ups) == 2)
        await workers.until(lambda: workers.told == {"a", "b"})
        places = [link.worker_of(f"room-{n}") for n in range(8)]
    assert places == ["b", "b", "b", "b", "a", "b", "a", "b"]


async def test_what_concerns_a_room_goes_to_its_worker_only(home: Path) -> None:
    """Of two workers the one that has the room hears of it, until it is closed."""
    workers = Workers(home, a=0.0, b=0.0)
    link = workers.link
    async with workers.listening("a"), workers.listening("b"), link:
        await workers.until(lambda: len(workers.ups) == 2)
        for n in range(2):
            link.send(RoomState(f"room-{n}", 1, [both("amina")]))
            link.send(Leave(f"room-{n}", "amina"))
            link.send(RoomState(f"room-{n}", 2, []))
        await workers.until(lambda: len(workers.of("a")) == len(workers.of("b")) == 3)
    for name, room in (("a", "room-0"), ("b", "room-1")):
        assert workers.of(name) == [
            RoomState(room, 1, [both("amina")]),
            Leave(room, "amina"),
            RoomState(room, 2, []),
        ]


async def test_whose_recording_is_stored_is_heard_by_whoever_has_it(home: Path) -> None:
    """The index has a lesson's end after the room is closed: nobody need know where it was."""
    workers = Workers(home, a=0.0, b=0.0)
    link = workers.link
    async with workers.listening("a"), workers.listening("b"), link:
        await workers.until(lambda: len(workers.ups) == 2)
        link.send(RoomState("room", 1, [both("amina")]))
        link.send(RoomState("room", 2, []))
        link.send(Leave("room", "amina"))
        told = SegmentStored("room", "take", 0), TakeStored("room", "take")
        link.send(told[0])
        link.send(told[1])
        await workers.until(lambda: len(workers.of("a")) == 4 and len(workers.of("b")) == 2)
    assert workers.of("b") == workers.of("a")[2:] == [*told]


async def test_a_room_is_found_where_it_lives_rather_than_where_it_was_recorded(home: Path) -> None:
    """Nor does it lose its place when what was recorded of it earlier is stored, but once closed."""
    workers = Workers(home, a=0.0, b=0.9)
    workers.kept["a"], workers.rooms["b"], workers.kept["b"] = ["room"], ["room"], ["left"]
    link = workers.link
    async with workers.listening("a"), workers.listening("b"), link:
        await workers.until(lambda: len(workers.ups) == 2)
        link.send(TakeStored("room", "take"))
        assert [link.worker_of(room) for room in ("room", "left", "new")] == ["b", "b", "a"]
        link.send(RoomState("room", 1, []))
        assert link.worker_of("room") == "a"  # another one of that name


async def test_a_worker_that_does_not_start_keeps_no_room_closed(home: Path) -> None:
    """It is not waited for long; what it says later of a room that lives elsewhere counts no more."""
    workers = Workers(home, patience_s=0.05, a=0.5, b=0.0)
    workers.rooms["b"] = ["room", "old"]
    link = workers.link
    async with workers.listening("a"), link:
        await workers.until(lambda: workers.ups == ["a"])
        assert link.send(RoomState("room", 1, [both("amina")]))
        async with workers.listening("b"):
            await workers.until(lambda: bool(workers.of("b")))
            (ended,) = workers.of("b")
            assert isinstance(ended, RoomState)
            assert (ended.room, ended.members) == ("room", [])
            assert [link.worker_of(room) for room in ("room", "old")] == ["a", "b"]
            line = link._lines[1]
            assert line.writer is not None
            for room in ("room", "old"):  # said before it heard of the end
                link._heard(line, Presence(room, 1, []), line.writer)
            assert workers.told & {"room", "old"} == {"old"}


async def test_no_room_is_placed_before_every_worker_has_said_which_it_has(home: Path) -> None:
    """A new API process finds a room where it lives, and goes on with it there."""
    workers = Workers(home, a=0.0, b=0.9)
    workers.rooms["b"] = ["room"]
    link = workers.link
    async with workers.listening("a"), link:
        await workers.until(lambda: bool(workers.heard["a"]))
        assert link.worker_of("room") is None
        assert workers.ups == []
        async with workers.listening("b"):
            await workers.until(lambda: len(workers.ups) == 2)
            assert link.worker_of("room") == "b"
            assert link.worker_of("other") == "a"


async def test_a_room_waits_for_its_worker_and_a_new_one_does_not(home: Path) -> None:
    """While a worker is away its rooms have none; new ones go to those that are there."""
    workers = Workers(home, a=0.0, b=0.5)
    link = workers.link
    async with workers.listening("b"), link:
        async with workers.listening("a"):
            await workers.until(lambda: len(workers.ups) == 2)
            assert link.worker_of("room") == "a"
        await workers.until(lambda: link.worker_of("room") is None)
        assert link.send(RoomState("room", 1, [both("amina")])) is False
        assert link.worker_of("new") == "b"


async def test_media_goes_on_while_the_api_is_away(house: MediaHouse, worker: Worker) -> None:
    """The only link breaks; packets still flow, and the next link finds the same worker."""
    house.state(both("amina"), both("timur"))
    publish = await house.join("amina").publishing()
    subscribe, ssrc = await house.join("timur").watching("amina", "video")
    worker.drop_links()
    source = Source("video")
    publish.send_rtp(source.next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 1)
    await house.until(lambda: len(house.ups) == 2)
    assert house.ups[0] == house.ups[1]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x00\x00\x00\x05hello",
        (MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"),
        b"\x00\x00\x00\x00",
        frame(Pong(1)),
    ],
    ids=["no message", "too long", "empty", "not for the worker"],
)
async def test_nonsense_closes_only_its_own_link(
    house: MediaHouse, worker: Worker, nonsense: bytes
) -> None:
    """A link that breaks the protocol is closed; the others and the rooms stay."""
    reader, writer = await asyncio.open_unix_connection(worker.link_path)
    writer.write(frame(Hello("broken")))
    assert isinstance(await read_from_worker(reader), Welcome)
    writer.write(nonsense)
    await asyncio.wait_for(reader.read(), 10)  # to its end: whatever was said before, then closed
    writer.close()
    await house.stats()
    assert house.downs == 0


async def test_a_member_id_that_is_no_sdp_token_is_refused(
    house: MediaHouse, worker: Worker
) -> None:
    """An id with a line break would write SDP of its own; the message is nonsense."""
    house.state(both("a\r\na=evil"))
    await house.until(lambda: house.downs == 1)
    assert worker.rooms.rooms == {}
