"""Which transport a datagram belongs to, and how much attention a stranger gets.

All tables are bounded: by the living transports, each with few user fragments, addresses and SSRCs,
and by a fixed number of slots for everybody else.
"""

import socket

from rtc.ice import MAX_ADDRESSES
from rtc.stun import Address
from rtc.transport import Transport

SLOTS = 4096  # a power of two; strangers who share a slot share its allowance
TRIES_A_SECOND = 50  # of one host that fail: unsigned checks, packets no key opens
LOOKS_A_SECOND = 300  # at sealed packets from unknown addresses, all together
TRIES_A_PACKET = 8  # keys
SILENT_S = 0.1  # a peer whose packets come where they always came has not moved
IN_USE_S = 7.0  # an address is nobody else's so long after a packet or a check; see ice.PROOF_S


def _slot(source: Address) -> int:
    """Of a host, salted anew by each process: nobody can aim at a slot.

    Of IPv6 everybody has as many addresses as he likes, but one network of them (RFC 4291: 64 bit).
    """
    host = source[0]
    if ":" in host and "." not in host:
        return hash(socket.inet_pton(socket.AF_INET6, host.partition("%")[0])[:8]) % SLOTS
    return hash(host) % SLOTS


class Strangers:
    """Counts failures by host, in a table of a fixed size that forgets every second."""

    def __init__(self) -> None:
        self._second = [0] * SLOTS
        self._failed = [0] * SLOTS
        self._looked_in, self._looks = 0, 0

    def exhausted(self, source: Address, now: float) -> bool:
        """Whether this host has had its share of the present second."""
        slot = _slot(source)
        return self._second[slot] == int(now) and self._failed[slot] >= TRIES_A_SECOND

    def failed(self, source: Address, now: float) -> None:
        """Remembers that something of this host led to nothing."""
        slot, second = _slot(source), int(now)
        if self._second[slot] != second:
            self._second[slot], self._failed[slot] = second, 0
        self._failed[slot] += 1

    def may_look(self, now: float) -> bool:
        """Takes one look for whose packet it is from what all unknown addresses have together."""
        if self._looked_in != int(now):
            self._looked_in, self._looks = int(now), 0
        self._looks += 1
        return self._looks <= LOOKS_A_SECOND


class Addresses:
    """Transports by user fragment, by proven address, and by the SSRCs they have sealed."""

    def __init__(self) -> None:
        self.by_ufrag: dict[str, Transport] = {}
        self.by_address: dict[Address, Transport] = {}
        self._by_ssrc: dict[int, list[Transport]] = {}

    def enter(self, transport: Transport) -> None:
        """Lets a transport be found by all it is known by."""
        for each in transport.ice.credentials:
            self.by_ufrag[each.ufrag] = transport
        for address in transport.ice.addresses:
            self.by_address[address] = transport
        for ssrc in transport.ssrcs:
            self._by_ssrc.setdefault(ssrc, []).append(transport)

    def forget(self, transport: Transport) -> None:
        """Takes a transport out of all tables."""
        for each in transport.ice.credentials:
            self.by_ufrag.pop(each.ufrag, None)
        for address in transport.ice.addresses:
            if self.by_address.get(address) is transport:
                del self.by_address[address]
        for ssrc in transport.ssrcs:
            sharing = self._by_ssrc.get(ssrc, [])
            if transport in sharing:
                sharing.remove(transport)
            if not sharing:
                self._by_ssrc.pop(ssrc, None)

    @property
    def streams(self) -> int:
        """Entries by SSRC."""
        return sum(map(len, self._by_ssrc.values()))

    def learn(self, transport: Transport, ssrc: int) -> None:
        """Remembers an SSRC under which the peer has sealed a packet."""
        transport.ssrcs.add(ssrc)
        self._by_ssrc.setdefault(ssrc, []).append(transport)

    def is_anothers(self, transport: Transport, source: Address, now: float) -> bool:
        """Whether another transport's packets or checks come from this address.

        A member could else sign a check in the name of another's address and cut him off. One that
        its owner has left may be somebody else's by now: a router gives ports again.
        """
        owner = self.by_address.get(source)
        if owner is None or owner is transport:
            return False
        is_there = owner.connected and owner.address == source
        return is_there and now - max(owner.packet_at, owner.heard_at) < IN_USE_S

    def adopt(self, transport: Transport, source: Address) -> None:
        """Gives an address to the transport that has proven it."""
        before = self.by_address.get(source)
        if before is transport:
            return
        if before is not None:
            before.ice.leave(source)
        self.by_address[source] = transport
        transport.ice.addresses.append(source)
        if len(transport.ice.addresses) > MAX_ADDRESSES:
            kept = {transport.ice.address, transport.ice.proven, source}
            oldest = next(each for each in transport.ice.addresses if each not in kept)
            transport.ice.addresses.remove(oldest)
            del self.by_address[oldest]

    def is_known(self, ssrc: int) -> bool:
        """Whether anybody has sealed a packet with this SSRC."""
        return ssrc in self._by_ssrc

    def moved(self, ssrc: int, source: Address, now: float) -> list[Transport]:
        """Who may have sealed a packet with this SSRC that came from an unknown address.

        First those on the same host, then whoever has been silent longest: every browser that only
        watches reports under the SSRC 1.
        """
        silent = [
            each
            for each in self._by_ssrc.get(ssrc, ())
            if each.connected and now - each.packet_at >= SILENT_S and each.ice.may_move(now)
        ]
        silent.sort(key=lambda each: (not each.is_at(source[0]), each.packet_at))
        return silent[:TRIES_A_PACKET]
