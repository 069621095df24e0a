"""The media worker: one UDP port for browsers, one unix socket for API processes."""

import asyncio
import gc
import logging
import resource
import signal
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rtc.messages import (
    BadMessage,
    FromWorker,
    Hello,
    Ping,
    Pong,
    Recording,
    SegmentStored,
    Stats,
    StatsAsk,
    TakeStored,
    ToWorker,
    Welcome,
    frame,
    read_to_worker,
)
from rtc.outlet import Pipes
from rtc.pipe import SUFFIX
from rtc.port import UdpPort
from rtc.recording.recorder import Recorder
from rtc.recording.spool import Spool
from rtc.rooms import Rooms
from storage.objects import Objects
from storage.settings import Settings

log = logging.getLogger(__name__)

TICK_S = 0.1
LOAD_OVER_S = 5.0
MAX_UNSENT_BYTES = 8 << 20
OpenSpool = Callable[[Callable[[FromWorker], None]], Spool]


class Worker:
    """Serves until it leaves its `async with`; without a spool it records nothing."""

    def __init__(
        self,
        link_path: Path,
        host: str,
        udp_port: int,
        addresses: tuple[str, ...],
        *,
        open_spool: OpenSpool | None = None,
    ) -> None:
        self.id = uuid.uuid4().hex
        self._started_at = time.time()
        self.link_path = link_path
        self._host, self._udp_port, self._addresses = host, udp_port, addresses
        self._links: set[asyncio.StreamWriter] = set()
        self._open_spool = open_spool
        self._spool: Spool | None = None
        self._load = 0.0
        self._load_from = time.monotonic(), time.process_time()

    async def __aenter__(self) -> Self:
        self.port = UdpPort(self._host, self._udp_port)
        if self._open_spool is not None:  # behind the port: a second one of us touches no spool
            self._spool = self._open_spool(self._tell_all)
        places = [(address, self.port.number) for address in self._addresses]
        record = self._record if self._spool is not None else None
        self.rooms = Rooms(self.port, places, self._tell_all, record, self.link_path.parent)
        self.link_path.parent.mkdir(parents=True, exist_ok=True)
        self._pipes = Pipes(self.link_path.with_suffix(SUFFIX), self.rooms.enter)
        if self._spool is not None:
            await self._spool.__aenter__()
        self._server = await asyncio.start_unix_server(self._serve, self.link_path)
        self.link_path.chmod(0o600)
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ticker.cancel()
        self._server.close()
        self._pipes.close()
        self.rooms.close()
        if self._spool is not None:
            await self._spool.__aexit__(kind, error, trace)
        self.drop_links()
        await self._server.wait_closed()
        self.port.close()
        self.link_path.unlink(missing_ok=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            self._look_at_load(now)
            try:
                self.rooms.tick(now)
            except Exception:
                log.exception("a tick failed")

    def _look_at_load(self, now: float) -> None:
        since, used = self._load_from
        if now - since >= LOAD_OVER_S:
            cpu = time.process_time()
            self._load, self._load_from = (cpu - used) / (now - since), (now, cpu)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self._heard(await read_to_worker(reader), writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        except BadMessage as bad:
            log.warning("a link speaks nonsense and is closed: %s", bad)
        finally:
            self._links.discard(writer)
            writer.close()

    def _heard(self, message: ToWorker, writer: asyncio.StreamWriter) -> None:
        if isinstance(message, Hello):
            kept = sorted(self._spool.rooms) if self._spool is not None else []
            homes = sorted(room.name for room in self.rooms.rooms.values() if not room.home)
            branches = {each.name: each.sitting for each in self.rooms.rooms.values() if each.home}
            self._tell(writer, Welcome(self.id, self._started_at, homes, kept, branches))
            for room in self.rooms.rooms.values():
                self._tell(writer, room.presence())
            self._links.add(writer)
            if self._spool is not None:
                self._spool.announce()
        elif isinstance(message, SegmentStored | TakeStored):
            if self._spool is not None:
                self._spool.stored(message)
        elif isinstance(message, Ping):
            self._tell(writer, Pong(message.n, self._load))
        elif isinstance(message, StatsAsk):
            self._tell(writer, self.stats())
        else:
            try:
                self.rooms.take(message)
            except Exception:
                log.exception("%s failed in room %s", type(message).__name__, message.room)

    def _record(self, room: str, take: Recording, ask_key_frame: Callable[[str], None]) -> Recorder:
        if self._spool is None:
            raise ValueError("no spool to record into")
        now, wall = time.monotonic(), time.time()
        return Recorder(room, take, self._spool, ask_key_frame, now, wall)

    def drop_links(self) -> None:
        """Closes every link; the API processes come back by themselves."""
        for link in list(self._links):
            link.close()

    def stats(self) -> Stats:
        """The worker's counters now."""
        counters, used = self.port.counters, resource.getrusage(resource.RUSAGE_SELF)
        return Stats(
            rooms=sum(not room.home for room in self.rooms.rooms.values()),
            transports=sum(len(room.transports) for room in self.rooms.rooms.values()),
            packets_in=counters.packets_in,
            packets_out=counters.packets_out,
            dropped_no_grant=counters.dropped_no_grant,
            dropped_send=counters.dropped_send,
            dropped_surplus=counters.dropped_surplus,
            dropped_pipe=counters.dropped_pipe,
            resent=counters.resent,
            refused_datagrams=counters.refused_datagrams,
            cpu_s=used.ru_utime + used.ru_stime,
            worker_id=self.id,
            dropped_receive=self.port.dropped_receive,
        )

    def _tell_all(self, message: FromWorker) -> None:
        for link in list(self._links):
            self._tell(link, message)

    def _tell(self, link: asyncio.StreamWriter, message: FromWorker) -> None:
        if link.is_closing():
            return
        if link.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            link.transport.abort()  # an API process that does not read is as good as lost
            return
        link.write(frame(message))


def spool_of(settings: Settings, number: int) -> Path:
    """The folder of a worker's recordings; the first takes over from workers that are no more."""
    home = settings.home
    own = home / (f"spool-{number}" if number else "spool")
    if number == 0:
        for folder in sorted(home.glob("spool-*")):
            left = folder.name.removeprefix("spool-")
            if left.isdecimal() and int(left) >= settings.rtc_workers:
                _take_over(folder, own)
    return own


def _take_over(left: Path, own: Path) -> None:
    for take in sorted(left.glob("*/*")):
        place = own / take.relative_to(left)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if place.exists():
            log.warning("a take that is in two spools is left in %s", left.name)
        else:
            take.rename(place)
    for folder in (*left.glob("*"), left):
        with suppress(OSError):  # something is left in it: it stays for a person to look at
            folder.rmdir()


async def run(settings: Settings, number: int = 0) -> None:
    """Serves as worker `number` until SIGTERM or SIGINT; says one line when ready."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    host = settings.rtc_bind
    path = settings.link_path(number)

    def open_objects() -> Objects:
        from storage.s3 import S3Objects  # noqa: PLC0415 - a lesson waits for us to come back

        return S3Objects(settings)

    def open_spool(tell: Callable[[FromWorker], None]) -> Spool:
        return Spool(spool_of(settings, number), open_objects, tell)

    port, addresses = settings.rtc_port + number, settings.rtc_addresses
    serving = Worker(path, host, port, addresses, open_spool=open_spool)
    async with serving as worker:
        # What is loaded by now lives as long as the process. Looking through all of it for garbage
        # comes seldom and takes long, and every call waits meanwhile.
        gc.freeze()
        gc.collect()
        sys.stdout.write(f"media worker ready: UDP {host}:{worker.port.number}, link {path}\n")
        sys.stdout.flush()
        await stop.wait()
