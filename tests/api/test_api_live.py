"""Fan-out and live analysis: what waits for a slow tab is bounded, and order does not matter."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.ecg_live import FORGOTTEN_S, EcgLive
from api.live import LIVE_KEPT, MESSAGES_KEPT, Close, Hint, Live, Tab, patient, visit
from api.socket_messages import EcgBeats, Vitals
from devices.ecg_files.wfdb import read_beats, read_record
from devices.frames import EcgFrame, frame_of
from devices.simulate import stream_header

PERSON = UUID(int=7)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SAMPLE = Path(__file__).parents[2] / "devices" / "samples" / "100_2min"
RECORD = read_record(SAMPLE)
HEADER = stream_header(RECORD, 0, UUID(int=1))


async def test_a_slow_tab_keeps_the_newest_of_the_trace() -> None:
    tab = Tab()
    for n in range(LIVE_KEPT + 30):
        tab.show(str(n))
    kept = list(iter(tab.take_live, None))
    assert kept == [str(n) for n in range(30, LIVE_KEPT + 30)]


async def test_ten_seconds_of_twelve_leads_wait_for_a_slow_tab_and_nothing_older(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tab, now_s = Tab(), 0.0
    monkeypatch.setattr(tab, "_clock", lambda: now_s)
    for n in range(100):
        now_s = n * 0.25
        for lead in range(12):
            tab.show(f"{n} {lead}")
    kept = list(iter(tab.take_live, None))
    assert (kept[0], kept[-1], len(kept)) == ("59 0", "99 11", 41 * 12)


async def test_a_tab_that_takes_no_messages_at_all_ends_as_busy() -> None:
    tab = Tab()
    for _ in range(MESSAGES_KEPT):
        tab.tell(b"{}")
    assert tab.ended is None
    tab.tell(b"{}")
    assert tab.ended is Close.BUSY


async def test_many_hints_are_one_and_wake_whoever_waits() -> None:
    tab = Tab()
    waiting = asyncio.create_task(tab.hints())
    await asyncio.sleep(0)
    tab.hint(Hint.READINGS)
    tab.hint(Hint.READINGS)
    assert await waiting == {Hint.READINGS}


async def test_a_hint_can_wait_until_every_message_is_taken() -> None:
    tab = Tab()
    tab.tell(b"{}")
    tab.hint_when_sent(Hint.READINGS)
    waiting = asyncio.create_task(tab.hints())
    assert (tab.take_message(), tab.waiting) == (b"{}", 0)
    await asyncio.sleep(0)
    assert not waiting.done()
    assert tab.take_message() is None
    assert await waiting == {Hint.READINGS}
    tab.hint_when_sent(Hint.VISIT)
    assert await tab.hints() == {Hint.VISIT}


async def test_a_channel_reaches_its_tabs_only_and_forgets_those_that_left() -> None:
    live, here, there = Live(), Tab(), Tab()
    live.join(here, [patient(PERSON), visit(PERSON)])
    live.join(there, [patient(uuid4())])
    live.show(patient(PERSON), b"x", NOW)
    assert (here.take_live(), there.take_live()) == (b"x", None)
    assert live.pages() == {here}
    live.leave(here)
    assert live.on(patient(PERSON)) == frozenset()


async def test_a_tab_is_shown_nothing_from_before_its_time() -> None:
    live, tab = Live(), Tab()
    live.join(tab, [patient(PERSON)])
    tab.shows_from = NOW
    live.show(patient(PERSON), b"before", NOW - timedelta(microseconds=1))
    live.show(patient(PERSON), b"from", NOW)
    assert list(iter(tab.take_live, None)) == [b"from"]
    live.part(tab, patient(PERSON))
    live.show(patient(PERSON), b"parted", NOW)
    assert tab.take_live() is None
    assert live.on(patient(PERSON)) == frozenset()


def _frames(count: int) -> list[EcgFrame]:
    """The first frames of the recording that comes with the product; about 75 beats a minute."""
    samples = RECORD.samples[: count * 72, 0].reshape(count, 72)
    return [
        frame_of(HEADER.stream, n, 1_700_000_000_000_000 + n * 200_000, row)
        for n, row in enumerate(samples)
    ]


def _said(batches: list[list[EcgFrame]]) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    live = EcgLive(lambda _, message, __: heard.append(msgspec.to_builtins(message)))
    live.open(PERSON, HEADER)
    for n, batch in enumerate(batches):
        live.push(batch, float(n))
        live.tick(float(n))
    return heard


def _vitals(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message for message in said if message["type"] == "vitals"]


def test_a_clean_trace_gets_its_heart_rate() -> None:
    frames = _frames(100)
    last = _vitals(_said([frames[n : n + 5] for n in range(0, 100, 5)]))[-1]
    assert last["heart_rate_bpm"] == pytest.approx(75, abs=4)
    assert last["at"] == "2023-11-14T22:13:40Z"


@settings(derandomize=True, max_examples=20, deadline=None)
@given(order=st.permutations(range(5)), repeats=st.lists(st.integers(0, 99), max_size=10))
def test_swapped_and_repeated_frames_change_nothing(order: list[int], repeats: list[int]) -> None:
    frames = _frames(100)
    swapped = [frames[n + at] for n in range(0, 100, 5) for at in order]
    batches = [swapped[n : n + 5] for n in range(0, 100, 5)]
    batches[-1] = batches[-1] + [frames[n] for n in repeats]
    straight = [frames[n : n + 5] for n in range(0, 100, 5)]
    assert _vitals(_said(batches))[-1] == _vitals(_said(straight))[-1]


def test_a_stream_that_stops_is_said_to_have_no_signal_once() -> None:
    heard: list[Vitals | EcgBeats] = []
    live = EcgLive(lambda _, message, __: heard.append(message))
    live.open(PERSON, HEADER)
    live.push(_frames(5), 0.0)
    live.tick(0.0)
    heard.clear()
    for now_s in (1.0, 2.0, 4.0, 5.0):
        live.tick(now_s)
    assert len(heard) == 1
    assert isinstance(heard[0], Vitals)
    assert heard[0].quality == "no_signal"


def test_a_stream_is_forgotten_only_when_its_recorder_is_gone() -> None:
    heard: list[Vitals | EcgBeats] = []
    live = EcgLive(lambda _, message, __: heard.append(message))
    live.open(PERSON, HEADER)
    frames = _frames(10)
    live.push(frames[:5], 0.0)
    live.tick(0.0)
    live.tick(2 * FORGOTTEN_S)
    heard.clear()
    live.push(frames[5:], 2 * FORGOTTEN_S)
    live.tick(2 * FORGOTTEN_S)
    assert heard
    live.close(HEADER.stream)
    live.tick(4 * FORGOTTEN_S)
    heard.clear()
    live.push(frames, 4 * FORGOTTEN_S)
    live.tick(4 * FORGOTTEN_S)
    assert heard == []


def test_beats_are_told_by_the_recorders_clock_whatever_the_order_of_frames() -> None:
    """A beat of the annotated sample is 300 ms or so behind its peak, and never twice."""
    frames = _frames(100)
    batches = [frames[n : n + 5] for n in range(0, 100, 5)]
    swapped = [batch[::-1] for batch in batches]
    told = [
        [
            at
            for message in _said(order)
            if message["type"] == "ecg_beats"
            for at in message["beats"]
        ]
        for order in (batches, swapped)
    ]
    assert told[0] == told[1]
    marked = read_beats(SAMPLE).samples / RECORD.rate_hz * 1e6 + frames[0].started_at_us
    near = [float(np.abs(marked - at).min()) for at in told[0]]
    assert len(near) > 20
    assert max(near) < 50_000
    assert told[0] == sorted(set(told[0]))


def test_beats_from_before_a_gap_keep_their_times_when_minutes_come_at_once() -> None:
    """A break's frames are put down between two ticks: more than a few seconds of them."""
    frames = _frames(200)
    later = [
        EcgFrame(one.stream, one.sequence, one.started_at_us + 60_000_000, one.payload)
        for one in frames[100:]
    ]
    said = _said([[*frames[:100], *later], []])
    beats = [at for one in said if one["type"] == "ecg_beats" for at in one["beats"]]
    gap = range(frames[100].started_at_us, later[0].started_at_us)
    before = [at for at in beats if at < gap.start]
    assert len(before) > 15
    assert min(before) >= frames[0].started_at_us
    assert not [at for at in beats if at in gap]
