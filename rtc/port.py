"""The worker's one UDP port: who sent a datagram, and what kind it is (RFC 7983)."""

import asyncio
import ipaddress
import socket
import struct
import time
from contextlib import suppress

from rtc import feedback, srtp
from rtc.addresses import Addresses, Strangers
from rtc.fan_out_c import best_fan_out
from rtc.forward import Counters, Forwarder
from rtc.stun import Address, MalformedStunError, likely_ufrag, parse
from rtc.transport import MAX_SSRCS, Transport

SOCKET_BUFFER_BYTES = 4 << 20

_SO_MEMINFO, _DROPS = 55, 8  # linux/sock_diag.h; the counter SO_RXQ_OVFL tells, asked seldom
_MEMINFO = struct.Struct("=9I")

_STUN_MOST = 3
_DTLS_LEAST, _DTLS_MOST = 20, 63
_RTP_LEAST, _RTP_MOST = 128, 191
_RTCP_LEAST, _RTCP_MOST = 192, 223  # second byte (RFC 5761 section 4)


def _is_report(packet: bytes) -> bool:
    return len(packet) > 1 and _RTCP_LEAST <= packet[1] <= _RTCP_MOST


class UdpPort:
    """Owns the socket. An address counts only after a STUN check signed with our password, or a
    packet sealed with the keys of a peer who has fallen silent where he was.

    A stranger's datagrams are counted and dropped after at most a look at a few dictionaries, one
    HMAC for a known user name, or a few tries of keys, all of them limited in each second.
    """

    def __init__(self, host: str, port: int) -> None:
        family = (
            socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004
        )
        self.counters = Counters()
        self._addresses = Addresses()
        self._strangers = Strangers()
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        if family == socket.AF_INET6:  # `::` is for both families, whatever the system's habit
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._socket.bind((host, port))
        self.number: int = self._socket.getsockname()[1]
        self.forwarder = Forwarder(self.counters, best_fan_out(self._socket))
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def close(self) -> None:
        """Closes the socket."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def send(self, data: bytes, address: Address) -> None:
        """Sends a datagram; a full buffer drops it, as the network might."""
        try:
            self._socket.sendto(data, address)
        except OSError:
            self.counters.dropped_send += 1

    def enter(self, transport: Transport) -> None:
        """Lets a transport be found; see `Addresses`."""
        self._addresses.enter(transport)

    def forget(self, transport: Transport) -> None:
        """Takes a transport out of all tables."""
        self._addresses.forget(transport)

    @property
    def sizes(self) -> tuple[int, int]:
        """Entries by user fragment and by address: both are bounded by the living transports."""
        return len(self._addresses.by_ufrag), len(self._addresses.by_address)

    @property
    def streams(self) -> int:
        """Entries by SSRC, bounded likewise."""
        return self._addresses.streams

    @property
    def dropped_receive(self) -> int:
        """Datagrams the system threw away because we did not read fast enough (Linux counts)."""
        try:
            numbers = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
            return int(_MEMINFO.unpack(numbers)[_DROPS])
        except (OSError, struct.error):
            return 0

    def _readable(self) -> None:
        now = time.monotonic()
        receive = self._socket.recvfrom_into
        try:
            with suppress(BlockingIOError):
                for slot, view in enumerate(srtp.received_views):
                    try:
                        size, source = receive(view)
                    except ConnectionError:  # an ICMP answer to something we sent
                        continue
                    if size:
                        self._datagram(slot, size, source, now)
        finally:  # whatever went wrong: the next wake-up writes over what lies in the slots
            self.forwarder.flush(now)

    def _datagram(self, slot: int, size: int, source: Address, now: float) -> None:
        view = srtp.received_views[slot]
        first = view[0]
        transport = self._addresses.by_address.get(source)
        if _RTP_LEAST <= first <= _RTP_MOST:
            if transport is None:
                self._from_elsewhere(slot, size, source, now)
            elif transport.rx is None or transport.closed:
                self.counters.refused_datagrams += 1
            else:
                self._sealed(transport, slot, size, source, now)
        elif first <= _STUN_MOST:
            self._stun(view[:size], transport, source, now)
        elif (
            transport is None
            or not _DTLS_LEAST <= first <= _DTLS_MOST
            or not transport.dtls_received(bytes(view[:size]), now)
        ):
            self.counters.refused_datagrams += 1

    def _sealed(
        self, transport: Transport, slot: int, size: int, source: Address, now: float
    ) -> bool:
        """Opens the packet in a slot and hands it on; False when it is not the peer's."""
        view = srtp.received_views[slot]
        reports = _RTCP_LEAST <= view[1] <= _RTCP_MOST
        ssrc = int.from_bytes(view[4:8] if reports else view[8:12], "big")
        is_known = ssrc in transport.ssrcs
        if not is_known and len(transport.ssrcs) >= MAX_SSRCS:
            self.counters.refused_datagrams += 1
            return False
        if not reports:
            authentic = self.forwarder.packet(transport, slot, size, now)
        else:
            packet = srtp.unprotect_rtcp(transport.rx, slot, size)
            authentic = bool(packet)
            if not authentic:
                self.counters.refused_datagrams += 1
            else:
                feedback.received(transport, packet, self.counters, now)
                if transport.ice.move(source, now):
                    transport.moved(now)
        if authentic and not transport.closed:
            transport.packet_at = now
            if not is_known:
                self._addresses.learn(transport, ssrc)
        return authentic

    def _from_elsewhere(self, slot: int, size: int, source: Address, now: float) -> None:
        """A sealed packet from an unknown address: a peer whose network has changed, or a stranger.

        No check of his has come yet, and a browser makes one every 2.5 s only.
        """
        if self._strangers.exhausted(source, now) or not self._strangers.may_look(now):
            self.counters.refused_datagrams += 1
            return
        view = srtp.received_views[slot]
        packet = bytes(view[:size])
        ssrc = int.from_bytes(packet[4:8] if _is_report(packet) else packet[8:12], "big")
        refused = self.counters.refused_datagrams
        candidates = self._addresses.moved(ssrc, source, now)
        for transport in candidates:
            view[:size] = packet  # a failed try leaves it spoilt
            if self._sealed(transport, slot, size, transport.address or source, now):
                if transport.closed:  # by this very packet
                    return
                if transport.ice.move(source, now):
                    transport.moved(now)
                self._addresses.adopt(transport, source)
                return
        if candidates or not self._addresses.is_known(ssrc):
            self._strangers.failed(source, now)
        self.counters.refused_datagrams = refused + 1  # however many keys were tried

    def _stun(self, view: memoryview, owner: Transport | None, source: Address, now: float) -> None:
        """Answers a signed check. Who is not known by address must name a user fragment of ours,
        once he has failed too often; members behind his NAT are not held up by him.
        """
        by_ufrag = self._addresses.by_ufrag
        if (
            owner is None
            and self._strangers.exhausted(source, now)
            and likely_ufrag(view) not in by_ufrag
        ):
            self.counters.refused_datagrams += 1
            return
        answer = transport = None
        with suppress(MalformedStunError):
            stun = parse(bytes(view))
            transport = by_ufrag.get(stun.username.partition(":")[0])
            if transport is not None and not self._addresses.is_anothers(transport, source, now):
                before = transport.address
                answer = transport.ice.check(stun, source, now)
        if transport is None or answer is None:
            self._strangers.failed(source, now)
            self.counters.refused_datagrams += 1
            return
        transport.heard_at = now
        self._addresses.adopt(transport, source)
        self.send(answer, source)
        if transport.connected and transport.address != before:
            transport.moved(now)
