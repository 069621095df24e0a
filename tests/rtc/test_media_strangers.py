"""Datagrams of strangers disturb nobody: not a handshake, not a call, not the memory."""

import asyncio
import os
import resource
import socket
from pathlib import Path

from rtc import stun
from rtc.addresses import SLOTS
from rtc.messages import Offer
from rtc.worker import Worker
from tests.rtc.dtls_client import forged_hello
from tests.rtc.media_house import ROOM, MediaHouse, both
from tests.rtc.raw_client import RawPage, RawTransport, Source
from tests.rtc.test_media_forwarding import couple

SAMPLES = sorted((Path(__file__).parent / "stun_samples").glob("bad_*.bin"))
CLIENT_HELLO = bytes.fromhex("16feff0000000000000000") + bytes([4, 0, 1]) + os.urandom(1100)
ALERT = bytes.fromhex("15fefd00000000000000000002") + b"\x02\x28"
FALSE_SRTP = b"\x80\x60" + os.urandom(900)
FALSE_SRTCP = b"\x80\xc8" + os.urandom(60)
GARBAGE = 20_000
BURST = 100  # small enough for the receive buffer beside the call's own packets
MOST_CPU_S = 100e-6  # of one piece of garbage, its sender's share included, on a shared machine


class Stranger:
    """A socket nobody has invited; remembers whether anything was ever sent to it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._to = ("127.0.0.1", port)

    def flood(self, rounds: int) -> int:
        """Sends every kind of nonsense `rounds` times; the number of datagrams."""
        kinds = [CLIENT_HELLO, ALERT, FALSE_SRTP, FALSE_SRTCP, b"\xff", b"\x10hello"]
        kinds += [each.read_bytes() for each in SAMPLES]
        sent = 0
        for _ in range(rounds):
            for data in kinds:
                try:
                    self._socket.sendto(data, self._to)
                    sent += 1
                except BlockingIOError:
                    continue
        return sent

    def send(self, data: bytes) -> None:
        """Sends a datagram."""
        self._socket.sendto(data, self._to)

    def got_answer(self) -> bool:
        """Whether the worker has sent anything here."""
        try:
            return bool(self._socket.recv(2048))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


async def test_a_flood_before_and_during_a_handshake_disturbs_neither(
    house: MediaHouse, worker: Worker
) -> None:
    """Thousands of foreign datagrams, then a call is set up among more of them."""
    stranger = Stranger(worker.port.number)
    house.state(both("amina"), both("timur"))
    stranger.flood(50)
    amina = house.join("amina")
    stranger.flood(50)
    publish = await amina.publishing()
    stranger.flood(50)
    subscribe, ssrc = await house.join("timur").watching("amina", "video")
    stranger.flood(50)
    publish.send_rtp(Source("video").next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 1)
    assert worker.port.counters.refused_datagrams > 100
    assert not stranger.got_answer()
    assert house.failures() == []
    stranger.close()


async def test_a_strangers_client_hello_does_not_win_the_race(
    house: MediaHouse, worker: Worker
) -> None:
    """A ClientHello sent to the port before the genuine one never reaches the handshake."""
    house.state(both("amina"))
    stranger = Stranger(worker.port.number)
    answers: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    page = RawPage("amina", lambda *answer: answers.put_nowait(answer))
    house.join_as(page)
    transport_id, sdp = await answers.get()
    stranger.flood(20)
    await transport_checked(page.transports[transport_id])
    stranger.flood(20)
    house.answer("amina", transport_id, sdp)
    await page.publishing()
    assert house.failures() == []
    stranger.close()


async def transport_checked(transport: RawTransport) -> None:
    """Until the worker has answered the peer's STUN check, which it may do before the answer."""
    await transport.opened.wait()
    await transport.check()


async def test_an_alert_forged_from_the_peers_own_address_is_survived(
    house: MediaHouse, worker: Worker
) -> None:
    """Forged plaintext records in the handshake's way cost a try, not the connection."""
    house.state(both("amina"))

    def answer_among_forgeries(transport_id: str, sdp: str) -> None:
        transport = page.transports[transport_id]
        tasks.append(asyncio.ensure_future(forge_then_answer(transport, sdp)))

    async def forge_then_answer(transport: RawTransport, sdp: str) -> None:
        await transport_checked(transport)
        for _ in range(3):
            transport.send_raw(ALERT)
            transport.send_raw(CLIENT_HELLO[:200])
        house.answer("amina", transport.id, sdp)

    tasks: list[asyncio.Future[None]] = []
    page = RawPage("amina", answer_among_forgeries)
    house.join_as(page)
    await page.publishing()
    await asyncio.gather(*tasks)
    assert house.failures() == []
    assert worker.stats().transports == 1


async def test_nobody_is_answered_before_his_check_is_signed(
    house: MediaHouse, worker: Worker
) -> None:
    """A check with the right user fragment and a wrong password gets no answer."""
    house.state(both("amina"))
    offers: list[Offer] = []
    page = RawPage("amina", lambda *_: None)
    page.offered = offers.append  # type: ignore[method-assign]
    house.join_as(page)
    await house.until(lambda: bool(offers))
    forger = RawTransport(offers[0])
    await forger.open()
    forger._password = "guessed"
    refused = worker.port.counters.refused_datagrams
    forger.send_check()
    forger._password = forger._value("ice-pwd:")
    forger.send_check()
    await forger._checked.wait()
    assert worker.port.counters.refused_datagrams == refused + 1
    assert forger.ignored_stun == 0
    await forger.close()


async def test_the_tables_of_addresses_stay_small(house: MediaHouse, worker: Worker) -> None:
    """A peer that shows thirty source ports keeps the newest eight."""
    house.state(both("amina"))
    publish = await house.join("amina").publishing()
    for _ in range(30):
        await publish.open()
        await publish.check()
    ufrags, addresses = worker.port.sizes
    assert (ufrags, addresses) == (1, 8)
    assert worker.rooms.rooms[ROOM].transports[0].address == publish.local


async def test_twenty_thousand_pieces_of_garbage_leave_a_call_undisturbed(
    house: MediaHouse, worker: Worker
) -> None:
    """From strangers and from both peers' own addresses, while every packet of the call arrives."""
    publish, subscribe, ssrc = await couple(house)
    stranger = Stranger(worker.port.number)
    wrong_password = stun.request(
        f"{publish._ufrag}:x", "guess", use_candidate=True, tie_breaker=bytes(8)
    )
    kinds = [
        CLIENT_HELLO,
        forged_hello(),
        ALERT,
        FALSE_SRTP,
        FALSE_SRTCP,
        wrong_password,
        stun.request("nobody:x", "guess", use_candidate=True, tie_breaker=bytes(8)),
        *(each.read_bytes() for each in SAMPLES),
    ]
    senders = [stranger.send, publish.send_raw, subscribe.send_raw]
    video = Source("video")
    before = worker.port.counters.refused_datagrams
    used = resource.getrusage(resource.RUSAGE_SELF)
    for n in range(GARBAGE // BURST):
        for k in range(BURST):
            senders[k % 3](os.urandom(1 + 7 * k) if k % 4 == 0 else kinds[(n + k) % len(kinds)])
        publish.send_rtp(video.next(key=True))
        await subscribe.until(lambda: subscribe.received[ssrc].count == n + 1)  # noqa: B023
    now = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    print(f"{cpu_s / GARBAGE * 1e6:.1f} us of CPU for a piece of garbage and its sender")
    assert worker.port.counters.refused_datagrams - before > GARBAGE / 2
    assert cpu_s < GARBAGE * MOST_CPU_S
    assert worker.port.sizes == (4, 4)
    assert len(worker.port._strangers._failed) == SLOTS
    assert not stranger.got_answer()
    assert publish.ignored_stun == subscribe.ignored_stun == 0
    assert house.failures() == []
    stranger.close()


async def test_client_hellos_forged_from_the_peers_own_address_do_not_win_the_race(
    house: MediaHouse,
) -> None:
    """Twenty complete ones before the handshake of each of ten: ten of ten connect."""
    names = [f"member{n}" for n in range(10)]
    forged = [forged_hello(record_number=number) for number in range(20)]
    tasks: list[asyncio.Task[None]] = []
    house.state(*map(both, names))

    async def forge_then_answer(page: RawPage, transport_id: str, sdp: str) -> None:
        transport = page.transports[transport_id]
        await transport_checked(transport)
        for each in forged:
            transport.send_raw(each)
        house.answer(page.member, transport_id, sdp)

    def joined(name: str) -> None:
        def answer(transport_id: str, sdp: str) -> None:
            if page.transports[transport_id].direction == "subscribe":
                house.answer(name, transport_id, sdp)
                return
            tasks.append(asyncio.create_task(forge_then_answer(page, transport_id, sdp)))

        page = RawPage(name, answer)
        house.join_as(page)

    for name in names:
        joined(name)
    for name in names:
        await house.pages[name].publishing()
    await asyncio.gather(*tasks)
    assert house.failures() == []
