"""The link between the API and the worker: real processes, real sockets, real deaths."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rtc.messages import (
    MAX_MESSAGE_BYTES,
    Hello,
    Ping,
    Pong,
    Welcome,
    frame,
    read_from_worker,
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
