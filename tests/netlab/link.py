"""A bad line between two network namespaces, made of two TUN devices; no sch_netem is needed.

Run by `tests.netlab.lab.Lab`. Reads one JSON object a line from its input: the direction ("ab" or
"ba") and what of `Line` shall change; answers each line with what it has counted so far.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

DEVICE = "line0"
ADDRESSES = {"a": "10.9.0.1", "b": "10.9.0.2"}
MTU = 1500
SEED = 7
IPV4, UDP = 4, 17
AT_ONCE = 64  # packets taken from one end before the other has its turn

_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


@dataclass
class Line:
    """One direction. Jitter changes the delay of packets, never their order."""

    loss: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    kbit: float = 0.0  # a second; 0: as fast as it goes
    queue_ms: float = 300.0  # what does not fit a router's queue is dropped
    down: bool = False
    udp_down: bool = False  # media alone; what goes over TCP passes
    port_shift: int = 0  # of UDP ports at end a, as a router's: positive "ab", negative "ba"
    sent: int = 0
    lost: int = 0
    overflown: int = 0
    _busy_until: float = 0.0
    _last_due: float = 0.0

    def due(self, size: int, now: float, chance: random.Random) -> float | None:
        """When a packet of this size comes out at the other end; None: never."""
        self.sent += 1
        if self.down or chance.random() < self.loss:
            self.lost += 1
            return None
        begins = max(now, self._busy_until)
        if begins - now > self.queue_ms / 1000:
            self.overflown += 1
            return None
        self._busy_until = begins + (size * 8 / (self.kbit * 1000) if self.kbit else 0.0)
        delay_ms = max(0.0, self.delay_ms + chance.uniform(-self.jitter_ms, self.jitter_ms))
        self._last_due = max(self._last_due, self._busy_until + delay_ms / 1000)
        return self._last_due

    def change(self, wanted: dict[str, float | bool]) -> None:
        """Sets what a control line names."""
        for name, value in wanted.items():
            if name not in {
                "loss",
                "delay_ms",
                "jitter_ms",
                "kbit",
                "queue_ms",
                "down",
                "udp_down",
                "port_shift",
            }:
                raise ValueError(name)
            setattr(self, name, value)

    @property
    def counted(self) -> dict[str, int]:
        """Packets so far."""
        return {"sent": self.sent, "lost": self.lost, "overflown": self.overflown}


def shifted(packet: bytes, shift: int) -> bytes:
    """An IPv4 UDP packet with another port at end a; without a checksum, as IPv4 allows."""
    udp = 4 * (packet[0] & 0x0F)
    if packet[0] >> 4 != IPV4 or packet[9] != UDP or len(packet) < udp + 8:
        return packet
    at = udp if shift > 0 else udp + 2
    port = (int.from_bytes(packet[at : at + 2], "big") + shift) & 0xFFFF
    changed = packet[:at] + port.to_bytes(2, "big") + packet[at + 2 :]
    return changed[: udp + 6] + bytes(2) + changed[udp + 8 :]


def open_end(own: str, other: str) -> tuple[int, int]:
    """A new namespace with one end of the line in it: descriptors of the device and the namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "no right to make a network namespace")
    space = os.open("/proc/self/ns/net", os.O_RDONLY)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    name = struct.pack("16sH", DEVICE.encode(), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(device, _TUNSETIFF, name)
    for command in (
        "link set lo up",
        f"link set {DEVICE} addrgenmode none",
        f"addr add {own} peer {other} dev {DEVICE}",
        f"link set {DEVICE} up mtu {MTU}",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    return device, space


class Link:
    """Both directions, and what is under way in them."""

    def __init__(self, a: int, b: int) -> None:
        self._lines = {"ab": Line(), "ba": Line()}
        self._ends = {a: (self._lines["ab"], b), b: (self._lines["ba"], a)}
        self._chance = random.Random(SEED)  # noqa: S311 - the same packets are lost in each run
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._count = 0
        self._read = b""

    def serve(self, control: int) -> None:
        """Carries packets until the control input ends."""
        while True:
            wait_s = max(0.0, self._under_way[0][0] - time.monotonic()) if self._under_way else None
            ready, _, _ = select.select([*self._ends, control], [], [], wait_s)
            for each in ready:
                if each in self._ends:
                    self._take(each)
                elif not self._obey(os.read(control, 1 << 12)):
                    return
            self._bring(time.monotonic())

    def _obey(self, read: bytes) -> bool:
        *whole, self._read = (self._read + read).split(b"\n")
        for each in whole:
            wanted = json.loads(each)
            self._lines[wanted.pop("way")].change(wanted)
            counted = {way: line.counted for way, line in self._lines.items()}
            print(json.dumps(counted), flush=True)
        return bool(read)

    def _take(self, end: int) -> None:
        line, other = self._ends[end]
        for _ in range(AT_ONCE):
            try:
                packet = os.read(end, MTU + 100)
            except BlockingIOError:
                return
            if line.udp_down and packet[9] == UDP:
                line.sent += 1
                line.lost += 1
                continue
            due = line.due(len(packet), time.monotonic(), self._chance)
            if due is not None:
                packet = shifted(packet, line.port_shift) if line.port_shift else packet
                self._count += 1
                heapq.heappush(self._under_way, (due, self._count, other, packet))

    def _bring(self, now: float) -> None:
        while self._under_way and self._under_way[0][0] <= now:
            _, _, other, packet = heapq.heappop(self._under_way)
            # An end that was taken down or whose queue is full loses it, as on any network.
            with suppress(OSError):
                os.write(other, packet)


def main() -> None:
    """Makes both ends, says where they are, and carries packets between them."""
    (a, space_a), (b, space_b) = (
        open_end(ADDRESSES[own], ADDRESSES[other]) for own, other in ("ab", "ba")
    )
    print(json.dumps({"pid": os.getpid(), "a": space_a, "b": space_b}), flush=True)
    Link(a, b).serve(sys.stdin.fileno())


if __name__ == "__main__":
    main()
