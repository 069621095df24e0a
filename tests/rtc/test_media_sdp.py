"""Offers carry what a browser needs; answers are believed only when they fit."""

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from rtc import sdp

PLACE = sdp.Place("ufra", "p" * 32, "AA:BB", [("192.0.2.1", 8010), ("192.0.2.2", 8010)])
SECTIONS = [
    sdp.Section("0", "audio", "sendonly", "amina", 1001),
    sdp.Section("1", "video", "sendonly", "amina", 1002),
    sdp.Section("2", "video", "inactive"),
]
TEXT = sdp.offer(7, 1, PLACE, SECTIONS)
ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=recvonly\r\na=setup:active\r\n"
    "a=fingerprint:sha-256 AA:BB\r\n"
    "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=inactive\r\n"
)


def test_another_implementation_reads_our_offer() -> None:
    """aiortc's parser sees the lite end, both addresses, the codecs and the directions."""
    read = SessionDescription.parse(TEXT)
    assert [media.direction for media in read.media] == ["sendonly", "sendonly", "inactive"]
    assert [codec.mimeType for codec in read.media[1].rtp.codecs] == ["video/VP8", "video/rtx"]
    assert [each.ip for each in read.media[0].ice_candidates] == ["192.0.2.1", "192.0.2.2"]
    assert "a=ice-lite" in TEXT


def test_a_track_is_named_by_its_member() -> None:
    """The browser tells tracks apart by the stream id, which is the member's id."""
    assert "a=msid:amina amina.audio" in TEXT
    assert "a=ssrc:1002 msid:amina amina.video" in TEXT


def test_the_mid_and_rid_extensions_are_never_offered_to_a_viewer() -> None:
    """A viewer with other mids than the publisher would throw every packet away."""
    assert "sdes:mid" not in TEXT
    assert "rtp-stream-id" not in TEXT


def test_a_publisher_is_asked_for_layers() -> None:
    """One rid a layer, small to large, and the extensions by which the packets name theirs."""
    camera = sdp.Section("1", "video", "recvonly", codec="h264", rids=("q", "h", "f"))
    text = sdp.offer(7, 1, PLACE, [camera])
    read = SessionDescription.parse(text)
    assert [(each.id, each.uri.rpartition(":")[2]) for each in read.media[0].rtp.headerExtensions][
        -2:
    ] == [(10, "rtp-stream-id"), (11, "repaired-rtp-stream-id")]
    assert [line for line in text.splitlines() if line.startswith(("a=rid", "a=simulcast"))] == [
        "a=rid:q recv",
        "a=rid:h recv",
        "a=rid:f recv",
        "a=simulcast:recv q;h;f",
    ]
    assert "sdes:mid" not in text


@pytest.mark.parametrize(
    ("line", "rids"),
    [
        ("a=simulcast:send q;h;f", ("q", "h", "f")),
        ("a=simulcast:send ~q;~h;f", ("q", "h", "f")),
        ("a=simulcast:recv a send q,x;h", ("q", "h")),
        ("a=simulcast:recv q;h;f", ()),
        ("a=simulcast:send", ()),
        ("a=simulcast", ()),
        ("a=x", ()),
    ],
)
def test_an_answer_tells_its_layers(line: str, rids: tuple[str, ...]) -> None:
    """What it will send, paused ones too; the first of alternatives; nothing when it is torn."""
    answered = sdp.parse_answer(ANSWER.replace("a=mid:0", f"{line}\r\na=mid:0"))
    assert [each.rids for each in answered.sections] == [rids, ()]


def test_an_answer_tells_who_sends_and_receives() -> None:
    """Direction counts, and a rejected m-line (port 0) does neither."""
    answered = sdp.parse_answer(ANSWER)
    assert answered.fingerprints == [("sha-256", "AA:BB")]
    assert [(each.mid, each.sends, each.receives) for each in answered.sections] == [
        ("0", False, True),
        ("1", False, False),
    ]


def test_a_viewer_is_told_where_retransmissions_come() -> None:
    """The two streams of a picture are named as belonging together (RFC 5576); both are its own."""
    camera = sdp.Section("1", "video", "sendonly", "amina", 1002, repair_ssrc=1003)
    text = sdp.offer(7, 1, PLACE, [camera])
    read = SessionDescription.parse(text).media[0]
    assert read.fmt == [96, 97]
    assert [(each.semantic, each.items) for each in read.ssrc_group] == [("FID", [1002, 1003])]
    assert {each.ssrc: each.msid for each in read.ssrc} == dict.fromkeys(
        (1002, 1003), "amina amina.video"
    )
    [repair] = [each for each in read.rtp.codecs if each.mimeType == "video/rtx"]
    assert repair.parameters == {"apt": 96}


def test_every_medium_is_numbered_for_feedback() -> None:
    """Voice too: the one number counts all packets of a connection."""
    for section in SECTIONS:
        text = sdp.offer(7, 1, PLACE, [section])
        assert f"a=extmap:3 {sdp.WIDE_URI}" in text
        assert "transport-cc" in text


def test_an_answer_tells_how_it_repairs_and_reports() -> None:
    """A stream for retransmissions and numbered packets, each by the line that agrees to it."""
    lines = f"a=rtpmap:97 rtx/90000\r\na=extmap:3 {sdp.WIDE_URI}\r\na=mid:1"
    answered = sdp.parse_answer(ANSWER.replace("a=mid:1", lines))
    assert [(each.rtx, each.wide) for each in answered.sections] == [(False, False), (True, True)]


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "v=0\r\n",
        ANSWER.replace("a=setup:active", "a=setup:passive"),
        ANSWER.replace("a=fingerprint:sha-256 AA:BB\r\n", ""),
        ANSWER.replace("a=mid:0\r\n", ""),
        ANSWER.replace("m=audio 9", "m=audio"),
        ANSWER + "a=x\r\n" * 100_000,
    ],
    ids=["empty", "no media", "passive", "no certificate", "no mid", "torn m-line", "too long"],
)
def test_an_answer_that_does_not_fit_is_refused(bad: str) -> None:
    """Each lacks something without which there is no connection."""
    with pytest.raises(sdp.BadAnswerError):
        sdp.parse_answer(bad)


@given(st.text(max_size=300))
def test_random_text_is_refused(text: str) -> None:
    """Whatever a page sends, only the one error is raised."""
    with pytest.raises(sdp.BadAnswerError):
        sdp.parse_answer(text)
