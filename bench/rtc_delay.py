"""Delay that forwarding adds at 70 % of the servers' core, beside Janus: p99 over all packets.

Each packet carries the time it was sent; the kernel says when it lay in the viewer's socket, so
that what our clients are slow at is not counted. Both servers carry the load at which the dearer
of them fills 70 % of the core.
"""

import statistics
from contextlib import AsyncExitStack

from bench import janus
from bench.harness import Row, at_least, at_most, percentile
from bench.rtc_clip import clip
from bench.rtc_fwd import LOAD_B, SHARE, Stage, ratio, stage
from bench.rtc_load import STAMP
from bench.rtc_servers import Opened, ours

LOAD = 0.7
TRIAL_VIEWERS, TRIAL_S = 20, 4.0
MOST_VIEWERS = 150
STAMPED_OF = 8  # every eighth viewer's packets are opened
ROUNDS = 3
SECONDS = 6.0


class Watch:
    """Delays of the packets at some of the viewers."""

    def __init__(self, of: Stage) -> None:
        self.stage = of
        self.delays: list[float] = []
        self.p50: list[float] = []
        self.p99: list[float] = []

    def begin(self) -> None:
        """Opens every so many viewer's packets."""
        for peer in self.stage.viewers[STAMPED_OF // 2 :: STAMPED_OF]:
            peer.stamp(self._packet)

    def _packet(self, packet: bytes, arrived_at: float) -> None:
        self.delays.append(arrived_at - STAMP.unpack(packet[-STAMP.size :])[0])

    async def turn(self) -> None:
        """One round."""
        self.delays.clear()
        await self.stage.turn(SECONDS)
        self.p50.append(percentile(self.delays, 0.5))
        self.p99.append(percentile(self.delays, 0.99))


async def measure() -> list[Row]:
    """The row of delays."""
    picture = clip(*LOAD_B)
    opened: list[Opened] = [ours(), janus.janus()]
    async with AsyncExitStack() as stack:
        watches = []
        for each in opened:
            server = await stack.enter_async_context(each)
            built = await stack.enter_async_context(
                stage(server, picture, TRIAL_VIEWERS, stamped=True)
            )
            await built.turn(TRIAL_S)
            watches.append(Watch(built))
        dearer = max(watch.stage.us[0] for watch in watches)
        rate = watches[0].stage.rates[0]
        viewers = min(MOST_VIEWERS, int(LOAD * 1e6 / (dearer * rate)))
        for watch in watches:
            await watch.stage.add(viewers - TRIAL_VIEWERS)
            watch.begin()
        for _ in range(ROUNDS):
            for watch in watches:
                await watch.turn()
    own, peer = watches
    return [
        at_most("delay.p99", ratio(own.p99, peer.p99), "x Janus", bar=1.5),
        Row("delay.p99.ms", 1e3 * median(own.p99), "ms", 1e3 * median(peer.p99)),
        Row("delay.p50.ms", 1e3 * median(own.p50), "ms", 1e3 * median(peer.p50)),
        Row("delay.load", median(own.stage.cores[1:]), "of a core", median(peer.stage.cores[1:])),
        at_least(
            "delay.delivered",
            min(own.stage.shares[1:] + peer.stage.shares[1:]),
            f"of sent to {viewers} viewers, the lesser of both",
            bar=SHARE,
        ),
    ]


median = statistics.median
