"""Counts and times datagrams over the line: `echo ADDRESS` at one end, `ask ADDRESS N` at the other."""

import json
import select
import socket
import statistics
import struct
import sys
import time

PORT = 7007
EVERY_S = 0.002
LAST_S = 0.5  # how long the last answers are waited for


def echo(address: str) -> None:
    """Answers until it is ended; says when it is ready."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, PORT))
        print("ready", flush=True)
        while True:
            data, source = sock.recvfrom(2048)
            sock.sendto(data, source)


def ask(address: str, count: int) -> dict[str, float]:
    """Sends numbered datagrams at an even pace; share answered, round trip, and their order."""
    took: list[float] = []
    order: list[int] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        began = time.monotonic()
        for n in range(count):
            sock.sendto(struct.pack("!Id", n, time.monotonic()) + bytes(188), (address, PORT))
            last = began + EVERY_S * count + LAST_S if n == count - 1 else began + EVERY_S * (n + 1)
            while len(order) < count and (left := last - time.monotonic()) > 0:
                if select.select([sock], [], [], left)[0]:
                    number, sent_at = struct.unpack_from("!Id", sock.recv(2048))
                    took.append(time.monotonic() - sent_at)
                    order.append(number)
    return {
        "answered": len(order) / count,
        "rtt_ms": statistics.median(took) * 1000 if took else -1.0,
        "spread_ms": (max(took) - min(took)) * 1000 if took else -1.0,
        "in_order": order == sorted(order),
    }


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        echo(sys.argv[2])
    print(json.dumps(ask(sys.argv[2], int(sys.argv[3]))))
