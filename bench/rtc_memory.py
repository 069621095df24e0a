"""Memory of one more viewer, beside Janus: resident bytes with 60 viewers less those with 10."""

from contextlib import AsyncExitStack

from bench import janus
from bench.harness import Row, at_most
from bench.rtc_clip import clip
from bench.rtc_fwd import stage
from bench.rtc_join import LOAD_A
from bench.rtc_servers import Server, ours, resident

FEW, MANY = 10, 60
SECONDS = 6.0  # whatever is kept to send again is full by then


async def of(server: Server) -> float:
    """KiB a viewer."""
    async with stage(server, clip(*LOAD_A), FEW) as built:
        await built.turn(SECONDS)
        few = resident(server.pid)
        await built.add(MANY - FEW)
        await built.turn(SECONDS)
        return (resident(server.pid) - few) / (MANY - FEW) / 1024


async def measure() -> list[Row]:
    """The row of memory."""
    async with AsyncExitStack() as stack:
        own = await of(await stack.enter_async_context(ours()))
        peer = await of(await stack.enter_async_context(janus.janus()))
    return [
        at_most("memory", own / peer, "x Janus, a viewer more", bar=1.0),
        Row("memory.viewer", own, "KiB resident", peer),
    ]
