"""A link is shared out: voices first, then pictures by weight, steadily."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.allocate import ROOM_S, SHORT_S, Steady, Wish, allocate

LAYERS = (100_000, 400_000, 1_500_000)


@pytest.mark.parametrize(
    ("bps", "chosen"),
    [
        (50_000, [None, None]),
        (100_000, [0, None]),
        (250_000, [0, 0]),
        (550_000, [1, 0]),
        (1_000_000, [1, 1]),
        (1_950_000, [2, 1]),
        (9_000_000, [2, 2]),
    ],
)
def test_the_smallest_layers_come_before_larger_ones(bps: int, chosen: list[int | None]) -> None:
    """And of two pictures the heavier one first, wherever it stands."""
    heavy, light = Wish("a", LAYERS, 2), Wish("b", LAYERS, 1)
    assert allocate(bps, [heavy, light]) == chosen
    assert allocate(bps, [light, heavy]) == chosen[::-1]


needs = st.lists(st.integers(1, 3_000_000), max_size=3).map(lambda each: tuple(sorted(each)))


@given(st.floats(-1e6, 1e8), st.lists(st.tuples(needs, st.integers(0, 3)), max_size=6))
def test_no_more_is_given_than_there_is(
    bps: float, pictures: list[tuple[tuple[int, ...], int]]
) -> None:
    """However many pictures, layers and weights there are."""
    wishes = [Wish(n, needs, weight) for n, (needs, weight) in enumerate(pictures)]
    chosen = allocate(bps, wishes)
    used = sum(wish.needs[at] for wish, at in zip(wishes, chosen, strict=True) if at is not None)
    assert used <= max(0, bps) + 1


def run(bps_at: list[tuple[float, float]], wish: Wish) -> list[tuple[int, int | None]]:
    """The changes of one picture's layer, asked each second, on a link that is what it is from each time on."""
    steady, changes = Steady(), []
    has = wish.now
    for at in range(int(bps_at[-1][0]) + 1):
        bps = [each for since, each in bps_at if since <= at][-1]
        (chosen,) = steady.decide(bps, [Wish("x", wish.needs, 0, has)], at)
        if chosen != has:
            changes.append((at, chosen))
            has = chosen
    return changes


def test_it_goes_down_at_once_and_up_after_a_while() -> None:
    """With a fifth more than needed, for two seconds; a second of it is not enough."""
    link = [(0.0, 450e3), (2.0, 2e6), (3.0, 450e3), (6.0, 2e6), (10.0, 2e6)]
    assert run(link, Wish("x", LAYERS, 0, 2)) == [(0.0, 1), (6.0 + ROOM_S, 2)]
    assert run([(0.0, 1.6e6), (9.0, 1.6e6)], Wish("x", LAYERS, 0, 1)) == []


def test_a_lone_picture_is_paused_when_not_even_half_of_it_fits() -> None:
    """After three seconds, not at once; it comes back when all of it fits."""
    link = [(0.0, 260e3), (2.0, 240e3), (4.0, 260e3), (5.0, 240e3), (9.0, 590e3), (12.0, 650e3)]
    changes = run([*link, (15.0, 650e3)], Wish("x", (500_000,), 0, 0))
    assert changes == [(5.0 + SHORT_S, None), (12.0 + ROOM_S, 0)]
