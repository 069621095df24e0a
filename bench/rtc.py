"""The media bench: `python -m bench.rtc [part …]`; without a part, all of them.

It runs in a network of its own (scripts/loopback). What needs Janus or a browser says so and fails
the run where there is none.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence

from bench import (
    classroom,
    hls,
    janus,
    recording,
    rtc_delay,
    rtc_forward,
    rtc_fwd,
    rtc_join,
    rtc_loss,
    rtc_memory,
    rtc_relay,
    rtc_workers,
    slides,
)
from bench.harness import Row, report
from bench.rtc_servers import ADDRESS, CORES, clients_core, reachable

PARTS: dict[str, Callable[[], Awaitable[list[Row]] | list[Row]]] = {
    "fwd": rtc_fwd.measure,
    "relay": rtc_relay.measure,
    "join": rtc_join.measure,
    "loss": rtc_loss.measure,
    "delay": rtc_delay.measure,
    "memory": rtc_memory.measure,
    "workers": rtc_workers.measure,
    "forward": rtc_forward.measure,
    "recording": recording.measure,
    "class": classroom.measure,
    "hls": hls.measure,
    "slides": slides.measure,
}
NEEDS = {
    janus.PACKAGE: {"fwd", "join", "delay", "memory"},
    "chromium": {"class", "hls", "slides"},
}
ON_ONE_CORE = {"fwd", "relay", "join", "loss", "delay", "memory", "workers", "forward"}


def rows_of(part: str) -> list[Row]:
    """Runs one part."""
    if part in ON_ONE_CORE:
        clients_core()
    else:
        os.sched_setaffinity(0, CORES)
    measured = PARTS[part]()
    return measured if isinstance(measured, list) else asyncio.run(_awaited(measured))


async def _awaited(rows: Awaitable[list[Row]]) -> list[Row]:
    return await rows


def main(asked: Sequence[str]) -> int:
    """Measures the parts asked for; 1 when a bar does not hold or a program is missing."""
    unknown = sorted(set(asked) - set(PARTS))
    if unknown:
        print(f"No such part: {', '.join(unknown)}. There are {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    if not reachable():
        print(f"{ADDRESS} is not here: run it by scripts/loopback.", file=sys.stderr)
        return 2
    parts, missing = [*(asked or PARTS)], False
    for program, needing in NEEDS.items():
        without = [part for part in parts if part in needing]
        if without and shutil.which(program) is None:
            print(f"{', '.join(without)}: needs the Debian package {program}.", file=sys.stderr)
            parts = [part for part in parts if part not in without]
            missing = True
    rows = [row for part in parts for row in rows_of(part)]
    return report("rtc", rows) or int(missing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
