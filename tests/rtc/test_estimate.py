"""The estimate follows a link: simulated with a rate, a queue, a delay and loss, end to end.

Numbers and times go through the real feedback packets.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from rtc.estimate import LEAST_BPS, START_BPS, Estimator, Probe
from rtc.twcc import Arrivals, Row, Sent, pack, parse

STEP_S = 0.01
FEEDBACK_S = 0.05
PACKET = 1000


@dataclass
class Link:
    """A bottleneck with a queue that drops what would wait longer than `most_queue_s`."""

    rate: Callable[[float], float]
    delay_s: float = 0.03
    loss: float = 0.0
    jitter_s: float = 0.0
    most_queue_s: float = 1.0
    free_at: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311

    def send(self, size: int, now: float) -> float | None:
        """When it arrives, if it does."""
        begins = max(now, self.free_at)
        if begins - now > self.most_queue_s:
            return None
        self.free_at = begins + size * 8 / self.rate(now)
        if self.chance.random() < self.loss:
            return None
        return self.free_at + self.delay_s + self.chance.random() * self.jitter_s


@dataclass
class Seen:
    """What the run looked like at one moment."""

    at: float
    bps: float
    queue_s: float


def run(
    link: Link,
    seconds: float,
    *,
    start_bps: float = START_BPS,
    most_bps: float = 10e6,
    uses_bps: float | None = None,
    size: int = PACKET,
    probes: bool = True,
    answers: Callable[[float], bool] = lambda _: True,
) -> list[Seen]:
    """A sender who uses the whole estimate up to `uses_bps`, and probes up to `most_bps`."""
    estimator, sent, arrivals = Estimator(0.0, start_bps), Sent(), Arrivals()
    under_way: list[tuple[float, int]] = []
    told: list[tuple[float, bytes]] = []
    seen: list[Seen] = []
    owed, probe = 0.0, Probe(1.0, -1e9)
    for step in range(int(seconds / STEP_S)):
        now = step * STEP_S
        if probes and now >= probe.until:
            probe = estimator.probe(most_bps, now) or probe
        rate = probe.bps if now < probe.until else min(estimator.bps, uses_bps or most_bps)
        owed += rate * STEP_S / 8
        while owed >= size:
            owed -= size
            number = sent.take(size, now)
            at = link.send(size, now)
            if at is not None:
                under_way.append((at, number))
        under_way.sort()
        while under_way and under_way[0][0] <= now:
            at, number = under_way.pop(0)
            arrivals.put(number, at)
        if step % int(FEEDBACK_S / STEP_S) == 0:
            spoken = arrivals.feedback(now)
            told += [(now + link.delay_s, pack(1, 2, each)) for each in spoken if answers(now)]
        while told and told[0][0] <= now:
            rows = sent.told(parse(told.pop(0)[1]))
            estimator.told(rows.rows, rows.lost, now, 2 * link.delay_s)
        estimator.silent(now)
        seen.append(Seen(now, estimator.bps, max(0.0, link.free_at - now)))
    return seen


def between(seen: list[Seen], since: float, until: float) -> list[Seen]:
    """The moments of a span."""
    return [each for each in seen if since <= each.at < until]


def middle(seen: list[Seen]) -> float:
    """The median estimate."""
    return sorted(each.bps for each in seen)[len(seen) // 2]


def falling(now: float) -> float:
    """2 Mbit/s, then 300 kbit/s for twenty seconds, then 2 Mbit/s again."""
    return 300e3 if 20 <= now < 40 else 2e6


def test_it_follows_a_fall_and_a_rise() -> None:
    """Three seconds after the fall it is under the link, with no long queue; then it climbs back."""
    seen = run(Link(falling), 60)
    assert 1.6e6 < middle(between(seen, 10, 20)) < 2.1e6
    fallen = between(seen, 23, 40)
    assert 240e3 <= middle(between(seen, 23, 24)) <= 300e3
    assert 240e3 <= middle(fallen) <= 315e3
    assert max(each.bps for each in fallen) < 1.2 * 300e3  # it swings around the link
    assert max(each.queue_s for each in fallen) < 0.3
    assert middle(between(seen, 55, 60)) > 1.6e6
    assert max(each.queue_s for each in between(seen, 42, 60)) < 0.3


@pytest.mark.parametrize(
    ("link", "share"),
    [
        (Link(lambda _: 2e6, loss=0.05), 0.7),
        (Link(lambda _: 2e6, jitter_s=0.03), 0.6),
        (Link(lambda _: 2e6, delay_s=0.2), 0.7),
        (Link(lambda _: 2e6, most_queue_s=0.04), 0.7),
        (Link(lambda _: 400e3, most_queue_s=0.02), 0.7),
        (Link(lambda _: 150e3), 0.6),
        (Link(lambda _: 5e6), 0.7),
    ],
    ids=["loss", "jitter", "far", "shallow", "shallower", "slow", "wide"],
)
def test_a_link_with_a_fault_is_still_used(link: Link, share: float) -> None:
    """Loss of its own, jitter, a long way, a short queue, a low rate: most of the rate is found."""
    seen = between(run(link, 30), 10, 30)
    rate = link.rate(0.0)
    assert share * rate < middle(seen) < 1.1 * rate
    assert sum(each.queue_s for each in seen) / len(seen) < 0.1 + 8 * PACKET / rate


def test_loss_that_is_always_there_does_not_stop_it_from_growing() -> None:
    """Also where nothing can be tried: a twentieth lost is the radio's, not a queue's."""
    seen = run(Link(lambda _: 4e6, loss=0.05), 20, start_bps=500e3, probes=False)
    assert seen[-1].bps > 1.5 * 500e3


def test_it_does_not_grow_beyond_what_was_tried() -> None:
    """Who sends 200 kbit/s over whatever link proves no more than half as much again."""
    seen = run(Link(lambda _: 50e6), 20, start_bps=100e3, most_bps=200e3, probes=False)
    assert 200e3 < seen[-1].bps < 330e3


def test_probes_alone_find_the_room_for_a_paused_picture() -> None:
    """Beside a voice nothing is sent; a thin link's voice is not held up for long by them."""
    wide, thin = (
        run(Link(rate), 30, start_bps=LEAST_BPS, most_bps=1e6, uses_bps=48e3, size=200)
        for rate in (lambda _: 2e6, lambda _: 60e3)
    )
    assert wide[800].bps > 1e6
    assert max(each.queue_s for each in thin) < 0.35


def test_without_any_answer_less_and_less_is_sent() -> None:
    """Into a dead link goes no more than a voice; when it is back so is the picture."""
    seen = run(Link(lambda _: 2e6), 30, answers=lambda now: not 10 < now < 18)
    assert between(seen, 17, 18)[0].bps < 2 * LEAST_BPS
    assert middle(between(seen, 19, 20)) > 0.4 * middle(between(seen, 9, 10))
    assert middle(between(seen, 25, 30)) > 1.6e6


def test_no_queue_is_left_standing() -> None:
    """It neither grows nor goes, so the trend is silent: a little less than is delivered is sent."""
    seen = between(run(Link(lambda _: 3e6), 30), 10, 30)
    assert sum(each.queue_s for each in seen) / len(seen) < 0.1


def test_a_first_feedback_of_nothing_changes_nothing() -> None:
    """Nothing is divided by no time and by no packets."""
    estimator = Estimator(5.0)
    estimator.told([], 0, 5.0)
    estimator.told([Row(5.0, 5.0, 77.0, 77.0, 1200, 1)], 0, 5.0)
    assert estimator.bps == START_BPS


class Detour(Link):
    """A link whose packets take another, longer way from the fifteenth second on."""

    def send(self, size: int, now: float) -> float | None:
        """As a link's."""
        at = super().send(size, now)
        return at if at is None or now < 15 else at + 0.2


def test_a_queue_of_others_does_not_take_everything() -> None:
    """Delay that stays whatever we send is a longer way, or somebody else's download."""
    seen = run(Detour(lambda _: 2e6), 30)
    assert min(each.bps for each in between(seen, 15, 30)) > 0.15 * middle(between(seen, 10, 15))


def test_a_clock_that_jumps_is_forgotten() -> None:
    """One arrival of a far future: what is delivered after it counts all the same."""
    estimator = Estimator(0.0, 100e3)
    for n in range(1500):
        at, size = n * 0.02, 250 if n < 500 else 2000
        arrived = 1e6 if n == 500 else at
        estimator.told([Row(at, at, arrived, arrived, size, 1)], 0, at)
    assert estimator.bps > 700e3


def test_a_viewer_who_has_moved_is_measured_anew() -> None:
    """A longer way after a change of networks is no queue; what is told late of the old one neither."""
    estimator = Estimator(0.0)
    for n in range(1000):
        at, now = n * 0.02, (n + 1) * 0.02
        if n == 500:
            before = estimator.bps
            estimator.moved(now)
        arrived = at + (0.03 if n <= 500 else 0.23)
        estimator.told([Row(at, at, arrived, arrived, 2500, 1)], 0, now)
    assert estimator.bps > 0.9 * before
