"""CPU per forwarded packet under load B (4 Mbit/s and a voice to thirty), beside Janus.

Same clients, same core for the servers, same run: the servers take turns, and the ratio of each
round is taken before the median.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from bench import janus
from bench.harness import Row, at_least, at_most
from bench.rtc_clip import Clip, clip
from bench.rtc_load import Publisher
from bench.rtc_peer import Peer, sweep
from bench.rtc_servers import Opened, OurServer, Server, cpu_s, ours

VIEWERS = 30
ROUNDS = 3
WARM_S = 1.5
SECONDS = 8.0
QUIET_S, LOOKS = 0.1, 10  # a server that others keep from its core may be silent for long
SHARE = 0.99
LOAD_B = (1280, 720, 4_000_000)
AEAD = b"SRTP_AEAD_AES_256_GCM"


@dataclass
class Stage:
    """One server with its publisher and viewers, and what its turns gave."""

    server: Server
    publisher: Publisher
    viewers: list[Peer]
    us: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    @property
    def arrived(self) -> int:
        """RTP packets at all viewers so far."""
        return sum(each.encrypted_packets for each in self.viewers)

    def used_s(self) -> float:
        """CPU time of the server so far."""
        return cpu_s(self.server.pid)

    async def turn(self, seconds: float = SECONDS) -> None:
        """Publishes for so long; notes CPU a packet that arrived, and the share that did."""
        sweeper = asyncio.create_task(sweep(self.viewers))
        try:
            await self.publisher.run(WARM_S)
            arrived = await self.quiet()
            cpu, began = self.used_s(), time.monotonic()
            sent = await self.publisher.run(seconds)
            took = time.monotonic() - began
            got = await self.quiet() - arrived
            used = self.used_s() - cpu
            self.us.append(used * 1e6 / got)
            self.cores.append(used / took)
            self.rates.append(sent / took)
            self.shares.append(got / (sent * len(self.viewers)))
        finally:
            sweeper.cancel()

    async def quiet(self) -> int:
        """Packets arrived, once no more do."""
        seen, looks = self.arrived, 0
        while looks < LOOKS:
            await asyncio.sleep(QUIET_S)
            looks = looks + 1 if self.arrived == seen else 0
            seen = self.arrived
        return seen

    async def add(self, viewers: int) -> None:
        """So many more viewers, who count."""
        for _ in range(viewers):
            peer = await self.server.viewer()
            assert peer.profile == AEAD, peer.profile
            peer.count()
            self.viewers.append(peer)


@asynccontextmanager
async def stage(
    server: Server, picture: Clip, viewers: int, *, stamped: bool = False
) -> AsyncIterator[Stage]:
    """A publisher and so many counting viewers at a server."""
    publisher = Publisher(await server.publisher(), picture, stamped=stamped)
    built = Stage(server, publisher, [])
    try:
        # Janus offers a feed to viewers only after its first packets.
        await publisher.run(0.5)
        await built.add(viewers)
        yield built
    finally:
        await asyncio.gather(*(each.close() for each in (publisher.peer, *built.viewers)))


async def measure() -> list[Row]:
    """fwd.python and fwd.c beside Janus."""
    picture = clip(*LOAD_B)
    opened: list[Opened] = [ours("python"), ours("c"), janus.janus()]
    async with AsyncExitStack() as stack:
        stages: dict[str, Stage] = {}
        for each in opened:
            server = await stack.enter_async_context(each)
            if isinstance(server, OurServer) and server.name == "ours.c" and not server.in_c:
                continue
            stages[server.name] = await stack.enter_async_context(stage(server, picture, VIEWERS))
        for _ in range(ROUNDS):
            for built in stages.values():
                await built.turn()
    return rows_of(stages)


def rows_of(stages: dict[str, Stage]) -> list[Row]:
    """A run that lost packets measured something else: the shares are rows with a bar."""
    peer = stages["janus"]
    rows = []
    for name, bar in (("python", 1.0), ("c", 0.7)):
        own = stages.get(f"ours.{name}")
        if own is None:
            rows.append(Row(f"fwd.{name}", "not built", "x Janus, CPU a packet", bar=f"<= {bar}"))
            continue
        rows += [
            judged(f"fwd.{name}", own, peer, bar),
            Row(
                f"fwd.{name}.us", statistics.median(own.us), "us/packet", statistics.median(peer.us)
            ),
            at_least(f"fwd.{name}.delivered", min(own.shares), "of sent", bar=SHARE),
        ]
    delivered = at_least("fwd.janus.delivered", min(peer.shares), "of sent", bar=SHARE)
    return [*rows, delivered]


def judged(name: str, own: Stage, peer: Stage, bar: float) -> Row:
    """The ratio of the rounds in which all arrived at both; of all rounds, and no pass, if none."""
    rounds = zip(own.us, peer.us, own.shares, peer.shares, strict=True)
    whole = [(a, b) for a, b, *shares in rounds if min(shares) >= SHARE]
    if whole:
        figure = statistics.median(a / b for a, b in whole)
        return at_most(name, figure, "x Janus, CPU a packet", bar=bar)
    figure = ratio(own.us, peer.us)
    return Row(
        name,
        figure,
        "x Janus, CPU a packet that arrived; some did not",
        bar=f"<= {bar}",
        holds=False,
    )


def ratio(own: Sequence[float], peer: Sequence[float]) -> float:
    """Median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(own, peer, strict=True))
