"""What a page noted of its connections (peek.js): when it saw and heard something new."""

from itertools import pairwise
from typing import Any

SAMPLE_RATE_HZ = 48_000
HEARD = 0.2  # of the time between two looks; less is a break


def frames_at(looks: list[dict[str, Any]]) -> list[float]:
    """When a picture was decoded."""
    found = []
    for before, after in pairwise(looks):
        older = {key: frames for key, frames, _ in before["pictures"]}
        if any(frames > older.get(key, 0) for key, frames, _ in after["pictures"]):
            found.append(after["at"])
    return found


def longest(times: list[float], since: float, until: float) -> float:
    """The longest time without, between two instants."""
    inside = [since, *(each for each in times if since < each < until), until]
    return max(later - earlier for earlier, later in pairwise(inside))


def speech_at(looks: list[dict[str, Any]]) -> list[float]:
    """When speech was heard that had arrived; what the jitter buffer had to invent is none."""
    found = []
    for before, after in pairwise(looks):
        older = dict(before["voices"])
        got = sum(max(0, real - older[key]) for key, real in after["voices"] if key in older)
        if got / SAMPLE_RATE_HZ >= HEARD * (after["at"] - before["at"]):
            found.append(after["at"])
    return found
