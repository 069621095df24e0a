"""The settings of a TURN server: ours, which is Debian's coturn, or one of the operator's own.

Browsers that no UDP reaches get to the media workers through it; docs/operations.md has the table.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from storage.addresses import is_host_name
from storage.bad_setting import BadSetting

_PORT_MAX = 65535
_PORTS = (1, _PORT_MAX)
_LIFE_S = (300, 86400)
_ON, _OFF = {"1", "yes", "true", "on"}, {"0", "no", "false", "off", ""}
_URL = re.compile(
    r"turns?:(\[[0-9a-fA-F:]+\]|[^:?\[\]]+)(?::(\d{1,5}))?(?:\?transport=(?:udp|tcp))?"
)
_OF_ANOTHER = ("YANASHA_TURN_SECRET_FILE",)
_OF_OURS = (
    "YANASHA_TURN_NAME",
    "YANASHA_TURN_HOST",
    "YANASHA_TURN_PORT",
    "YANASHA_TURN_TLS_PORT",
    "YANASHA_TURN_CERTIFICATE",
    "YANASHA_TURN_KEY",
)
_NAMES = (*_OF_ANOTHER, *_OF_OURS, "YANASHA_TURN_LIFE_S")


@dataclass(frozen=True)
class Turn:
    """With `urls` it is somebody else's, who shares the secret in `secret_file` with us."""

    urls: tuple[str, ...] = ()
    secret_file: Path | None = None
    name: str | None = None  # by which browsers find ours
    host: str | None = None  # the address it listens at; None: all, or the pages' own
    port: int = 3478
    tls_port: int = 5349
    certificate: Path | None = None  # None: the one that Caddy has for the pages
    key: Path | None = None
    life_s: int = 3600

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self | None:
        """Read the environment; None when no TURN is asked for. Raises BadSetting."""

        given = _text(environ, "YANASHA_TURN") or ""
        if given.lower() in _OFF:
            _none_of(environ, _NAMES, "is set, though YANASHA_TURN is not.")
            return None
        life_s = _number(environ, "YANASHA_TURN_LIFE_S", cls.life_s, _LIFE_S)
        if given.lower() not in _ON:
            _none_of(environ, _OF_OURS, "is for a TURN server of ours: YANASHA_TURN=1.")
            return cls(urls=_urls(given), secret_file=_secret_file(environ), life_s=life_s)
        _none_of(environ, _OF_ANOTHER, "is for a TURN server elsewhere; ours has its own.")
        certificate = _file(environ, "YANASHA_TURN_CERTIFICATE")
        key = _file(environ, "YANASHA_TURN_KEY")
        if (certificate is None) != (key is None):
            missing = "YANASHA_TURN_KEY" if key is None else "YANASHA_TURN_CERTIFICATE"
            raise BadSetting(missing, "is missing: certificate and key go together.")
        turn = cls(
            name=_name(_text(environ, "YANASHA_TURN_NAME")),
            host=_host(_text(environ, "YANASHA_TURN_HOST")),
            port=_number(environ, "YANASHA_TURN_PORT", cls.port, _PORTS),
            tls_port=_number(environ, "YANASHA_TURN_TLS_PORT", cls.tls_port, _PORTS),
            certificate=certificate,
            key=key,
            life_s=life_s,
        )
        if turn.tls_port == turn.port:
            raise BadSetting("YANASHA_TURN_TLS_PORT", "is the same as YANASHA_TURN_PORT.")
        return turn

    def beside_pages(self, https_port: int, *, domain: bool) -> None:
        """Refuse a port that Caddy has, unless we have an address to ourselves."""
        if self.urls or self.tls_port != https_port:
            return
        ours = self.name is not None and self.host is not None and ":" not in self.host
        if not domain or not ours or self.certificate is None:
            raise BadSetting(
                "YANASHA_TURN_TLS_PORT",
                f"is {https_port}, the port of the pages: choose another one or, with "
                "YANASHA_DOMAIN, give TURN a second IPv4 address of this machine "
                "(YANASHA_TURN_HOST), the name of that address (YANASHA_TURN_NAME) and a "
                "certificate for it (YANASHA_TURN_CERTIFICATE, YANASHA_TURN_KEY).",
            )

    def to_env(self) -> dict[str, str]:
        """Give the variables from which `from_env` reads the same."""
        shared = {"YANASHA_TURN_LIFE_S": str(self.life_s)}
        if self.urls:
            return {
                "YANASHA_TURN": ",".join(self.urls),
                "YANASHA_TURN_SECRET_FILE": str(self.secret_file),
                **shared,
            }
        return {
            "YANASHA_TURN": "1",
            "YANASHA_TURN_NAME": self.name or "",
            "YANASHA_TURN_HOST": self.host or "",
            "YANASHA_TURN_PORT": str(self.port),
            "YANASHA_TURN_TLS_PORT": str(self.tls_port),
            "YANASHA_TURN_CERTIFICATE": str(self.certificate or ""),
            "YANASHA_TURN_KEY": str(self.key or ""),
            **shared,
        }

    def ours_at(self, name: str, *, tls: bool) -> tuple[str, ...]:
        """The addresses of our own server, the lightest way first."""
        at = f"[{name}]" if ":" in name else name
        plain = [f"turn:{at}:{self.port}?transport={way}" for way in ("udp", "tcp")]
        return (*plain, *([f"turns:{at}:{self.tls_port}?transport=tcp"] if tls else []))


def announced(given: str | None) -> str | None:
    """The addresses of YANASHA_RTC_ADDRESS, as they are written in a list. Raises BadSetting."""
    if given is None:
        return None
    found = []
    for part in given.split(","):
        if not part.strip():
            continue
        wrong = f"holds something else than an address like 203.0.113.7: {part.strip()!r}"
        try:
            address = ipaddress.ip_address(part.strip())
        except ValueError:
            # A name would be looked up by every browser anew, and Chromium takes none here.
            raise BadSetting("YANASHA_RTC_ADDRESS", f"{wrong}; names are not looked up.") from None
        if address.is_unspecified or address.is_multicast:
            raise BadSetting("YANASHA_RTC_ADDRESS", f"{wrong}; nobody could reach it.")
        found.append(str(address))
    if not found:
        raise BadSetting("YANASHA_RTC_ADDRESS", f"holds no address: {given!r}.")
    return ",".join(dict.fromkeys(found))


def _urls(given: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in given.split(",") if part.strip())
    for url in found:
        match = _URL.fullmatch(url)
        name = match[1] if match else ""
        port = int(match[2]) if match and match[2] else 1
        if not match or not 1 <= port <= _PORT_MAX or not (name[0] == "[" or is_host_name(name)):
            raise BadSetting(
                "YANASHA_TURN",
                "is neither 1 nor a list of addresses like "
                f"turns:turn.example.org:443?transport=tcp: {url!r}.",
            )
    return found


def _name(given: str | None) -> str | None:
    if given is None or is_host_name(given):
        return given
    return _address(given, "YANASHA_TURN_NAME", "is neither a host name nor an address")


def _host(given: str | None) -> str | None:
    if given is None:
        return None
    return _address(given, "YANASHA_TURN_HOST", "is not an address of this machine")


def _address(given: str, variable: str, wrong: str) -> str:
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        raise BadSetting(variable, f"{wrong}: {given!r}.") from None
    if address.is_unspecified or address.is_multicast:
        raise BadSetting(variable, f"{wrong}: {given!r}.")
    return str(address)


def _text(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name, "").strip() or None


def _none_of(environ: Mapping[str, str], names: tuple[str, ...], why: str) -> None:
    for name in names:
        if _text(environ, name) is not None:
            raise BadSetting(name, why)


def _number(
    environ: Mapping[str, str], variable: str, default: int, between: tuple[int, int]
) -> int:
    given = _text(environ, variable)
    if given is None:
        return default
    least, most = between
    if not given.isascii() or not given.isdigit() or not least <= int(given) <= most:
        raise BadSetting(variable, f"is not a number from {least} to {most}: {given!r}.")
    return int(given)


def _secret_file(environ: Mapping[str, str]) -> Path:
    path = _file(environ, "YANASHA_TURN_SECRET_FILE")
    if path is None:
        raise BadSetting(
            "YANASHA_TURN_SECRET_FILE",
            "is missing, though YANASHA_TURN names a server: it holds the secret that server "
            "shares with us (coturn: static-auth-secret).",
        )
    if not path.read_bytes().strip():
        raise BadSetting("YANASHA_TURN_SECRET_FILE", f"is empty: {path}.")
    return path


def _file(environ: Mapping[str, str], variable: str) -> Path | None:
    given = _text(environ, variable)
    if given is None:
        return None
    path = Path(given).expanduser().absolute()
    if not path.is_file():
        raise BadSetting(variable, f"is not a file: {path}.")
    return path
