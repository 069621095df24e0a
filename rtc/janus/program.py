"""Debian's Janus, configured by us: VideoRoom and HTTP on loopback, nothing else."""

import os
import secrets
import shutil
import socket
from ipaddress import ip_address
from pathlib import Path

import msgspec

from rtc.janus.session import Place

PACKAGE = "janus"
SESSION_TIMEOUT_S = 20  # of an API process that was killed
PORTS = "20000-40000"


class NoJanus(Exception):  # noqa: N818 - a sentence for the operator
    """The package is not installed."""


def place_of(run: Path) -> Path:
    """Where the API reads how Janus is reached."""
    return run / "janus.json"


def prepare(run: Path, addresses: tuple[str, ...]) -> list[str]:
    """Writes Janus's files and `janus.json` for the API; gives the command. Raises NoJanus."""
    program = shutil.which("janus")
    if program is None:
        raise NoJanus(f"YANASHA_MEDIA_ENGINE=janus needs Debian's package {PACKAGE}.")
    addresses = tuple(each for each in addresses if ip_address(each).version == 4)  # noqa: PLR2004
    if not addresses or any(ip_address(each).is_loopback for each in addresses):
        raise NoJanus("Janus needs an IPv4 address that is not loopback in YANASHA_RTC_ADDRESS.")
    folder = run / "janus"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = Place(_free_port(), secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    files = {
        "janus.jcfg": _core(folder, place, addresses),
        "janus.transport.http.jcfg": _http(place),
        "janus.plugin.videoroom.jcfg": _rooms(place),
    }
    for name, text in files.items():
        _write(folder / name, text.encode())
    _write(place_of(run), msgspec.json.encode(place))
    return [program, "-F", str(folder), "-C", str(folder / "janus.jcfg")]


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _write(path: Path, data: bytes) -> None:
    """For our own eyes from the first byte on, and never half there."""
    half = path.with_suffix(".new")
    half.unlink(missing_ok=True)
    half.touch(mode=0o600, exist_ok=False)
    half.write_bytes(data)
    half.rename(path)


def _unused(kind: str, kept: str) -> str:
    found = {each.name for each in Path("/usr/lib").glob(f"*/janus/{kind}/*.so")}
    return ",".join(sorted(found - {kept}))


def _is_ours(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _core(folder: Path, place: Place, addresses: tuple[str, ...]) -> str:
    announced = ",".join(addresses)
    ours = all(_is_ours(each) for each in addresses)
    return f"""general: {{
    configs_folder = "{folder}"
    debug_level = 2
    debug_colors = false
    api_secret = "{place.api_secret}"
    session_timeout = {SESSION_TIMEOUT_S}
    event_loops = {os.cpu_count()}
}}
media: {{
    ipv6 = false
    rtp_port_range = "{PORTS}"
}}
nat: {{
    {"ice_enforce_list" if ours else "nat_1_1_mapping"} = "{announced}"
    ice_lite = true
    ignore_mdns = true
}}
plugins: {{ disable = "{_unused("plugins", "libjanus_videoroom.so")}" }}
transports: {{ disable = "{_unused("transports", "libjanus_http.so")}" }}
events: {{ broadcast = false }}
loggers: {{ disable = "{_unused("loggers", "")}" }}
"""


def _http(place: Place) -> str:
    return f"""general: {{
    json = "compact"
    base_path = "/janus"
    http = true
    port = {place.port}
    ip = "127.0.0.1"
    https = false
}}
admin: {{ admin_http = false }}
"""


def _rooms(place: Place) -> str:
    return f"""general: {{
    admin_key = "{place.admin_key}"
    lock_rtp_forward = true
    string_ids = true
}}
"""
