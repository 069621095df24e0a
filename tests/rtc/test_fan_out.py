"""The fan-out in C sends the very datagrams the one in Python sends."""

import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from random import Random
from types import SimpleNamespace

import pytest

from rtc import srtp
from rtc.extensions import TRANSPORT_WIDE, element
from rtc.fan_out import MOST_SEGMENT, FanOut, PythonFanOut
from rtc.fan_out_c import CFanOut, best_fan_out, folder, pack_address
from rtc.forward import Counters, Forwarder
from rtc.layer import Outgoing
from rtc.leg import Leg
from rtc.messages import Codec, Kind
from rtc.sdp import PAYLOAD_TYPE
from rtc.simulcast import Shift
from rtc.track import Track
from rtc.twcc import Sent
from tests.rtc.raw_client import h264, rtp, vp8
from tests.rtc.test_srtp_buffers import LONG_TAG, SHORT_TAG, session

NOW = 5.0
SO_NO_CHECK, UDP_NO_CHECK6_TX, UDP_NO_CHECK6_RX = 11, 101, 102  # linux: asm/socket.h, udp.h
FIRST = 65_520  # the numbers wrap among these packets
FULL, SHORT = 1100, 300
BATCH = [FULL] * srtp.SLOTS
# Runs of one size, a shorter end, a longer one, one that must go alone, and a full batch.
SIZES = (
    [FULL],
    [FULL] * 5,
    [FULL, FULL, SHORT, FULL],
    [SHORT, FULL],
    [MOST_SEGMENT] * 2,
    BATCH,
    [2, 3, 4, 5, 6, 2, 3, 4, 5, 6, 6, 6],  # cut descriptors
)
EXTENSION = struct.pack("!HH", 0xBEDE, 2) + b"\x10\x80\x31\x00\x00\x00\x00\x00"


def picture_ids(*, long: bool) -> bytes:
    """A VP8 descriptor with picture id and TL0PICIDX that are about to wrap."""
    return b"\x90\xc0" + (b"\xff\xfe" if long else b"\x7e") + b"\xff\x10"


def payload(codec: Codec, kind: Kind, size: int, n: int) -> bytes:
    """What packet `n` carries: for VP8 also descriptors of every length, and cut ones."""
    if kind == "audio":
        return bytes([n]) * (size // 10)
    if codec == "h264":
        return h264(key=n == 0, size=max(size, SHORT))
    heads = (b"", picture_ids(long=True), picture_ids(long=False), b"\x90\xc0", b"\x90\xc0\xff")
    return (heads[n % len(heads)] + vp8(key=n == 0, size=size))[:size]


def packets(codec: Codec, kind: Kind, sizes: list[int]) -> list[bytes]:
    """RTP packets of a track, every other one with extensions."""
    made = []
    for n, size in enumerate(sizes):
        plain = rtp(PAYLOAD_TYPE[codec][kind], FIRST + n, 3000 * n, 77, b"")
        if n % 2:
            plain = bytes([plain[0] | 0x10]) + plain[1:] + EXTENSION
        made.append(plain + payload(codec, kind, size, n))
    return made


class Viewers:
    """Four viewers of a track, each with a socket and keys: as ever, switched, late, numbered."""

    def __init__(self, track: Track, sockets: list[socket.socket]) -> None:
        profiles = (LONG_TAG, SHORT_TAG, LONG_TAG, LONG_TAG)
        self.sockets = sockets
        self.keys = [session(each, sends=True) for each in profiles]
        self.opened = [session(each, sends=False) for each in profiles]
        self.legs = [
            Leg(
                SimpleNamespace(
                    tx=keys._srtp[0],
                    ice=SimpleNamespace(address=sock.getsockname()),
                    watched={},
                    sent=Sent() if keys is self.keys[3] else None,
                ),
                track,
                NOW,
            )
            for keys, sock in zip(self.keys, sockets, strict=True)
        ]
        self.legs[1].onto(track.top, FIRST, Shift(40, 1 << 31, 0x105, 3), NOW)
        self.legs[2].onto(track.top, FIRST + 2, Shift(0, 0, 0, 0), NOW)

    def datagrams(self) -> list[list[bytes]]:
        """What has arrived at each."""
        return [drained(each) for each in self.sockets]


def drained(sock: socket.socket) -> list[bytes]:
    """All datagrams that wait."""
    got = []
    while True:
        try:
            got.append(sock.recv(4096))
        except BlockingIOError:
            return got


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6])
def sockets(request: pytest.FixtureRequest) -> Iterator[list[socket.socket]]:
    """The worker's and four viewers', on loopback."""
    with ExitStack() as stack:
        made = [
            stack.enter_context(socket.socket(request.param, socket.SOCK_DGRAM)) for _ in range(5)
        ]
        for each in made:
            each.bind(("127.0.0.1" if request.param == socket.AF_INET else "::1", 0))
            each.setblocking(False)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        yield made


def run(
    make: Callable[[socket.socket], FanOut],
    sockets: list[socket.socket],
    codec: Codec,
    kind: Kind,
    batches: Sequence[list[int]] = SIZES,
) -> tuple[list[list[bytes]], Viewers]:
    """All batches through one fan-out, and what came of them."""
    track = Track("amina", kind, codec)
    viewers, fan_out, random = Viewers(track, sockets[1:]), make(sockets[0]), Random(7)  # noqa: S311
    got: list[list[bytes]] = [[] for _ in viewers.legs]
    for sizes in batches:
        batch = []
        slots = random.sample(range(srtp.SLOTS), len(sizes))
        for n, (slot, packet) in enumerate(zip(slots, packets(codec, kind, sizes), strict=True)):
            srtp.received_views[slot][: len(packet)] = packet
            at = element(memoryview(packet), TRANSPORT_WIDE)
            batch.append((slot, len(packet), FIRST + n, at))
        sent, dropped = fan_out.send(track.top.legs, batch, NOW)
        new = viewers.datagrams()
        assert (sent, dropped) == (sum(map(len, new)), 0)
        for at, some in enumerate(new):
            got[at] += some
    return got, viewers


@pytest.fixture
def in_c() -> Callable[[socket.socket], FanOut]:
    """The compiled one, which `make install` has built where there is a compiler."""
    if not folder().exists():
        reason = "no C compiler was there when `make install` ran"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return CFanOut


@pytest.mark.parametrize(
    ("codec", "kind"),
    [("vp8", "video"), ("vp8", "screen"), ("h264", "video"), ("h264", "screen"), ("vp8", "audio")],
)
def test_both_send_the_same_datagrams(
    in_c: Callable[[socket.socket], FanOut], sockets: list[socket.socket], codec: Codec, kind: Kind
) -> None:
    """Sealed and in their order; the counters and the numbers for feedback agree, too."""
    expected, base = run(PythonFanOut, sockets, codec, kind)
    got, other = run(in_c, sockets, codec, kind)
    assert sum(map(len, expected)) > 100
    assert got == expected
    for mine, yours in zip(base.legs, other.legs, strict=True):
        assert (mine.sent_packets, mine.sent_bytes) == (yours.sent_packets, yours.sent_bytes)
    first, second = base.legs[3].transport.sent, other.legs[3].transport.sent
    assert (first.count, first.times, first.sizes) == (second.count, second.times, second.sizes)


def test_each_viewer_opens_a_stream_with_his_own_numbers(sockets: list[socket.socket]) -> None:
    """Who has switched has another sequence, time and picture id; who is numbered, his numbers."""
    got, viewers = run(PythonFanOut, sockets, "vp8", "video", [BATCH])
    plain, switched, late, numbered = (
        [keys.unprotect(each) for each in datagrams]
        for keys, datagrams in zip(viewers.opened, got, strict=True)
    )
    sent = packets("vp8", "video", BATCH)
    assert plain == sent
    assert late == sent[2:]
    sequence, timestamp = struct.unpack_from("!HI", switched[1], 2)
    assert (sequence, timestamp) == ((FIRST + 41) & 0xFFFF, 3000 + (1 << 31))
    assert switched[1][24:29] == b"\x90\xc0\x81\x03\x02"  # 0x7ffe + 0x105, and 0xff + 3, wrapped
    assert switched[2][12:16] == b"\x90\xc0\x03\x02"
    count = viewers.legs[3].transport.sent.count[0]
    assert [struct.unpack_from("!H", each, 19)[0] for each in numbered[1::2]] == [
        *range(count - 16, count)
    ]


def test_a_way_that_takes_no_segments_gets_them_singly(
    in_c: Callable[[socket.socket], FanOut], sockets: list[socket.socket]
) -> None:
    """As with a card that makes no checksums: nothing is lost, and nobody tries it again."""
    if sockets[0].family == socket.AF_INET6:
        option = (socket.IPPROTO_UDP, UDP_NO_CHECK6_TX)
        for each in sockets[1:]:
            each.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_RX, 1)
    else:
        option = (socket.SOL_SOCKET, SO_NO_CHECK)
    expected, _ = run(PythonFanOut, sockets, "h264", "video")
    sockets[0].setsockopt(*option, 1)  # the system refuses segments then
    got, base = run(PythonFanOut, sockets, "h264", "video")
    assert got == expected
    assert [leg.segments for leg in base.legs] == [False] * 4
    got, other = run(in_c, sockets, "h264", "video")
    assert got == expected
    assert [leg.state.struct.segments for leg in other.legs] == [0] * 4


def test_who_has_the_compiled_one_uses_it(
    in_c: Callable[[socket.socket], FanOut], sockets: list[socket.socket]
) -> None:
    """Nobody has to ask for it."""
    assert isinstance(best_fan_out(sockets[0]), in_c)  # type: ignore[arg-type]


def test_who_has_no_compiler_goes_without(
    monkeypatch: pytest.MonkeyPatch, sockets: list[socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was built for this source: the copies are made in Python, and the log says so once."""
    monkeypatch.setattr("sys.prefix", "/nowhere")
    with caplog.at_level("INFO"):
        assert isinstance(best_fan_out(sockets[0]), PythonFanOut)
    assert len(caplog.records) == 1
    caplog.clear()
    monkeypatch.undo()
    monkeypatch.setenv("YANASHA_RTC_FAN_OUT", "python")
    assert isinstance(best_fan_out(sockets[0]), PythonFanOut)
    assert not caplog.records


def test_an_address_is_packed_as_the_system_does_it() -> None:
    """sockaddr_in and sockaddr_in6 with scope; none for a peer who was never seen."""
    v4 = pack_address(("192.0.2.1", 8010), is_ipv6=False)
    assert v4 == struct.pack("=H", socket.AF_INET) + b"\x1f\x4a\xc0\x00\x02\x01" + bytes(8)
    v6 = pack_address(("fe80::1%eth0", 8010, 0, 3), is_ipv6=True)
    assert v6[2:4] == b"\x1f\x4a"
    assert v6[8:24] == b"\xfe\x80" + bytes(13) + b"\x01"
    assert v6[24:] == struct.pack("=I", 3)
    assert pack_address(None, is_ipv6=False) == b""


class Stumbling(PythonFanOut):
    """Makes no copies of what lies in the first slot."""

    def send(self, legs: Sequence[Leg], packets: list[Outgoing], now: float) -> tuple[int, int]:
        """See FanOut."""
        if packets[0][0] == 0:
            raise ZeroDivisionError
        return super().send(legs, packets, now)


def test_a_track_that_stumbles_takes_no_other_along(sockets: list[socket.socket]) -> None:
    """Whatever goes wrong with one track's copies, the others' are sent, and then its own again."""
    ends = [session(SHORT_TAG, sends=sends) for sends in (True, False)]
    tracks = {each.payload_type: each for each in (Track("a", "audio"), Track("a", "video"))}
    viewers = [Viewers(each, sockets[1:]) for each in tracks.values()]
    for each in tracks.values():
        each.live = True
    source = SimpleNamespace(rx=ends[1]._srtp[0], tracks=tracks, arrivals=None)
    forwarder = Forwarder(Counters(), Stumbling(sockets[0]))

    def take(slot: int, payload_type: int, sequence: int) -> None:
        packet = rtp(payload_type, sequence, 0, payload_type, vp8(key=True, size=SHORT))
        sealed = ends[0].protect(packet)
        srtp.received_views[slot][: len(sealed)] = sealed
        assert forwarder.packet(source, slot, len(sealed), NOW)  # type: ignore[arg-type]

    for slot, payload_type in enumerate(tracks):
        take(slot, payload_type, 1)
    forwarder.flush(NOW)
    assert all(len(each) == 1 for each in viewers[1].datagrams())
    take(1, next(iter(tracks)), 2)
    forwarder.flush(NOW)
    assert all(len(each) == 1 for each in viewers[0].datagrams())
