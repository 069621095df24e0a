"""Strips of what recorders with odd clocks sent."""

from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import pytest

from devices.frames import encode, frame_of
from telemed.ecg_chunks import FoundFrames
from telemed.ecg_sheets import made
from telemed.ecg_strips import Begun, NewStrip, StripEmpty, Words
from telemed.ecg_trace import BadSpan, FoundTrace, Lead, Span
from telemed.visits import Window

RATE_HZ = 250
LEAD = Lead(name="II", rate_hz=RATE_HZ, gain_per_mv=1000, baseline=0)
NEW = NewStrip(id=uuid4(), from_us=0, until_us=30_000_000, speed_mm_s=25, gain_mm_mv=10)
WORDS = Words(["A"], "", "", "Europe/Moscow")


def _begun() -> Begun:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    no_frames = FoundFrames(-1, 0, Window(at, at), {}, [])
    trace = FoundTrace(LEAD, Span(NEW.from_us, NEW.until_us), uuid4(), uuid4(), no_frames)
    return Begun(trace, WORDS, None)


def test_more_signal_than_there_was_time_for_is_no_strip() -> None:
    """Numbers follow each other and the clock stands still: a strip of six minutes in one second."""
    stream, samples = uuid4(), np.zeros(RATE_HZ // 2, np.int16)
    frames = [encode(frame_of(stream, at, 0, samples)) for at in range(700)]
    with pytest.raises(BadSpan):
        made(_begun(), frames, NEW)


def test_of_nothing_no_strip_is_made() -> None:
    with pytest.raises(StripEmpty):
        made(_begun(), [], NEW)
