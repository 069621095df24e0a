"""Transport-wide feedback is written and read as the draft says, and joined with what was sent."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtc.twcc import (
    KEEP_S,
    MOST_NUMBERS,
    MOST_TOLD,
    SLOTS,
    TICK_S,
    Arrivals,
    BadFeedbackError,
    Feedback,
    Row,
    Sent,
    pack,
    parse,
)

DELTAS = st.one_of(st.none(), st.integers(0, 255), st.integers(-0x7FFF, 0x7FFF))


@st.composite
def feedbacks(draw: st.DrawFn) -> Feedback:
    """Any mixture of losses, small, large and negative steps, and long runs of each."""
    parts = draw(st.lists(st.tuples(DELTAS, st.integers(1, 40)), min_size=1, max_size=20))
    tick = draw(st.integers(0, (1 << 32) - 1))
    ticks: list[int | None] = [tick]
    for delta, times in parts:
        for _ in range(times):
            tick += delta or 0
            ticks.append(None if delta is None else tick)
    lead = draw(st.integers(0, 20))
    return Feedback(draw(st.integers(0, 0xFFFF)), draw(st.integers(0, 255)), [None] * lead + ticks)


@given(feedbacks())
@example(Feedback(0xFFFF, 0, [5] * 700))
@example(Feedback(1, 255, [None] * 300 + [7, 3]))
def test_what_is_packed_is_parsed(feedback: Feedback) -> None:
    """Runs, vectors of both kinds, all sizes of steps: nothing is lost on the way."""
    packet = pack(1, 2, feedback)
    assert len(packet) % 4 == 0
    assert len(packet) // 4 - 1 == int.from_bytes(packet[2:4], "big")
    assert parse(packet) == feedback


def test_a_packet_reads_as_the_draft_draws_it() -> None:
    """Byte by byte: number 10 came, 11 did not, 12 came 1 ms later and 13 half a second after."""
    packet = pack(1, 2, Feedback(10, 3, [258, None, 262, 2262]))
    assert packet.hex() == (
        "afcd0006"  # padded, format 15; seven words
        "00000001"
        "00000002"
        "000a0004"  # from 10 on, four
        "00000103"  # 1 x 64 ms; the fourth feedback
        "d180"  # vector of two bits: small, lost, small, large
        "02"
        "04"
        "07d0"
        "0002"
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(junk: bytes) -> None:
    """A hostile viewer costs no more than the look."""
    for packet in (junk, bytes.fromhex("8fcd0010") + junk):
        try:
            assert len(parse(packet).ticks) <= MOST_NUMBERS
        except BadFeedbackError:
            continue


@pytest.mark.parametrize("cut", range(26))
def test_a_packet_cut_short_is_refused(cut: int) -> None:
    """At whatever byte."""
    with pytest.raises(BadFeedbackError):
        parse(pack(1, 2, Feedback(10, 3, [258, None, 262, 2262]))[:cut])


def test_each_arrival_is_told_once_in_order_of_the_numbers() -> None:
    """Over the wrap of the number, with a gap, and nothing when nothing new has come."""
    arrivals = Arrivals()
    for number, at in ((65534, 1.0), (65535, 1.01), (1, 1.02)):
        arrivals.put(number, at)
    (told,) = arrivals.feedback(1.1)
    assert (told.base, told.ticks) == (65534, [4000, 4040, None, 4080])
    assert arrivals.feedback(1.2) == []
    arrivals.put(2, 1.3)
    (told,) = arrivals.feedback(1.4)
    assert (told.base, told.count, told.ticks) == (2, 1, [5200])


def test_of_a_voice_alone_is_told_five_times_a_second_and_of_more_at_once() -> None:
    """The way back may be as thin; a feedback for each two packets took a sixth of it."""
    arrivals = Arrivals()
    told = list[float]()
    for n in range(100):  # 25 packets a second, looked at ten times
        now = 1.0 + n * 0.04
        arrivals.put(n, now)
        if n % 5 in {0, 2} and arrivals.is_worth_telling(now):
            told.append(now)
            arrivals.feedback(now)
    assert 16 <= len(told) <= 21
    for n in range(100, 104):
        arrivals.put(n, 5.0)
    arrivals.feedback(5.0)
    assert not arrivals.is_worth_telling(5.01)
    for n in range(104, 108):
        arrivals.put(n, 5.01)
    assert arrivals.is_worth_telling(5.01)


def test_a_late_packet_is_told_with_what_came_after_it() -> None:
    """It was told as lost; now it is there."""
    arrivals = Arrivals()
    for number in (5, 7):
        arrivals.put(number, 1.0)
    assert arrivals.feedback(1.1)[0].ticks == [4000, None, 4000]
    arrivals.put(6, 1.2)
    (told,) = arrivals.feedback(1.3)
    assert (told.base, told.ticks) == (6, [4800, 4000])


def test_what_was_sent_into_a_dead_link_is_not_told_as_lost() -> None:
    """After a second of nothing a new telling begins with what has come."""
    arrivals = Arrivals()
    arrivals.put(5, 1.0)
    assert arrivals.feedback(1.1)[0].ticks == [4000]
    arrivals.put(500, 2.5)
    arrivals.put(502, 2.5)
    (told,) = arrivals.feedback(2.6)
    assert (told.base, told.ticks) == (500, [10000, None, 10000])


@pytest.mark.parametrize("step", [9973, SLOTS - 1])
def test_jumps_of_the_numbers_are_no_losses_without_end(step: int) -> None:
    """No thousands of losses are told, however long the jumps are, and nothing grows."""
    arrivals = Arrivals()
    for turn in range(100):
        arrivals.put(turn * step & 0xFFFF, turn * 0.001)
    assert sum(len(each.ticks) for each in arrivals.feedback(1.0)) <= MOST_NUMBERS
    assert not arrivals.feedback(1.0 + KEEP_S)


def test_many_arrivals_and_long_pauses_are_told_in_several_packets() -> None:
    """Each fits into a datagram, and every step into its field."""
    arrivals = Arrivals()
    for number in range(1200):
        arrivals.put(number, 1.0 + number * 0.001)
    arrivals.put(1200, 60.0)
    told = arrivals.feedback(60.1)
    packets = [pack(1, 2, each) for each in told]
    assert max(len(each) for each in packets) < 1200
    assert [each.count for each in told] == list(range(len(told)))
    assert sum(tick is not None for each in told for tick in each.ticks) == 1201
    assert max(len(each.ticks) for each in told) <= MOST_TOLD


def test_feedback_finds_what_was_sent_once() -> None:
    """Send time, arrival and size come together; a second telling of the same counts nothing."""
    sent = Sent()
    sent.count[0] = 65535
    numbers = [sent.take(100 + n, 10.0 + n) for n in range(3)]
    assert numbers == [65535, 0, 1]
    feedback = Feedback(65535, 0, [40, None, 80])
    told = sent.told(feedback)
    assert told.rows == [
        Row(10.0, 10.0, 40 * TICK_S, 40 * TICK_S, 100, 1),
        Row(12.0, 12.0, 80 * TICK_S, 80 * TICK_S, 102, 1),
    ]
    assert told.lost == 1
    again = sent.told(Feedback(65535, 1, [40, 60, 80]))
    assert (again.rows, again.lost) == ([Row(11.0, 11.0, 60 * TICK_S, 60 * TICK_S, 101, 1)], 0)


def test_what_left_together_is_one_row() -> None:
    """With its first and its last arrival, whatever their order was."""
    sent = Sent()
    for size, at in ((100, 1.0), (200, 1.004), (300, 1.005), (400, 1.1)):
        sent.take(size, at)
    rows = sent.told(Feedback(0, 0, [8, 4, None, 20])).rows
    assert rows == [
        Row(1.0, 1.004, 4 * TICK_S, 8 * TICK_S, 300, 2),
        Row(1.1, 1.1, 20 * TICK_S, 20 * TICK_S, 400, 1),
    ]


def test_feedback_about_packets_that_were_never_sent_counts_nothing() -> None:
    """Numbers ahead of ours, and such that are forgotten by now."""
    sent = Sent()
    for _ in range(SLOTS + 10):
        sent.take(100, 1.0)
    assert sent.told(Feedback(SLOTS + 10, 0, [1, 2, None])).rows == []
    assert [each.packets for each in sent.told(Feedback(0, 0, [1] * 20)).rows] == [10]
    ahead = sent.told(Feedback(SLOTS + 8, 0, [1] * 20))
    assert [each.packets for each in ahead.rows] == [2]
    assert Sent().told(Feedback(7, 0, [1, None])).rows == []


def test_the_viewers_clock_goes_on_over_its_wrap() -> None:
    """After twelve days its 32 bits begin anew."""
    sent = Sent()
    first = [sent.take(100, 1.0), sent.take(100, 2.0)]
    before = sent.told(Feedback(first[0], 0, [(1 << 32) - 400]))
    after = sent.told(Feedback(first[1], 1, [0]))
    assert after.rows[0].arrived - before.rows[0].arrived == pytest.approx(400 * TICK_S)
    late = sent.told(Feedback(sent.take(100, 3.0), 2, [(1 << 32) - 100]))
    assert late.rows[0].arrived - before.rows[0].arrived == pytest.approx(300 * TICK_S)
