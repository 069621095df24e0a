"""On which step of the ladder a viewer stands: down at once, up after a while, and no to and fro."""

import asyncio

import pytest

from rtc.ladder import HIGHEST, STEPS, UP_S, Got, Ladder, Speech, Standing, Told, step_of
from rtc.messages import Reason, Step, Stepped
from rtc.worker import Worker
from tests.rtc.media_house import ROOM, MediaHouse, both
from tests.rtc.raw_client import Source

FULL, SMALLER, PAUSED = Got(), Got(smaller=True), Got(paused=True)
SLOW = Got(slow=True, smaller=True)


@pytest.mark.parametrize(
    ("pictures", "silenced", "step", "reason"),
    [
        ([], False, "high", "your_link"),
        ([FULL, FULL], False, "high", "your_link"),
        ([FULL, SMALLER], False, "low", "your_link"),
        ([FULL, PAUSED], False, "low", "your_link"),
        ([Got(all_small=True)], False, "low", "sender_link"),
        ([Got(smaller=True, all_small=True)], False, "low", "your_link"),
        ([PAUSED, SLOW], False, "slow", "your_link"),
        ([PAUSED, PAUSED], False, "voice", "your_link"),
        ([PAUSED], True, "text", "your_link"),
        ([], True, "text", "your_link"),
    ],
)
def test_the_step_is_what_is_missing_most(
    pictures: list[Got], *, silenced: bool, step: Step, reason: Reason
) -> None:
    """Voice only when no picture is left; whose link it is, is told with it."""
    assert step_of(pictures, silenced=silenced) == (step, reason)


def told(at: list[tuple[float, Step]]) -> list[tuple[float, Step]]:
    """The changes of a ladder, asked ten times a second, with a step from each time on."""
    ladder, changes, before = Ladder(), [], HIGHEST
    for n in range(int(at[-1][0] * 10) + 1):
        now = n / 10
        step = [each for since, each in at if since <= now][-1]
        ladder.stand((step, "your_link"), now)
        if ladder.stands != before:
            before = ladder.stands
            changes.append((now, before[0]))
    return changes


def test_down_is_told_at_once_and_up_when_it_has_held() -> None:
    """A second of a better step between two bad ones is none; of several the lowest counts."""
    assert told([(0, "high"), (1, "slow"), (1.5, "text"), (9, "text")]) == [
        (1, "slow"),
        (1.5, "text"),
    ]
    flapping: list[tuple[float, Step]] = [(n, STEPS[n % 2 * 3]) for n in range(12)]
    assert told(flapping) == [(1, "voice")]
    up = told([(0, "voice"), (3, "high"), (4, "low"), (4.5, "high"), (9, "high")])
    assert up == [(0, "voice"), (3 + UP_S, "low"), (3.1 + 2 * UP_S, "high")]


def test_a_change_is_told_once_and_again_to_who_forgot() -> None:
    """Who watches no more is told to stand on the highest."""
    news, low = Told(), ("low", "your_link")
    stands: dict[str, Standing] = {"a": ("low", "your_link"), "b": HIGHEST}
    assert news.news(stands) == [("a", low)]
    assert news.news(stands) == []
    news.forget()
    assert news.news(stands) == [("a", low)]
    assert news.news({"b": HIGHEST}) == [("a", HIGHEST)]


def spoken(links: list[tuple[float, float | None]], needs: float = 35e3) -> list[float]:
    """When a voice is silenced, heard, silenced … on a link that is so from each time on."""
    speech, changes, before = Speech(), [], False
    for n in range(int(links[-1][0] * 10) + 1):
        now = n / 10
        speech.decide([bps for since, bps in links if since <= now][-1], needs, now)
        if speech.silenced != before:
            before = speech.silenced
            changes.append(now)
    return changes


def test_a_voice_goes_on_as_long_as_it_gets_through() -> None:
    """At 40 kbit/s, over a short dip, and when nothing is known of the link."""
    assert spoken([(0, 40e3), (20, 20e3), (22, 40e3), (30, None), (60, None)]) == []


def test_a_voice_that_does_not_get_through_is_silenced_and_comes_back() -> None:
    """After three seconds; back at once when there is room, else it is tried, and ever less often."""
    assert spoken([(0, 40e3), (5, 20e3), (12, 60e3), (30, 60e3)]) == [8, 12]
    tries = spoken([(0, 20e3), (99, 20e3)])
    silent = [
        round(heard - silenced) for silenced, heard in zip(tries[::2], tries[1::2], strict=True)
    ]
    assert silent == [8, 16, 30, 30]


async def test_a_silenced_voice_comes_back_as_one_stream(house: MediaHouse, worker: Worker) -> None:
    """The step is told over the link; what was not sent leaves no gap in his numbers."""
    house.state(both("amina"), both("timur"))
    publish = await house.join("amina").publishing()
    subscribe, ssrc = await house.join("timur").watching("amina", "audio")
    await house.until(lambda: house.presence("timur") == (True, True, True))
    got, source = subscribe.received[ssrc], Source("audio")
    viewer = worker.rooms.rooms[ROOM].seats["timur"].subscribe
    assert viewer is not None
    assert viewer.rate is not None
    rate = viewer.rate

    async def say(*, silenced: bool) -> None:
        now = asyncio.get_running_loop().time()
        rate._speech._change(silenced=silenced, now=now)
        rate.tick(now)
        for _ in range(3):
            publish.send_rtp(source.next())
        await house.stats_until(lambda stats: stats.packets_in == source.sequence - first)

    first = source.sequence
    publish.send_rtp(source.next())
    await subscribe.until(lambda: got.count == 1)
    await say(silenced=True)
    assert got.count == 1
    await house.until(lambda: Stepped(ROOM, "timur", "text", "your_link") in house.heard)
    await say(silenced=False)
    await subscribe.until(lambda: got.count == 4)
    assert [(each - got.sequences[0]) & 0xFFFF for each in got.sequences] == [0, 1, 2, 3]
