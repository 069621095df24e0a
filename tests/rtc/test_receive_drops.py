"""What the system throws away before the worker has read it is counted."""

import socket

from rtc.port import UdpPort


async def test_datagrams_lost_at_a_full_buffer_are_counted() -> None:
    """A flood within one turn of the loop overflows the buffer; all that fits is read after it."""
    port = UdpPort("127.0.0.1", 0)
    port._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flooder:
        assert port.dropped_receive == 0
        for _ in range(50):
            flooder.sendto(bytes(1000), ("127.0.0.1", port.number))
    assert 40 < port.dropped_receive < 50
    port.close()
