"""The offers we write and what we need of a browser's answer (RFC 8866, RFC 8829).

Payload types and extension ids are the same in every offer, so a packet is forwarded as it came.
The mid extension is never offered: a viewer who negotiated it, with mids in other order than the
publisher's, throws every packet away. The rid extensions are offered to publishers only.

A lesson's presenter is asked for his camera in three sizes (RFC 8853), each a stream of its own
that names its layer in the rid extension; whoever answers without them sends one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from rtc.extensions import ABS_SEND_TIME, REPAIRED_RID, RID, TRANSPORT_WIDE
from rtc.messages import Codec, Kind
from rtc.stun import Address

OPUS = 111
VP8 = 96
VP8_SCREEN = 98
H264_CAMERA = 102
H264_SCREEN = 104  # a publisher's tracks are told apart by payload type
CLOCK_RATE: dict[Kind, int] = {"audio": 48000, "video": 90000, "screen": 90000}
PAYLOAD_TYPE: dict[Codec, dict[Kind, int]] = {
    "vp8": {"audio": OPUS, "video": VP8, "screen": VP8_SCREEN},
    "h264": {"audio": OPUS, "video": H264_CAMERA, "screen": H264_SCREEN},
}
# RFC 4588; the payload type of a picture's retransmissions.
REPAIR_TYPE = {media: media + 1 for media in (VP8, VP8_SCREEN, H264_CAMERA, H264_SCREEN)}
KIND_OF: dict[int, Kind] = {
    number: kind for kinds in PAYLOAD_TYPE.values() for kind, number in kinds.items()
}

# So a voice goes through 40 kbit/s with all its headers: of 20 ms packets these alone take 29.
VOICE_BPS, VOICE_MS = 20_000, 40

MAX_SDP_BYTES = 200_000
FIRST_HOST_PRIORITY = 2130706431  # RFC 8445 section 5.1.2.1: host, component 1

WIDE_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_TIMES = (
    f"a=extmap:{ABS_SEND_TIME} http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    f"a=extmap:{TRANSPORT_WIDE} {WIDE_URI}",
)
_VOICE = (
    f"a=rtpmap:{OPUS} opus/48000/2",
    f"a=fmtp:{OPUS} minptime=10;useinbandfec=1;maxaveragebitrate={VOICE_BPS}",
    f"a=ptime:{VOICE_MS}",
    f"a=rtcp-fb:{OPUS} transport-cc",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    *_TIMES,
)
_RID = (
    f"a=extmap:{RID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    f"a=extmap:{REPAIRED_RID} urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
)
# Constrained baseline: 3.1 carries a camera's 720p, 4.0 a screen's 1080p.
_PROFILE = {H264_CAMERA: "42e01f", H264_SCREEN: "42e028"}


def _codec(payload_type: int) -> list[str]:
    if payload_type == OPUS:
        return [*_VOICE]
    lines = []
    if payload_type in {VP8, VP8_SCREEN}:
        lines += [f"a=rtpmap:{payload_type} VP8/90000"]
    else:
        profile = f"packetization-mode=1;profile-level-id={_PROFILE[payload_type]}"
        lines += [
            f"a=rtpmap:{payload_type} H264/90000",
            f"a=fmtp:{payload_type} level-asymmetry-allowed=1;{profile}",
        ]
    feedback = ("ccm fir", "nack", "nack pli", "goog-remb", "transport-cc")
    lines += [f"a=rtcp-fb:{payload_type} {each}" for each in feedback]
    repair = REPAIR_TYPE[payload_type]
    lines += [f"a=rtpmap:{repair} rtx/90000", f"a=fmtp:{repair} apt={payload_type}"]
    return [*lines, *_TIMES]


OfferedDirection = Literal["recvonly", "sendonly", "inactive"]


@dataclass(frozen=True)
class Section:
    """One m-line of an offer; `ssrc` and `member` are set when it carries a member's track.

    `rids`, small to large: the layers we would receive. `repair_ssrc`: of its retransmissions.
    """

    mid: str
    kind: Kind
    direction: OfferedDirection
    member: str = ""
    ssrc: int = 0
    codec: Codec = "vp8"
    rids: tuple[str, ...] = ()
    repair_ssrc: int = 0


@dataclass(frozen=True)
class Place:
    """Who and where we are: ICE credentials, certificate and addresses of one transport."""

    ufrag: str
    password: str
    fingerprint: str
    addresses: Sequence[Address]


def offer(session: int, version: int, place: Place, sections: Sequence[Section]) -> str:
    """An offer whose m-lines are all bundled on one transport."""
    lines = [
        "v=0",
        f"o=- {session} {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE " + " ".join(each.mid for each in sections),
        "a=ice-lite",
        "a=msid-semantic: WMS *",
    ]
    for section in sections:
        lines += _section(section, place)
    return "\r\n".join(lines) + "\r\n"


def _section(section: Section, place: Place) -> list[str]:
    payload_type = PAYLOAD_TYPE[section.codec][section.kind]
    medium = "audio" if section.kind == "audio" else "video"
    formats = [payload_type]
    if payload_type in REPAIR_TYPE:
        formats.append(REPAIR_TYPE[payload_type])
    lines = [
        f"m={medium} 9 UDP/TLS/RTP/SAVPF " + " ".join(map(str, formats)),
        "c=IN IP4 0.0.0.0",
        f"a=mid:{section.mid}",
        f"a={section.direction}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        f"a=ice-ufrag:{place.ufrag}",
        f"a=ice-pwd:{place.password}",
        f"a=fingerprint:sha-256 {place.fingerprint}",
        "a=setup:actpass",
        *_codec(payload_type),
    ]
    if section.rids:
        lines += _RID
        lines += [f"a=rid:{each} recv" for each in section.rids]
        lines.append("a=simulcast:recv " + ";".join(section.rids))
    if section.direction == "sendonly":
        stream = f"{section.member} {section.member}.{section.kind}"
        lines.append(f"a=msid:{stream}")
        ssrcs = [section.ssrc]
        if section.repair_ssrc:
            ssrcs.append(section.repair_ssrc)
            lines.append(f"a=ssrc-group:FID {section.ssrc} {section.repair_ssrc}")
        for ssrc in ssrcs:
            lines += [f"a=ssrc:{ssrc} cname:{section.member}", f"a=ssrc:{ssrc} msid:{stream}"]
    for i, (host, port) in enumerate(place.addresses):
        priority = FIRST_HOST_PRIORITY - 256 * i
        lines.append(f"a=candidate:{i + 1} 1 udp {priority} {host} {port} typ host")
    return [*lines, "a=end-of-candidates"]


class BadAnswerError(ValueError):
    """An answer that cannot belong to our offer."""


@dataclass(frozen=True)
class AnsweredSection:
    """One m-line of the answer: whether the browser sends on it, in what layers, and receives.

    `rtx`: retransmissions have a stream of their own; `wide`: packets are numbered for feedback.
    """

    mid: str
    kind: str
    sends: bool
    receives: bool
    rids: tuple[str, ...] = ()
    rtx: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Answered:
    """What an answer says about the browser."""

    fingerprints: list[tuple[str, str]]
    sections: list[AnsweredSection]


def parse_answer(sdp: str) -> Answered:
    """Reads an answer; raises `BadAnswerError` without fingerprint or with the wrong DTLS role."""
    if len(sdp) > MAX_SDP_BYTES:
        raise BadAnswerError("too long")
    fingerprints: list[tuple[str, str]] = []
    sections: list[AnsweredSection] = []
    common: dict[str, str] = {}
    for i, part in enumerate(_parts(sdp)):
        values = dict(common)
        for line in part:
            name, _, value = line[2:].partition(":") if line.startswith("a=") else ("", "", "")
            if name == "fingerprint":
                algorithm, _, digest = value.partition(" ")
                if (algorithm.lower(), digest) not in fingerprints:
                    fingerprints.append((algorithm.lower(), digest))
            elif key := _key(name, value):
                values[key] = value or name
        if i == 0:
            common = values
        else:
            sections.append(_answered(part[0], values))
    if not fingerprints or len(fingerprints) > 4 or not sections:  # noqa: PLR2004 - one an algorithm
        raise BadAnswerError("no fingerprint or no media")
    return Answered(fingerprints, sections)


def _key(name: str, value: str) -> str:
    """Under which name an attribute counts; empty when it does not."""
    if name in {"sendrecv", "sendonly", "recvonly", "inactive"}:
        return "direction"
    if name in {"mid", "setup", "simulcast"}:
        return name
    if name == "rtpmap" and value.endswith(" rtx/90000"):
        return "rtx"
    return "wide" if name == "extmap" and value.endswith(WIDE_URI) else ""


def _parts(sdp: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for line in sdp.splitlines():
        if line.startswith("m="):
            parts.append([])
        parts[-1].append(line)
    return parts


def _answered(head: str, values: dict[str, str]) -> AnsweredSection:
    words = head[2:].split()
    if len(words) < 4 or "mid" not in values:  # noqa: PLR2004 - m=kind port profile format
        raise BadAnswerError("an m-line without mid")
    alive = words[1] != "0"
    if alive and values.get("setup") != "active":
        raise BadAnswerError("the browser must be the DTLS client")
    direction = values.get("direction", "sendrecv")
    return AnsweredSection(
        mid=values["mid"],
        kind=cast("Kind", words[0]),
        sends=alive and direction in {"sendrecv", "sendonly"},
        receives=alive and direction in {"sendrecv", "recvonly"},
        rids=_sent_rids(values.get("simulcast", "")),
        rtx="rtx" in values,
        wide="wide" in values,
    )


def _sent_rids(simulcast: str) -> tuple[str, ...]:
    """The layers an answer will send: "send q;h;~f", where ~ is one that pauses at first."""
    words = simulcast.split()
    if "send" not in words[:-1]:
        return ()
    layers = words[words.index("send") + 1].split(";")
    return tuple(each.partition(",")[0].removeprefix("~") for each in layers)
