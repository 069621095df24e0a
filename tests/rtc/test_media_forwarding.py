"""Media of one member reaches the others: over real UDP on loopback and the real unix link."""

import struct

import pytest
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    unpack_remb_fci,
)

from rtc.worker import Worker
from tests.rtc.media_house import MediaHouse, both, watcher
from tests.rtc.raw_client import RawPage, RawTransport, Source

SHARE = 0.99


def parsed(transport: RawTransport, kind: type) -> list:
    """RTCP packets of one kind that have arrived."""
    packets = [each for data in transport.rtcp for each in RtcpPacket.parse(data)]
    return [each for each in packets if isinstance(each, kind)]


async def couple(house: MediaHouse) -> tuple[RawTransport, RawTransport, int]:
    """Two members; the publisher's transport, the viewer's, and the video's SSRC at the viewer."""
    house.state(both("amina"), both("timur"))
    amina = house.join("amina")
    publish = await amina.publishing()
    timur = house.join("timur")
    subscribe, ssrc = await timur.watching("amina", "video")
    await house.until(lambda: house.presence("timur") == (True, True, True))
    return publish, subscribe, ssrc


async def test_published_packets_arrive_with_their_payload(house: MediaHouse) -> None:
    """99 of 100 published packets arrive, in order, with the payload they were sent with."""
    publish, subscribe, ssrc = await couple(house)
    audio_ssrc = subscribe.ssrc_of["amina", "audio"]
    video, audio = Source("video", sequence=1000), Source("audio")
    sent = []
    for n in range(300):
        sent.append(video.next(key=n % 100 == 0))
        publish.send_rtp(sent[-1])
        publish.send_rtp(audio.next())
        # The receiver paces the sender, so that no socket buffer overflows on a slow machine.
        await subscribe.until(lambda: subscribe.received[audio_ssrc].count > n - 20)  # noqa: B023
    await subscribe.until(lambda: subscribe.received[ssrc].count >= SHARE * 300)
    got = subscribe.received[ssrc]
    assert got.sequences == sorted(got.sequences)
    by_sequence = {struct.unpack_from("!H", each, 2)[0]: each[12:] for each in sent}
    assert all(
        each[12:] == by_sequence[struct.unpack_from("!H", each, 2)[0]] for each in got.packets
    )


async def test_a_member_does_not_get_his_own_track(house: MediaHouse) -> None:
    """The subscribe offer lists only the others' tracks."""
    _, subscribe, _ = await couple(house)
    assert {track.member for track in subscribe.tracks} == {"amina"}


async def test_three_viewers_each_get_their_share(house: MediaHouse) -> None:
    """Every viewer of a room gets the publisher's packets."""
    names = ["b", "c", "d"]
    house.state(both("a"), *[watcher(each) for each in names])
    publish = await house.join("a").publishing()
    views = [await house.join(each).watching("a", "video") for each in names]
    await house.until(lambda: all(house.presence(each) == (True, False, False) for each in names))
    source = Source("video")
    for n in range(100):
        publish.send_rtp(source.next(key=n == 0))
    for transport, ssrc in views:
        await transport.until(lambda t=transport, s=ssrc: t.received[s].count >= SHARE * 100)


async def test_a_new_viewer_asks_the_publisher_for_a_key_frame(house: MediaHouse) -> None:
    """A PLI reaches the publisher when someone starts to watch, again until the key frame is here."""
    house.state(both("amina"), both("timur"))
    publish = await house.join("amina").publishing()
    source = Source("video")
    publish.send_rtp(source.next())
    timur = house.join("timur")
    subscribe, ssrc = await timur.watching("amina", "video")

    def plis() -> int:
        return sum(each.fmt == 1 for each in parsed(publish, RtcpPsfbPacket))

    def keep_sending(_: bytes) -> None:
        publish.send_rtp(source.next())

    publish.on_rtcp = keep_sending  # the worker asks only those who send
    await publish.until(lambda: plis() >= 1)
    publish.send_rtp(source.next())
    await publish.until(lambda: plis() >= 2)
    publish.on_rtcp = lambda _: None
    publish.send_rtp(source.next(key=True))
    await subscribe.until(
        lambda: any(each[13] == 0x10 for each in subscribe.received[ssrc].packets)
    )


async def test_key_frame_requests_of_many_viewers_are_merged(house: MediaHouse) -> None:
    """Twenty PLIs of a viewer within half a second become one at the publisher."""
    publish, subscribe, ssrc = await couple(house)
    source = Source("video")
    publish.send_rtp(source.next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 1)
    before = len(parsed(publish, RtcpPsfbPacket))
    for _ in range(20):
        subscribe.send_rtcp(bytes(RtcpPsfbPacket(fmt=1, ssrc=9, media_ssrc=ssrc)))
    publish.send_rtp(source.next())
    await publish.until(lambda: len(parsed(publish, RtcpPsfbPacket)) > before)
    publish.send_rtp(source.next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 3)
    plis = [each for each in parsed(publish, RtcpPsfbPacket)[before:] if each.fmt == 1]
    assert len(plis) <= 2


async def test_a_lost_packet_is_sent_again_from_the_ring(house: MediaHouse) -> None:
    """A packet lost on the way down arrives after the viewer's NACK, once, and unchanged."""
    publish, subscribe, ssrc = await couple(house)
    source = Source("video", sequence=100)
    got = subscribe.received[ssrc]
    publish.send_rtp(source.next(key=True))
    await subscribe.until(lambda: got.count == 1)
    subscribe.lose = 1
    lost = source.next(size=333)
    publish.send_rtp(lost)
    publish.send_rtp(source.next())
    await subscribe.until(lambda: got.count == 2)
    nack = bytes(RtcpRtpfbPacket(fmt=1, ssrc=9, media_ssrc=ssrc, lost=[102]))
    subscribe.send_rtcp(nack)
    subscribe.send_rtcp(nack)
    await subscribe.until(lambda: got.count == 3)
    assert got.sequences == [101, 103, 102]
    assert got.packets[2][12:] == lost[12:]
    assert (await house.stats()).resent == 1


async def test_the_worker_asks_the_publisher_for_a_gap(house: MediaHouse) -> None:
    """A packet lost on the way up is asked for at once, and arrives at the viewer when sent again."""
    publish, subscribe, ssrc = await couple(house)
    source = Source("video", sequence=65530)
    packets = [source.next(key=n == 0) for n in range(10)]
    for packet in packets[:5] + packets[7:]:
        publish.send_rtp(packet)

    def asked() -> set[int]:
        return {lost & 0xFFFF for each in parsed(publish, RtcpRtpfbPacket) for lost in each.lost}

    missing = {struct.unpack_from("!H", each, 2)[0] for each in packets[5:7]}
    await publish.until(lambda: asked() == missing)
    for packet in packets[5:7]:
        publish.send_rtp(packet)
    await subscribe.until(lambda: subscribe.received[ssrc].count == 10)


async def test_the_publisher_hears_what_the_viewers_link_carries(house: MediaHouse) -> None:
    """The viewer's REMB becomes the publisher's, and a receiver report goes with it."""
    publish, subscribe, _ = await couple(house)
    source = Source("video")
    publish.send_rtp(source.next(key=True))
    fci = b"REMB" + bytes([1]) + ((400_000 >> 2) | 2 << 18).to_bytes(3, "big") + bytes(4)
    subscribe.send_rtcp(bytes(RtcpPsfbPacket(RTCP_PSFB_APP, 9, 0, fci)))

    def told() -> set[int]:
        rembs = [each for each in parsed(publish, RtcpPsfbPacket) if each.fmt == RTCP_PSFB_APP]
        return {unpack_remb_fci(each.fci)[0] for each in rembs}

    await publish.until(lambda: 400_000 in told())


async def test_sender_reports_pass_with_the_viewers_ssrc(house: MediaHouse) -> None:
    """NTP and RTP time of a sender report stay a pair, so that lips and voice stay together."""
    publish, subscribe, ssrc = await couple(house)
    source = Source("video")
    publish.send_rtp(source.next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 1)
    info = RtcpSenderInfo(0xE5000000_80000000, source.timestamp, 1, 800)
    publish.send_rtcp(bytes(RtcpSrPacket(source.ssrc, info)))
    await subscribe.until(lambda: bool(parsed(subscribe, RtcpSrPacket)))
    report = parsed(subscribe, RtcpSrPacket)[0]
    seen = struct.unpack_from("!I", subscribe.received[ssrc].packets[0], 4)[0]
    assert (report.ssrc, report.sender_info.ntp_timestamp) == (ssrc, info.ntp_timestamp)
    assert report.sender_info.rtp_timestamp == seen


async def test_a_reloaded_page_goes_on_under_the_same_ssrc(house: MediaHouse) -> None:
    """After the publisher's second join the viewer's sequence numbers go on without a jump."""
    publish, subscribe, ssrc = await couple(house)
    first = Source("video", sequence=1000)
    for n in range(5):
        publish.send_rtp(first.next(key=n == 0))
    got = subscribe.received[ssrc]
    await subscribe.until(lambda: got.count == 5)
    again = await house.join("amina").publishing()
    await house.until(lambda: house.presence("amina") == (True, True, True))
    timur = house.pages["timur"]
    await timur.until(lambda: len(timur.offers) >= 3 and "a=sendonly" in timur.offers[-1].sdp)
    await house.stats()  # the link keeps order: the worker has taken timur's answer
    second = Source("video", sequence=40000)
    for _ in range(3):
        again.send_rtp(second.next(key=True))
    await subscribe.until(lambda: got.count == 8)
    assert got.sequences == list(range(1001, 1009))


async def test_a_malformed_rtcp_packet_of_a_member_disturbs_nobody(
    house: MediaHouse, worker: Worker
) -> None:
    """Nonsense under valid SRTCP keys is counted and dropped; media goes on."""
    publish, subscribe, ssrc = await couple(house)
    before = worker.port.counters.refused_datagrams
    for junk in (b"\x81\xce\x00\x01\x00\x00\x00\x01", b"\x9f\xca\x00\x02" + bytes(8)):
        subscribe.send_rtcp(junk)
        publish.send_rtcp(junk)
    publish.send_rtp(Source("video").next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 1)
    assert worker.port.counters.refused_datagrams > before


async def test_a_cut_number_in_a_packet_disturbs_nobody(
    house: MediaHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transport-wide number of one byte, the packet's last, is none: all packets arrive."""
    monkeypatch.setattr(RawPage, "numbers", True)
    publish, subscribe, ssrc = await couple(house)
    video = Source("video")
    plain = video.next(key=True)
    cut = bytes([plain[0] | 0x10]) + plain[1:12] + b"\xbe\xde\x00\x01\x00\x00\x30\x07"
    publish.send_rtp(cut)
    publish.send_rtp(video.next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 2)
    assert subscribe.received[ssrc].packets[0][12:] == cut[12:]
