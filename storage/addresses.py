"""Addresses, names and ports of this machine."""

import fcntl
import json
import os
import random
import socket
import struct
from pathlib import Path

# Below Linux's usual ephemeral range (32768..), so that no outgoing connection takes them.
_LOWEST_PORT, _HIGHEST_PORT, _GRPC_ABOVE = 20000, 32000, 10000
_PORT_MAX = 65535
_SIOCGIFADDR = 0x8915  # netdevice(7)

# What SeaweedFS opens: each role one HTTP and one gRPC port.
OBJECT_PORTS = tuple(
    f"{role}{kind}"
    for role in ("master", "volume", "filer", "s3", "admin")
    for kind in ("", ".grpc")
)


def lan_addresses() -> list[str]:
    """IPv4 addresses of this machine's interfaces that are up, loopback left out."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(
                    probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15])
                )
            except OSError:
                continue  # no IPv4 address on this interface
            found.append(socket.inet_ntoa(answer[20:24]))
    return [address for address in dict.fromkeys(found) if not address.startswith("127.")]


def lan_names() -> list[str]:
    """Names and addresses under which the local network reaches this machine."""
    host = socket.gethostname().split(".")[0].lower()
    return [*lan_addresses(), *([f"{host}.local"] if is_host_name(host) else [])]


def draw_ports(path: Path) -> None:
    """Draw free loopback ports; the first process to link the file wins."""
    path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    # Several installations start at once in tests: an own random stream, not a shared counter.
    draw = random.SystemRandom()
    ports: dict[str, int] = {}
    while len(ports) < len(OBJECT_PORTS):
        ports = {name: draw.randint(_LOWEST_PORT, _HIGHEST_PORT) for name in OBJECT_PORTS}
        # Its own worker looks for the admin gRPC port 10,000 above the admin port.
        ports["admin"] = draw.randint(_LOWEST_PORT, _HIGHEST_PORT - _GRPC_ABOVE)
        ports["admin.grpc"] = ports["admin"] + _GRPC_ABOVE
        if len(set(ports.values())) < len(OBJECT_PORTS) or not all(
            port_is_free("127.0.0.1", port) for port in ports.values()
        ):
            ports = {}
    beside = path.with_name(f".ports.{os.getpid()}.{draw.randrange(2**32):08x}")
    beside.write_text(json.dumps(ports, indent=1) + "\n")
    try:
        os.link(beside, path)
    except FileExistsError:
        return
    finally:
        beside.unlink()


def port_is_free(host: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """Tell whether a server could listen at this address now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:  # as servers do, so that TIME_WAIT does not count as taken
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            if kind == socket.SOCK_STREAM:
                probe.listen(1)
        except OSError:
            return False
    return True


def is_host_name(name: str) -> bool:
    """Tell whether this is a DNS name of letters, digits and hyphens (RFC 1123)."""
    labels = name.split(".")
    return all(
        label
        and label.isascii()
        and label.replace("-", "").isalnum()
        and label[0] != "-" != label[-1]
        for label in labels
    )


def socket_place(given: str) -> Path | tuple[str, int]:
    """Where a program listens: a unix socket's path, or host:port. Raises ValueError."""
    if given.startswith("/"):
        return Path(given)
    host, _, port = given.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= _PORT_MAX:
        raise ValueError(given)
    return host.removeprefix("[").removesuffix("]"), int(port)
