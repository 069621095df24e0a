"""Repair and rate over real UDP: numbers, arrivals and retransmissions in both directions."""

import asyncio
import re
import struct
import time

from aiortc.rtp import RTCP_PSFB_APP, RtcpPacket, RtcpPsfbPacket, RtcpRtpfbPacket, unpack_remb_fci

from rtc import rtx, twcc
from rtc.extensions import TRANSPORT_WIDE, element
from rtc.transport import CONSENT_S
from rtc.worker import Worker
from tests.rtc.media_house import ROOM, MediaHouse, both
from tests.rtc.raw_client import RawPage, RawTransport, Source, rtp

VP8_REPAIR = 97


def numbered(packet: bytes, number: int) -> bytes:
    """The packet with a transport-wide number."""
    extension = struct.pack("!HHBHB", 0xBEDE, 1, TRANSPORT_WIDE << 4 | 1, number & 0xFFFF, 0)
    return bytes([packet[0] | 0x10]) + packet[1:12] + extension + packet[12:]


def number_of(packet: bytes) -> int:
    """The transport-wide number of a packet."""
    at = element(memoryview(packet), TRANSPORT_WIDE)
    assert at
    return int.from_bytes(packet[at : at + 2], "big")


def join(house: MediaHouse, member: str, without: str = "(?!)") -> RawPage:
    """A page that agrees to numbers and to repair streams joins; `without` some lines of it."""

    def say_answer(transport: str, sdp: str) -> None:
        house.answer(member, transport, re.sub(without, "", sdp))

    page = RawPage(member, say_answer)
    page.numbers = True
    house.join_as(page, room=ROOM)
    return page


async def couple(
    house: MediaHouse, without: str = "(?!)"
) -> tuple[RawTransport, RawTransport, int]:
    """Two such members; the publisher's transport, the viewer's, and the video's SSRC there."""
    house.state(both("amina"), both("timur"))
    publish = await join(house, "amina").publishing()
    subscribe, ssrc = await join(house, "timur", without).watching("amina", "video")
    await house.until(lambda: house.presence("timur") == (True, True, True))
    return publish, subscribe, ssrc


def arrivals(transport: RawTransport) -> list[twcc.Feedback]:
    """The feedback about arrivals that came."""
    return [twcc.parse(each) for each in transport.rtcp if each[0] & 0x1F == 15 and each[1] == 205]


async def test_a_publisher_hears_when_his_packets_came(house: MediaHouse) -> None:
    """Each of them once, with those that did not come, within a fraction of a second."""
    publish, subscribe, ssrc = await couple(house)
    source = Source("video")
    for number in (65533, 65534, 0, 1):
        publish.send_rtp(numbered(source.next(key=number == 65533), number))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 4)

    def told() -> dict[int, bool]:
        return {
            (each.base + n) & 0xFFFF: tick is not None
            for each in arrivals(publish)
            for n, tick in enumerate(each.ticks)
        }

    await publish.until(lambda: len(told()) == 5)
    assert told() == {65533: True, 65534: True, 65535: False, 0: True, 1: True}
    named = {each[8:12] for each in publish.rtcp if each[1] == twcc.RTPFB}
    assert named == {source.ssrc.to_bytes(4, "big")}  # browsers pass over what names no stream


async def test_a_viewers_packets_are_numbered_and_repaired_in_a_stream_of_their_own(
    house: MediaHouse,
) -> None:
    """What is lost comes again as RFC 4588 says, under the next number of the transport."""
    publish, subscribe, ssrc = await couple(house)
    video, audio = Source("video", sequence=100), Source("audio")
    got = subscribe.received[ssrc]
    publish.send_rtp(numbered(video.next(key=True), 40000))
    await subscribe.until(lambda: got.count == 1)
    subscribe.lose = 1
    lost = video.next(size=333)
    publish.send_rtp(numbered(lost, 40001))
    publish.send_rtp(numbered(video.next(), 40002))
    publish.send_rtp(numbered(audio.next(), 40003))
    voice = subscribe.received[subscribe.ssrc_of["amina", "audio"]]
    await subscribe.until(lambda: got.count == 2 and voice.count == 1)
    assert [number_of(each) for each in [*got.packets, *voice.packets]] == [0, 2, 3]
    about_nothing = bytes.fromhex("8fcd0004") + bytes(16)  # which disturbs nothing beside it
    nack = bytes(RtcpRtpfbPacket(fmt=1, ssrc=9, media_ssrc=ssrc, lost=[102]))
    subscribe.send_rtcp(about_nothing + nack)
    await subscribe.until(lambda: len(subscribe.received) == 3)
    (repair,) = [each for key, each in subscribe.received.items() if each not in (got, voice)]
    again = bytearray(repair.packets[0])
    assert again[1] & 0x7F == VP8_REPAIR
    assert number_of(bytes(again)) == 4
    size = rtx.unwrap(memoryview(again), len(again))
    assert (again[2:4], again[20:size]) == ((102).to_bytes(2, "big"), lost[12:])
    assert got.count == 2


async def test_without_a_repair_stream_the_same_packet_comes_again(house: MediaHouse) -> None:
    """Bit for bit: a new number in it would seal two packets under one nonce."""
    publish, subscribe, ssrc = await couple(house, without=r"a=rtpmap:\d+ rtx\S+\r\n")
    video, got = Source("video", sequence=100), subscribe.received[ssrc]
    publish.send_rtp(numbered(video.next(key=True), 40000))
    await subscribe.until(lambda: got.count == 1)
    subscribe.lose = 1
    publish.send_rtp(numbered(video.next(), 40001))
    publish.send_rtp(numbered(video.next(), 40002))
    await subscribe.until(lambda: got.count == 2)
    subscribe.send_rtcp(bytes(RtcpRtpfbPacket(fmt=1, ssrc=9, media_ssrc=ssrc, lost=[102])))
    await subscribe.until(lambda: got.count == 3)
    assert [number_of(each) for each in got.packets] == [40000, 40002, 40001]


async def test_one_rooms_trouble_is_no_other_rooms(house: MediaHouse, worker: Worker) -> None:
    """A tick that fails in one room is made in the others."""
    house.state(both("broken"), room="first")
    await couple(house)
    seat = worker.rooms.rooms["first"].seats["broken"]
    seat.publish = object()  # type: ignore[assignment]
    worker.rooms.tick(time.monotonic() + 2 * CONSENT_S)
    seat.publish = None
    await house.until(lambda: len(house.failures()) == 4)


async def test_what_a_publisher_repairs_fills_the_gap(house: MediaHouse) -> None:
    """A packet lost on the way up, sent again in the repair stream, reaches the viewer as media."""
    publish, subscribe, ssrc = await couple(house)
    source = Source("video", sequence=200)
    packets = [source.next(key=n == 0) for n in range(3)]
    publish.send_rtp(packets[0])
    publish.send_rtp(packets[2])
    padding = bytearray(rtp(VP8_REPAIR, 6, 1, 77, bytes(20) + b"\x15"))
    padding[0] |= 0x20
    publish.send_rtp(bytes(padding))  # a probe of the publisher's, which holds nothing
    publish.send_rtp(bytes(rtx.wrap(packets[1], 77, 7)))
    got = subscribe.received[ssrc]
    await subscribe.until(lambda: got.count == 3)
    assert got.sequences == [201, 203, 202]
    assert got.packets[2][12:] == packets[1][12:]


async def test_a_viewer_on_a_thin_link_slows_the_publisher_down(house: MediaHouse) -> None:
    """By the arrivals he tells: as over 200 kbit/s, whatever loopback carries."""
    publish, subscribe, ssrc = await couple(house)
    source = Source("video")
    got = subscribe.received[ssrc]
    free_at, told_to, count = 0.0, 0, 0

    def caps() -> list[int]:
        reports = [data for data in publish.rtcp if data[1] != twcc.RTPFB]
        packets = [each for data in reports for each in RtcpPacket.parse(data)]
        apps = [
            each
            for each in packets
            if isinstance(each, RtcpPsfbPacket) and each.fmt == RTCP_PSFB_APP
        ]
        return [unpack_remb_fci(each.fci)[0] for each in apps]

    async with asyncio.timeout(8):
        while not (caps() and caps()[-1] <= 250_000):
            sent = got.count
            for number in range(4):
                publish.send_rtp(numbered(source.next(key=not sent, size=1000), number))
            await subscribe.until(lambda: got.count >= sent + 4)  # noqa: B023
            now = asyncio.get_running_loop().time()
            ticks: list[int | None] = []
            for packet in got.packets[told_to:]:
                free_at = max(free_at, now) + len(packet) * 8 / 200e3
                ticks.append(int(free_at / twcc.TICK_S))
            told_to = got.count
            base = number_of(got.packets[-1]) - len(ticks) + 1
            subscribe.send_rtcp(twcc.pack(9, ssrc, twcc.Feedback(base & 0xFFFF, count, ticks)))
            count += 1
            await asyncio.sleep(0.03)  # the pace of a picture
