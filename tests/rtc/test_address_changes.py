"""A peer whose network changes keeps his seat: his packets say where he is, a check proves it."""

import asyncio
import os
import socket
import time
from collections.abc import Callable

from aiortc.rtp import RtcpPsfbPacket, RtcpRrPacket, RtcpSenderInfo, RtcpSrPacket

from rtc import stun
from rtc.addresses import IN_USE_S, LOOKS_A_SECOND, SLOTS, TRIES_A_SECOND, Strangers
from rtc.ice import MOVE_BACK_S, PROOF_S, IceLite
from rtc.messages import Member
from rtc.track import MAX_SOURCES, PSFB_PLI
from rtc.transport import MAX_SSRCS, Transport
from rtc.worker import Worker
from tests.rtc.media_house import ROOM, MediaHouse
from tests.rtc.raw_client import RawTransport, Source
from tests.rtc.test_media_forwarding import couple, parsed

SOON_S = 0.5
PACE_S = 0.02
WATCHERS_SSRC = 1  # of every browser that only watches
HOME, AWAY = ("192.0.2.1", 1000), ("198.51.100.7", 2000)


def at_worker(worker: Worker, transport: RawTransport) -> Transport:
    """The worker's end of a raw transport."""
    return next(each for each in worker.rooms.rooms[ROOM].transports if each.id == transport.id)


def key_requests(publish: RawTransport) -> int:
    """How often the publisher was asked for a key frame."""
    return sum(each.fmt == PSFB_PLI for each in parsed(publish, RtcpPsfbPacket))


async def seconds_until(send: Callable[[], None], true: Callable[[], bool]) -> float:
    """Sends at a voice's pace until something has happened; how long that took."""
    began = time.monotonic()
    async with asyncio.timeout(5):
        while not true():
            send()
            await asyncio.sleep(PACE_S)
    return time.monotonic() - began


async def change_network(transport: RawTransport) -> None:
    """A new socket, and no check from it: a browser does not know that its NAT forgot it."""
    assert transport._keep is not None
    transport._keep.cancel()
    await transport.open()


async def live_call(house: MediaHouse) -> tuple[RawTransport, RawTransport, int, Source]:
    """A couple whose picture arrives and whose key frame has been seen."""
    publish, subscribe, ssrc = await couple(house)
    video = Source("video")
    await seconds_until(
        lambda: publish.send_rtp(video.next(key=True)), lambda: subscribe.received[ssrc].count > 2
    )
    return publish, subscribe, ssrc, video


async def test_a_publisher_who_changes_his_network_is_heard_at_once(
    house: MediaHouse, worker: Worker
) -> None:
    """His sealed packets move him within half a second, reports find him, one key frame is asked."""
    publish, subscribe, ssrc, video = await live_call(house)
    got, asked = subscribe.received[ssrc].count, key_requests(publish)
    await change_network(publish)
    took_s = await seconds_until(
        lambda: publish.send_rtp(video.next()), lambda: subscribe.received[ssrc].count > got + 3
    )
    assert took_s < SOON_S
    assert at_worker(worker, publish).address == publish.local
    await publish.until(lambda: key_requests(publish) > asked)
    assert key_requests(publish) == asked + 1


async def test_a_viewer_who_changes_his_network_sees_at_once(
    house: MediaHouse, worker: Worker
) -> None:
    """His report moves him, though all who only watch report under one SSRC."""
    publish, subscribe, ssrc, video = await live_call(house)
    subscribe.send_rtcp(bytes(RtcpRrPacket(ssrc=WATCHERS_SSRC)))
    await seconds_until(
        lambda: publish.send_rtp(video.next()),
        lambda: WATCHERS_SSRC in at_worker(worker, subscribe).ssrcs,
    )
    got, asked = subscribe.received[ssrc].count, key_requests(publish)
    await change_network(subscribe)

    def both_send() -> None:
        publish.send_rtp(video.next())
        subscribe.send_rtcp(bytes(RtcpRrPacket(ssrc=WATCHERS_SSRC)))

    took_s = await seconds_until(both_send, lambda: subscribe.received[ssrc].count > got + 3)
    assert took_s < SOON_S
    await publish.until(lambda: key_requests(publish) > asked)
    assert key_requests(publish) == asked + 1


async def test_a_signed_check_moves_a_peer_and_asks_for_a_key_frame(house: MediaHouse) -> None:
    """As after an ICE restart: the seat stays, the picture begins anew."""
    publish, subscribe, ssrc, video = await live_call(house)
    got, asked = subscribe.received[ssrc].count, key_requests(publish)
    await subscribe.open()
    await subscribe.check()
    await seconds_until(
        lambda: publish.send_rtp(video.next()), lambda: subscribe.received[ssrc].count > got
    )
    await publish.until(lambda: key_requests(publish) > asked)
    assert house.failures() == []


async def test_a_packet_that_was_caught_and_sent_again_moves_nobody(
    house: MediaHouse, worker: Worker
) -> None:
    """A replay and a guess from another address are refused; the peer stays where he is."""
    publish, subscribe, ssrc, video = await live_call(house)
    sealed = publish._tx.protect(video.next())
    publish.send_raw(sealed)
    got = subscribe.received[ssrc].count
    await subscribe.until(lambda: subscribe.received[ssrc].count > got)
    transport, home = at_worker(worker, publish), publish.local
    refused = worker.port.counters.refused_datagrams
    for each in [publish._tx.protect_rtcp(bytes(RtcpRrPacket(ssrc=WATCHERS_SSRC)))] * 2:
        publish.send_raw(each)
    await house.stats_until(lambda stats: stats.refused_datagrams == refused + 1)
    transport.packet_at -= 1.0  # he has been silent, so it is worth a look
    refused = worker.port.counters.refused_datagrams
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for each in (sealed, sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:12]):
            stranger.sendto(each, publish.remote)
        await house.stats_until(lambda stats: stats.refused_datagrams >= refused + 3)
        stranger.setblocking(False)
        assert transport.address == home
        assert worker.port.sizes == (len(worker.rooms.rooms[ROOM].transports),) * 2


async def test_a_packet_that_fits_nobody_counts_once_however_many_keys_were_tried(
    house: MediaHouse, worker: Worker
) -> None:
    """Or a school whose router has forgotten all its ports would shut itself out in ten packets."""
    publish, subscribe, _, _ = await live_call(house)
    for each in (publish, subscribe):
        each.send_rtcp(bytes(RtcpRrPacket(ssrc=WATCHERS_SSRC)))
    ends = [at_worker(worker, each) for each in (publish, subscribe)]
    await seconds_until(lambda: None, lambda: all(WATCHERS_SSRC in each.ssrcs for each in ends))
    for each in ends:
        each.packet_at -= 1.0
    looks = TRIES_A_SECOND - 10
    refused = worker.port.counters.refused_datagrams
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for _ in range(looks):
            forged = RtcpRrPacket(ssrc=WATCHERS_SSRC)
            stranger.sendto(bytes(forged) + os.urandom(20), publish.remote)
    await house.stats_until(lambda stats: stats.refused_datagrams == refused + looks)
    assert not worker.port._strangers.exhausted(publish.local, time.monotonic())


async def test_nobody_takes_the_address_another_one_sends_from(
    house: MediaHouse, worker: Worker
) -> None:
    """A check signed by one member, in the name of another's address, is not answered."""
    publish, subscribe, ssrc, video = await live_call(house)
    thief = subscribe  # he knows his own password and forges the sender's address
    check = stun.request(
        f"{thief._ufrag}:x", thief._password, use_candidate=True, tie_breaker=bytes(8)
    )
    refused = worker.port.counters.refused_datagrams
    publish.send_raw(check)
    await house.stats_until(lambda stats: stats.refused_datagrams > refused)
    got = subscribe.received[ssrc].count
    publish.send_rtp(video.next())
    await subscribe.until(lambda: subscribe.received[ssrc].count > got)
    assert publish.ignored_stun == 0
    left = publish.local
    transport, subscribed = at_worker(worker, publish), at_worker(worker, subscribe)
    addresses, now = worker.port._addresses, time.monotonic()
    transport.packet_at = 0.0  # camera and microphone are off, but his checks still come
    assert addresses.is_anothers(subscribed, left, now)
    assert not addresses.is_anothers(subscribed, left, now + IN_USE_S)
    transport.ice.move(("192.0.2.9", 9), now)
    assert not addresses.is_anothers(subscribed, left, now)
    transport.ice.move(left, now + MOVE_BACK_S)
    addresses.adopt(subscribed, left)  # his router has given the port to her
    assert transport.address is None


async def test_a_transport_that_its_own_packet_closed_is_not_remembered(
    house: MediaHouse, worker: Worker
) -> None:
    """The packet with one source too many came from a new address: it is nobody's now."""
    publish, _, _, video = await live_call(house)
    transport, other = at_worker(worker, publish), Source("video")
    for n in range(MAX_SOURCES - 1):
        publish.send_rtp((video if n % 2 else other).next(key=True))
    await change_network(publish)
    await seconds_until(lambda: publish.send_rtp(video.next()), lambda: transport.closed)
    assert transport not in worker.port._addresses.by_address.values()
    await house.until(lambda: bool(house.failures()))
    assert house.failures()[0].reason == "too_many_sources"


async def test_a_member_cannot_make_us_keep_a_stream_for_each_ssrc_he_invents(
    house: MediaHouse, worker: Worker
) -> None:
    """libsrtp keeps each SSRC it has opened; a transport has a few dozen and no more."""
    publish, _, _, _ = await live_call(house)
    before = worker.port.counters.refused_datagrams
    for n in range(3 * MAX_SSRCS):
        report = RtcpSrPacket(ssrc=1000 + n, sender_info=RtcpSenderInfo(1, 1, 1, 1))
        publish.send_rtcp(bytes(report))
    await house.stats_until(lambda stats: stats.refused_datagrams >= before + 2 * MAX_SSRCS)
    assert len(at_worker(worker, publish).ssrcs) == MAX_SSRCS
    house.state(Member("timur", [], subscribe=True))
    await house.until(lambda: house.presence("amina") is None)
    assert worker.port.streams <= 2


def checked(ice: IceLite, source: stun.Address, now: float, *, nominates: bool = True) -> bool:
    """Whether a check from there is answered."""
    newest = ice.newest
    data = stun.request(
        f"{newest.ufrag}:x", newest.password, use_candidate=nominates, tie_breaker=bytes(8)
    )
    return ice.check(stun.parse(data), source, now) is not None


def test_a_move_that_no_check_proves_is_taken_back() -> None:
    """Nobody makes us send to a victim's address for longer than a browser needs for its check."""
    ice = IceLite()
    checked(ice, HOME, 1.0)
    assert ice.move(AWAY, 2.0)
    assert ice.address == AWAY
    ice.expire(2.0 + PROOF_S)
    assert ice.address == AWAY
    ice.expire(2.1 + PROOF_S)
    assert ice.address == HOME
    assert ice.move(AWAY, 20.0)
    assert checked(ice, HOME, 20.5, nominates=False)  # late, or from an interface not in use
    assert ice.address == AWAY
    assert checked(ice, AWAY, 21.0, nominates=False)  # Firefox nominates once and never again
    ice.expire(99.0)
    assert ice.address == AWAY


def test_late_packets_of_the_way_he_has_left_do_not_take_a_peer_back() -> None:
    """A known address moves him only after a second, a new one after a fifth."""
    ice = IceLite()
    checked(ice, HOME, 1.0)
    ice.addresses.append(HOME)
    assert ice.move(AWAY, 2.0)
    assert not ice.move(HOME, 2.0 + MOVE_BACK_S / 2)
    assert ice.move(HOME, 2.0 + MOVE_BACK_S)


def test_an_address_that_is_somebody_elses_now_gets_nothing_more() -> None:
    """Nor is he taken back to it; wherever his next check comes from, there he is."""
    ice = IceLite()
    checked(ice, HOME, 1.0)
    ice.addresses.append(HOME)
    ice.leave(HOME)
    ice.expire(99.0)
    assert (ice.address, ice.addresses) == (None, [])
    assert checked(ice, AWAY, 100.0, nominates=False)
    assert ice.address == AWAY


def test_wrong_signatures_under_a_known_name_are_looked_at_a_few_times_a_second() -> None:
    """From addresses of his own a peer is always looked at."""
    ice = IceLite()
    forged = stun.parse(
        stun.request(f"{ice.newest.ufrag}:x", "guess", use_candidate=True, tie_breaker=bytes(8))
    )
    for _ in range(500):
        assert ice.check(forged, AWAY, 5.0) is None
    assert not checked(ice, AWAY, 5.5)
    ice.addresses.append(HOME)
    assert checked(ice, HOME, 5.5)
    assert checked(ice, AWAY, 6.0)


def test_what_is_remembered_of_strangers_does_not_grow() -> None:
    """However many hosts there are, a table of fixed size counts them, and forgets each second."""
    strangers = Strangers()
    for n in range(10 * SLOTS):
        strangers.failed((f"host{n}", 1), 7.0)
    assert len(strangers._failed) == len(strangers._second) == SLOTS
    for _ in range(TRIES_A_SECOND):
        strangers.failed(AWAY, 7.5)
    assert strangers.exhausted(AWAY, 7.9)
    assert not strangers.exhausted(AWAY, 8.0)
    looked = sum(strangers.may_look(7.5) for _ in range(2 * LOOKS_A_SECOND))
    assert looked == LOOKS_A_SECOND
    assert strangers.may_look(8.0)
