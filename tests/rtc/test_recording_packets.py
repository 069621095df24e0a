"""RTP, H264 and Opus as a recording reads them: exact on good packets, calm on all others."""

import struct
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from rtc.recording import opus
from rtc.recording.clock import HOLD_S, Sender, TrackClock
from rtc.recording.h264 import AccessUnit, Depacketiser, prefixed
from rtc.recording.packets import MOST_HELD, WAIT_S, Packet, Reorder, parse
from tests.rtc.recording_source import level, rtp, tone

SPS, PPS = b"\x67\x42\xe0\x1f", b"\x68\xce\x3c\x80"
IDR, SLICE = b"\x65" + b"k" * 50, b"\x41" + b"p" * 50
NTP_S = 1 << 32


def packet(sequence: int, payload: bytes, *, stamp: int = 0, marker: bool = False) -> Packet:
    """A packet that has arrived at once."""
    return Packet(sequence & 0xFFFF, stamp, marker, payload, None, 0.0)


def stap(*units: bytes) -> bytes:
    """Several NAL units in one packet."""
    return b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def pictures(packets: Sequence[Packet | None]) -> list[AccessUnit]:
    """What comes out of these packets."""
    depacketiser = Depacketiser()
    return [unit for each in packets for unit in depacketiser.push(each)]


def key(sequence: int = 0, stamp: int = 0) -> list[Packet]:
    """A key picture in two packets."""
    first = packet(sequence, stap(SPS, PPS), stamp=stamp)
    return [first, packet(sequence + 1, IDR, stamp=stamp, marker=True)]


def sequences(released: Sequence[Packet | None]) -> list[int | None]:
    """Which packets were given out; None for a gap."""
    return [None if each is None else each.sequence for each in released]


def test_a_packet_is_read_behind_sources_extension_and_padding() -> None:
    """The payload alone, and the loudness."""
    head = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 2, 111 | 0x80, 7, 8, 9) + bytes(8)
    read = parse(head + level(35) + b"payload" + b"\0\0\3", 1.5)
    assert read == Packet(7, 8, True, b"payload", 35, 1.5)
    two = parse(rtp(111, 1, 2, b"x", marker=False, extension=level(99, two_bytes=True)), 0.0)
    assert two is not None
    assert (two.level, two.payload) == (99, b"x")


def test_an_extension_of_another_id_says_no_level() -> None:
    """Nor does one that is cut off."""
    other = b"\xbe\xde\x00\x01\x20\x05\x00\x00"
    cut = b"\xbe\xde\x00\x01\x00\x00\x00\x10"
    for extension in (other, cut):
        read = parse(rtp(111, 1, 2, b"x", marker=False, extension=extension), 0.0)
        assert read is not None
        assert read.level is None


def test_a_packet_of_padding_alone_carries_nothing() -> None:
    """Browsers probe the link with such packets."""
    assert parse(struct.pack("!BBHII", 0xA0, 102, 1, 2, 3) + bytes(9) + b"\x0a", 0.0) is None


@given(st.binary(max_size=80))
def test_no_bytes_make_reading_raise(data: bytes) -> None:
    """Neither as a packet nor as its payload."""
    read = parse(data, 0.0)
    payload = data if read is None else read.payload
    opus.duration(payload)
    if payload:
        pictures([*key(), packet(2, payload, stamp=1), packet(3, payload, stamp=1, marker=True)])


def test_packets_come_out_in_order_across_the_wrap() -> None:
    """And each once."""
    reorder = Reorder()
    out = [each for n in (65_534, 0, 65_535, 65_535, 1) for each in reorder.put(packet(n, b"x"))]
    assert sequences(out) == [65_534, 65_535, 0, 1]


def test_a_missing_packet_is_waited_for_half_a_second() -> None:
    """Then a gap stands in its place; should it come later, it is too late."""
    reorder = Reorder()
    assert sequences(reorder.put(packet(1, b"x"))) == [1]
    assert reorder.put(packet(3, b"x")) == []
    assert reorder.expire(WAIT_S - 0.01) == []
    assert sequences(reorder.expire(WAIT_S)) == [None, 3]
    assert reorder.put(packet(2, b"x")) == []


def test_no_more_than_so_many_packets_wait() -> None:
    """A sender who leaves one out on purpose fills no memory."""
    reorder = Reorder()
    reorder.put(packet(0, b"x"))
    out = [each for n in range(2, MOST_HELD + 10) for each in reorder.put(packet(n, b"x"))]
    assert sequences(out)[:2] == [None, 2]
    assert len(reorder._held) <= MOST_HELD


def test_a_sequence_set_back_is_followed() -> None:
    """After a hundred packets that would all be too late."""
    reorder = Reorder()
    reorder.put(packet(20_000, b"x"))
    out = [each for n in range(150) for each in reorder.put(packet(5 + n, b"x"))]
    assert out[0] is None
    assert sequences(out)[-1] == 154


def test_single_units_and_fragments_become_one_picture() -> None:
    """With lengths in front, as MP4 wants them; without delimiters and filler."""
    start, end = b"\x7c\x85" + b"k" * 20, b"\x7c\x45" + b"k" * 30
    units = pictures(
        [
            packet(0, stap(b"\x09\xf0", SPS, PPS)),
            packet(1, start),
            packet(2, end),
            packet(3, b"\x0c\xff", marker=True),
        ]
    )
    assert [each.key for each in units] == [True]
    assert units[0].data == prefixed(SPS) + prefixed(PPS) + prefixed(IDR)


def test_a_new_time_ends_a_picture_whose_marker_was_not_set() -> None:
    """Both pictures are there."""
    first = [each._replace(marker=False) for each in key()]
    units = pictures([*first, packet(2, SLICE, stamp=3000, marker=True)])
    assert [(each.timestamp, each.key) for each in units] == [(0, True), (3000, False)]


def test_a_key_picture_without_parameter_sets_gets_the_last_ones() -> None:
    """avc3 has them nowhere else; without any it is no key picture."""
    units = pictures([*key(), packet(2, IDR, stamp=3000, marker=True)])
    assert units[1].data == units[0].data
    assert pictures([packet(2, IDR, marker=True)]) == []


def test_a_picture_with_a_gap_is_left_out_and_all_that_follow_from_it() -> None:
    """Until the next key picture, even if that comes right behind the gap."""
    after = packet(9, SLICE, stamp=9000, marker=True)
    units = pictures([*key(), None, packet(5, SLICE, stamp=3000, marker=True), after])
    assert len(units) == 1
    begun = packet(2, b"\x7c\x81aaaa", stamp=3000)
    units = pictures([*key(), begun, None, *key(6, 6000), after])
    assert [each.timestamp for each in units] == [0, 6000, 9000]


def test_broken_units_break_their_picture_only() -> None:
    """A wrong length, a fragment without beginning, a unit of no type."""
    for bad in (b"\x78\x00\xff\x41", b"\x7c\x05aaaa", b"\x00a", b"\x9f\x41", b"\x78\x00\x01\x1e"):
        broken = packet(2, bad, stamp=3000, marker=True)
        units = pictures([*key(), broken, packet(3, SLICE, stamp=6000, marker=True), *key(4, 9000)])
        assert [each.timestamp for each in units] == [0, 9000], bad


def test_opus_packets_say_how_long_they_are() -> None:
    """RFC 6716 table 2; what a strict decoder refuses is no packet."""
    assert opus.duration(tone()[0]) == 960
    assert opus.duration(opus.SILENCE) == opus.SILENCE_TICKS
    assert opus.duration(bytes([1 << 3 | 0]) + b"a") == 960
    assert opus.duration(bytes([3 << 3 | 1]) + b"ab") == 5760
    assert opus.duration(bytes([31 << 3 | 2, 2]) + b"abc") == 1920
    assert opus.duration(bytes([31 << 3 | 3, 3]) + b"abc") == 2880
    for bad in (
        b"",
        bytes([3 << 3 | 1]) + b"abc",  # halves of three bytes
        bytes([31 << 3 | 2, 9]) + b"abc",
        bytes([31 << 3 | 3, 0]),
        bytes([31 << 3 | 3, 2]) + b"abc",
        bytes([31 << 3 | 3, 0x41, 255]),
        bytes([31 << 3 | 3, 0x3F]) + b"a" * 63,  # 1.26 s
        bytes([28 << 3 | 0]) + b"a",  # 2.5 ms
    ):
        assert opus.duration(bad) is None, bad


def test_a_clock_waits_for_a_report_and_then_follows_it() -> None:
    """Two tracks whose packets arrive apart meet where their reports say."""
    sender = Sender()
    picture, voice = TrackClock(90_000, sender), TrackClock(48_000, sender)
    seen = picture.seen(0, 10.0)
    heard = voice.seen(0, 10.4)
    assert not picture.ready(10.0 + HOLD_S - 0.1)
    picture.report(1000 * NTP_S, 0, 10.1)
    voice.report(1000 * NTP_S, 0, 10.5)
    assert picture.ready(10.1)
    assert abs(picture.place(seen, 10.0) - voice.place(heard, 10.4)) < 0.001


def test_a_clock_without_reports_goes_by_the_quickest_arrival() -> None:
    """After two seconds."""
    clock = TrackClock(48_000, Sender())
    ticks = [clock.seen(960 * n, 10 + 0.02 * n + (0.1 if n == 0 else 0.0)) for n in range(3)]
    assert clock.ready(10.1 + HOLD_S)
    assert abs(clock.place(ticks[0], 10.1) - 10.0) < 0.001


def test_a_lie_about_the_time_is_not_believed() -> None:
    """A report that would put a packet an hour away counts for nothing."""
    clock = TrackClock(48_000, Sender())
    clock.seen(0, 10.0)
    clock.report(1000 * NTP_S, 48_000 * 3600, 10.0)
    assert abs(clock.place(clock.seen(960, 10.02), 10.02) - 10.02) < 0.1


def test_a_slow_report_is_no_clock_that_was_set() -> None:
    """Half a second under way it moves nothing; nor does a clock set back half a second."""
    clock = TrackClock(48_000, Sender())
    clock.seen(0, 10.0)
    clock.report(1000 * NTP_S, 0, 10.0)
    assert clock.place(clock.seen(48_000, 11.0), 11.0) == 11.0
    clock.report(1001 * NTP_S, 48_000, 11.5)
    assert clock.place(clock.seen(96_000, 12.0), 12.0) == 12.0
    clock.report(1002 * NTP_S - NTP_S // 2, 96_000, 12.0)
    assert clock.place(clock.seen(144_000, 13.0), 13.0) == 13.0
