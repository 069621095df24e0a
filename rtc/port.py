"""The worker's one UDP port: who sent a datagram, and what kind it is (RFC 7983)."""

import asyncio
import ipaddress
import socket
import time
from contextlib import suppress

from rtc import feedback, srtp
from rtc.forward import Counters, Forwarder
from rtc.ice import MAX_ADDRESSES
from rtc.stun import Address, MalformedStunError, parse
from rtc.transport import Transport

BATCH = 64  # datagrams taken before other work of the loop gets its turn
SOCKET_BUFFER_BYTES = 4 << 20

_STUN_MOST = 3
_DTLS_LEAST, _DTLS_MOST = 20, 63
_RTP_LEAST, _RTP_MOST = 128, 191
_RTCP_LEAST, _RTCP_MOST = 192, 223  # second byte (RFC 5761 section 4)


class UdpPort:
    """Owns the socket. An address counts only after a STUN check signed with our password.

    A stranger can therefore reach neither a handshake nor an SRTP key: his datagrams are counted
    and dropped after at most one look at a dictionary (and one HMAC for a known user name).
    """

    def __init__(self, host: str, port: int) -> None:
        family = (
            socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004
        )
        self.counters = Counters()
        self._by_ufrag: dict[str, Transport] = {}
        self._by_address: dict[Address, Transport] = {}
        self._forwarder = Forwarder(self.counters)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        self._socket.bind((host, port))
        self.number: int = self._socket.getsockname()[1]
        self._forwarder.send_datagram = self._socket.sendto
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
        """Lets STUN find a transport by any of its user fragments, and data by its addresses."""
        for each in transport.ice.credentials:
            self._by_ufrag[each.ufrag] = transport
        for address in transport.ice.addresses:
            self._by_address[address] = transport

    def forget(self, transport: Transport) -> None:
        """Takes a transport out of both tables."""
        for each in transport.ice.credentials:
            self._by_ufrag.pop(each.ufrag, None)
        for address in transport.ice.addresses:
            if self._by_address.get(address) is transport:
                del self._by_address[address]

    @property
    def sizes(self) -> tuple[int, int]:
        """Entries by user fragment and by address: both are bounded by the living transports."""
        return len(self._by_ufrag), len(self._by_address)

    def _readable(self) -> None:
        now = time.monotonic()
        view, receive = srtp.received_view, self._socket.recvfrom_into
        with suppress(BlockingIOError):
            for _ in range(BATCH):
                try:
                    size, source = receive(view)
                except ConnectionError:  # an ICMP answer to something we sent
                    continue
                if size:
                    self._datagram(size, source, now)

    def _datagram(self, size: int, source: Address, now: float) -> None:
        view = srtp.received_view
        first = view[0]
        if first <= _STUN_MOST:
            self._stun(bytes(view[:size]), source, now)
            return
        transport = self._by_address.get(source)
        if transport is None:
            self.counters.refused_datagrams += 1
        elif _RTP_LEAST <= first <= _RTP_MOST:
            if transport.rx is None or transport.closed:
                self.counters.refused_datagrams += 1
            elif _RTCP_LEAST <= view[1] <= _RTCP_MOST:
                packet = srtp.unprotect_received_rtcp(transport.rx, size)
                feedback.received(transport, packet, self.counters, now)
            else:
                self._forwarder.packet(transport, size, now)
        elif not (
            _DTLS_LEAST <= first <= _DTLS_MOST and transport.dtls_received(bytes(view[:size]), now)
        ):
            self.counters.refused_datagrams += 1

    def _stun(self, data: bytes, source: Address, now: float) -> None:
        try:
            stun = parse(data)
        except MalformedStunError:
            self.counters.refused_datagrams += 1
            return
        transport = self._by_ufrag.get(stun.username.partition(":")[0])
        answer = transport.ice.check(stun, source) if transport is not None else None
        if transport is None or answer is None:
            self.counters.refused_datagrams += 1
            return
        transport.heard_at = now
        if self._by_address.get(source) is not transport:
            self._adopt(transport, source)
        self.send(answer, source)

    def _adopt(self, transport: Transport, source: Address) -> None:
        before = self._by_address.get(source)
        if before is not None:
            before.ice.addresses.remove(source)
        self._by_address[source] = transport
        transport.ice.addresses.append(source)
        if len(transport.ice.addresses) > MAX_ADDRESSES:
            oldest = next(each for each in transport.ice.addresses if each != transport.address)
            transport.ice.addresses.remove(oldest)
            del self._by_address[oldest]
