"""The parts of the hot path by themselves: gaps, loss, the ring, key frames, bit rates."""

import struct
from types import SimpleNamespace

import pytest
from aiortc.rtp import RtcpPacket, RtcpRtpfbPacket
from hypothesis import given
from hypothesis import strategies as st

from rtc.key_frames import is_vp8_key_frame
from rtc.layer import nack
from rtc.leg import Leg
from rtc.reception import ANSWER_S, LONGEST_GAP, NACK_EVERY_S, NACK_TRIES, Reception
from rtc.ring import KEEP_S, SLOTS, Ring
from rtc.sdp import VP8
from rtc.track import Track
from tests.rtc.raw_client import rtp, vp8

RATE = 90_000


@given(st.integers(0, 0xFFFF), st.permutations(range(40)))
def test_indices_do_not_wrap_and_reordering_is_no_loss(first: int, order: list[int]) -> None:
    """However forty packets arrive, their indices count on and nothing is missing at the end."""
    reception = Reception(1, first, RATE)
    indices = {
        n: reception.take((first + n) & 0xFFFF, 3000 * n, 0.03 * i) for i, n in enumerate(order)
    }
    assert all(index - indices[0] == n for n, index in indices.items())
    assert not [index for index in reception.missing if index >= first]


def test_a_gap_is_asked_for_at_once_and_then_a_few_times() -> None:
    """NACK_TRIES times, NACK_EVERY_S apart; on a long way the answer to the last comes later."""
    reception = Reception(1, 65534, RATE)
    reception.take(65534, 0, 0.0)
    reception.take(1, 9000, 0.1)
    assert reception.due(0.1) == [65535, 0]
    assert reception.due(0.1 + NACK_EVERY_S / 2) == []
    later = [0.1 + 1.01 * NACK_EVERY_S * n for n in range(1, 2 * NACK_TRIES)]
    assert 1 + sum(bool(reception.due(now)) for now in later) == NACK_TRIES
    assert reception.lacks(0)
    assert reception.due(later[-1] + ANSWER_S) == []
    assert not reception.missing


@given(st.integers(0, 0xFFFF), st.sets(st.integers(0, 400), min_size=1, max_size=60))
def test_a_request_names_what_is_lost_also_over_the_wrap(first: int, lost: set[int]) -> None:
    """Another implementation reads the numbers that were put in."""
    numbers = [(first + each) & 0xFFFF for each in sorted(lost)]
    [read] = RtcpPacket.parse(nack(7, numbers))
    assert isinstance(read, RtcpRtpfbPacket)
    assert (read.fmt, read.media_ssrc) == (1, 7)
    assert [each & 0xFFFF for each in read.lost] == numbers


def test_what_has_come_is_not_lacking() -> None:
    """Of what is sent again only a packet that is missing, or ahead of all, is news; over the wrap."""
    reception = Reception(1, 65534, RATE)
    for sequence in (65534, 1):
        reception.take(sequence, 0, 0.0)
    news = [each & 0xFFFF for each in range(65530, 65540) if reception.lacks(each & 0xFFFF)]
    assert news == [65535, 0, 2, 3]


def test_a_long_jump_is_a_new_beginning() -> None:
    """A source that comes back after a pause is not asked for thousands of packets."""
    reception = Reception(1, 0, RATE)
    reception.take(0, 0, 0.0)
    reception.take(LONGEST_GAP + 2, 0, 0.1)
    assert reception.missing == {}


def test_the_report_counts_what_was_lost_since_the_last_one() -> None:
    """One of four is 64/256; the next interval without loss reports none but keeps the sum."""
    reception = Reception(7, 0, RATE)
    for n in (0, 1, 3):
        reception.take(n, 3000 * n, n / 30)
    first = reception.report(1.0)
    assert (first.ssrc, first.fraction_lost, first.packets_lost) == (7, 64, 1)
    for n in range(4, 8):
        reception.take(n, 3000 * n, n / 30)
    second = reception.report(2.0)
    assert (second.fraction_lost, second.packets_lost, second.highest_sequence) == (0, 1, 7)


def test_a_steady_stream_has_no_jitter_and_a_late_packet_does() -> None:
    """RFC 3550 A.8, in timestamp units: 10 ms late are 900 units, a sixteenth of them counts."""
    reception = Reception(1, 0, RATE)
    for n in range(10):
        reception.take(n, 3000 * n, n / 30)
    assert reception.report(1.0).jitter == 0
    reception.take(10, 30_000, 10 / 30 + 0.01)
    assert reception.report(1.0).jitter == pytest.approx(56, abs=1)


def test_the_ring_forgets_by_age_and_by_number() -> None:
    """A packet is there until it is too old or its slot has been used again."""
    ring = Ring()
    ring.put(5, 10.0, b"five")
    assert ring.get(5, 10.0 + KEEP_S) == b"five"
    assert ring.get(5, 10.1 + KEEP_S) is None
    assert ring.get(5 + SLOTS, 10.0) is None
    ring.put(5 + SLOTS, 10.0, b"newer")
    assert ring.get(5, 10.0) is None


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (vp8(key=True), True),
        (vp8(key=False), False),
        (b"\x00\x10", False),  # not the start of a frame
        (b"\x11\x10", False),  # a later partition
        (b"\x90\x80\x05\x10", True),  # picture id of 7 bits
        (b"\x90\x80\x85\x05\x10", True),  # of 15 bits
        (b"\x90\xe0\x85\x05\x01\x20\x10", True),  # with TL0PICIDX and TID
        (b"\x90\xe0\x85\x05\x01\x20\x11", False),
        (b"\x90\x80", False),
        (b"\x10", False),
        (b"", False),
    ],
)
def test_vp8_key_frames_are_told_apart(payload: bytes, key: bool) -> None:
    """By the descriptor of RFC 7741 and the frame header's P bit; a cut packet is no key frame."""
    assert is_vp8_key_frame(memoryview(rtp(VP8, 1, 1, 1, payload))) is key


def test_a_key_frame_is_found_behind_a_header_extension() -> None:
    """CSRCs and the one-byte extension are skipped."""
    plain = rtp(VP8, 1, 1, 1, b"")
    extension = struct.pack("!HH", 0xBEDE, 1) + b"\x22\x01\x02\x03"
    packet = bytes([plain[0] | 0x11]) + plain[1:] + bytes(4) + extension + vp8(key=True)
    assert is_vp8_key_frame(memoryview(packet))


@given(st.binary(min_size=12, max_size=60))
def test_no_packet_breaks_the_key_frame_check(packet: bytes) -> None:
    """Whatever an authenticated member sends, the answer is yes or no."""
    assert is_vp8_key_frame(memoryview(packet)) in {True, False}


def test_a_new_source_goes_on_in_sequence_and_in_time() -> None:
    """After a reload numbers go on by one, and timestamps by the time that passed."""
    track = Track("amina", "video")
    layer = track.top
    index = layer.received(1, 500, 90_000, 10.0)
    assert index == 500
    layer.sent(500, 90_000, 10.0)
    track.published_by(None)
    index = layer.received(2, 65_000, 7, 12.0)
    assert index is not None
    assert (index + layer.sequence_offset) & 0xFFFF == 501
    assert (7 + layer.timestamp_offset) & 0xFFFFFFFF == 90_000 + 2 * RATE
    assert layer.key_wanted


def test_a_source_that_keeps_changing_its_ssrc_is_cut_off() -> None:
    """A member cannot make the worker keep a stream per random SSRC."""
    track = Track("amina", "video")
    taken = [track.top.received(ssrc, 1, 1, 1.0) for ssrc in range(1, 100)]
    assert taken.count(None) > 60


def test_gaps_that_nobody_asks_for_are_forgotten() -> None:
    """However many packets of a voice are lost, only the newest gaps are remembered."""
    reception = Reception(1, 0, 48_000)
    for turn in range(2000):
        reception.take(turn * 200 & 0xFFFF, turn * 960, float(turn))
    assert len(reception.missing) <= LONGEST_GAP


def test_nothing_from_before_he_watched_is_sent_to_a_viewer_again() -> None:
    """Whoever was let in just now may not ask for the seconds before."""
    track = Track("amina", "video")
    ring = track.top.ring
    assert ring is not None
    ring.put(7, 1.0, b"before")
    leg = Leg(SimpleNamespace(watched={}), track, 1.5)  # type: ignore[arg-type]
    ring.put(8, 1.5, b"since")
    assert (leg.kept(7, 1.6), leg.kept(8, 1.6)) == (None, b"since")


def test_a_pause_says_nothing_of_the_rate_after_it() -> None:
    """The first second of a picture that was off counts as the one before it did."""
    layer = Track("amina", "video").top
    for n in range(22):
        layer.weigh(10_000, 100 + n / 10)
    before = layer.bps
    assert before == pytest.approx(800_000, rel=0.15)
    layer.weigh(10_000, 160.0)
    assert layer.bps == before
