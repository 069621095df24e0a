"""Every setting of the product, read once from the environment; docs/operations.md has the table.

Any command with the same YANASHA_HOME finds the running embedded servers: their ports lie in
`home/state/ports.json`, their passwords in `home/secrets`.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from storage.addresses import draw_ports, is_host_name, lan_addresses, lan_names, socket_place
from storage.bad_setting import BadSetting as BadSetting  # noqa: PLC0414 - also ours to give
from storage.outside_provider import OutsideProvider
from storage.outside_signer import OutsideSigner
from storage.secrets import secret
from storage.turn import Turn, announced

_YEARS = (3, 100)
_WORKERS_MAX = 32
_PORT_MAX = 65535
# sockaddr_un holds 108 bytes with the closing zero (unix(7)).
_SOCKET_PATH_MAX = 107
_SMTP_PORTS = {"smtp": 587, "smtps": 465}
_YES, _NO = {"1", "yes", "true", "on"}, {"", "0", "no", "false", "off"}


@dataclass(frozen=True)
class S3Place:
    """An S3 store outside this installation."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class SmtpPlace:
    """A mail server. `tls`: implicit, starttls, or offered (this machine's own server)."""

    host: str
    port: int
    tls: str
    username: str | None
    password: str | None = field(repr=False)
    url: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """One installation. Reading it makes nothing; secrets and ports are made at first use."""

    home: Path
    host: str = "127.0.0.1"
    http_port: int = 8000
    https_port: int = 8443
    plain_port: int = 8080
    rtc_port: int = 8010
    rtc_address: str | None = None
    rtc_workers: int = 1  # on as many ports, from `rtc_port` on
    media_engine: str = "workers"
    turn: Turn | None = None
    pg_bin: Path | None = None
    outside_database: str | None = field(default=None, repr=False)
    outside_objects: S3Place | None = None
    s3_bucket: str = "yanasha"
    s3_region: str = "us-east-1"
    data: Path | None = None
    domain: str | None = None
    lan: bool = False
    more_origins: tuple[str, ...] = ()
    oidc: OutsideProvider | None = None
    signer: OutsideSigner | None = None
    staff_second_factor: str = "required"
    smtp: SmtpPlace | None = None
    mail_from: str = "yanasha@localhost"
    clamd: str | None = None
    backups: str | None = field(default=None, repr=False)  # a folder, or a bucket with its keys
    keep_health_records_years: int | None = None  # None: for ever

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the environment; an empty value counts as absent. Raises BadSetting."""
        domain = _text(environ, "YANASHA_DOMAIN")
        if domain is not None and not is_host_name(domain):
            raise BadSetting("YANASHA_DOMAIN", f"is not a host name: {domain!r}.")
        settings = cls(
            home=_home(environ),
            host=_text(environ, "YANASHA_HOST") or cls.host,
            http_port=_port(environ, "YANASHA_HTTP_PORT", cls.http_port),
            https_port=_port(
                environ, "YANASHA_HTTPS_PORT", 443 if domain is not None else cls.https_port
            ),
            plain_port=_port(environ, "YANASHA_PLAIN_PORT", cls.plain_port),
            rtc_port=_port(environ, "YANASHA_RTC_PORT", cls.rtc_port),
            rtc_address=announced(_text(environ, "YANASHA_RTC_ADDRESS")),
            rtc_workers=_workers(environ),
            media_engine=_word(environ, "YANASHA_MEDIA_ENGINE", ("workers", "janus")),
            turn=Turn.from_env(environ),
            pg_bin=_folder(environ, "YANASHA_PG_BIN"),
            outside_database=_database(environ),
            outside_objects=_objects(environ),
            s3_bucket=_text(environ, "S3_BUCKET") or cls.s3_bucket,
            s3_region=_text(environ, "S3_REGION") or cls.s3_region,
            data=_folder(environ, "YANASHA_DATA"),
            domain=domain,
            lan=_switch(environ, "YANASHA_LAN"),
            more_origins=tuple(_origins(environ)),
            oidc=OutsideProvider.from_env(environ),
            signer=OutsideSigner.from_env(environ),
            staff_second_factor=_word(
                environ, "YANASHA_STAFF_SECOND_FACTOR", ("required", "offered")
            ),
            smtp=_smtp(environ),
            mail_from=_mail_from(environ, domain),
            clamd=_clamd(environ),
            backups=_text(environ, "YANASHA_BACKUPS"),
            keep_health_records_years=_years(environ, "YANASHA_KEEP_HEALTH_RECORDS_YEARS"),
        )
        if settings.rtc_port + settings.rtc_workers - 1 > _PORT_MAX:
            raise BadSetting("YANASHA_RTC_PORT", "leaves no port for each media worker.")
        if settings.domain is not None and settings.lan:
            raise BadSetting("YANASHA_LAN", "cannot be used together with YANASHA_DOMAIN.")
        if settings.caddy and settings.turn is not None:
            settings.turn.beside_pages(settings.https_port, domain=settings.domain is not None)
        return settings

    def to_env(self) -> dict[str, str]:
        """Give the variables from which `from_env` reads the same settings: for child processes."""
        place = self.outside_objects
        values = {
            "YANASHA_HOME": str(self.home),
            "YANASHA_HOST": self.host,
            "YANASHA_HTTP_PORT": str(self.http_port),
            "YANASHA_HTTPS_PORT": str(self.https_port),
            "YANASHA_PLAIN_PORT": str(self.plain_port),
            "YANASHA_RTC_PORT": str(self.rtc_port),
            "YANASHA_RTC_ADDRESS": self.rtc_address or "",
            "YANASHA_RTC_WORKERS": str(self.rtc_workers),
            "YANASHA_MEDIA_ENGINE": self.media_engine,
            **(self.turn.to_env() if self.turn else {}),
            "YANASHA_PG_BIN": str(self.pg_bin or ""),
            "DATABASE_URL": self.outside_database or "",
            "S3_ENDPOINT": place.endpoint if place else "",
            "S3_ACCESS_KEY": place.access_key if place else "",
            "S3_SECRET_KEY": place.secret_key if place else "",
            "S3_BUCKET": self.s3_bucket,
            "S3_REGION": self.s3_region,
            "YANASHA_DATA": str(self.data or ""),
            "YANASHA_DOMAIN": self.domain or "",
            "YANASHA_LAN": "1" if self.lan else "",
            "YANASHA_ORIGINS": ",".join(self.more_origins),
            **(self.oidc.to_env() if self.oidc else {}),
            **(self.signer.to_env() if self.signer else {}),
            "YANASHA_STAFF_SECOND_FACTOR": self.staff_second_factor,
            "YANASHA_SMTP_URL": self.smtp.url if self.smtp else "",
            "YANASHA_MAIL_FROM": self.mail_from,
            "YANASHA_CLAMD": self.clamd or "",
            "YANASHA_BACKUPS": self.backups or "",
            "YANASHA_KEEP_HEALTH_RECORDS_YEARS": str(self.keep_health_records_years or ""),
        }
        return {name: value for name, value in values.items() if value}

    def with_database(self, url: str) -> Self:
        """Give the same settings with this database instead of the embedded one."""
        return replace(self, outside_database=url)

    @property
    def staff_factor_required(self) -> bool:
        """True when staff do nothing before they have made a second factor."""
        return self.staff_second_factor == "required"

    @property
    def embedded_postgres(self) -> bool:
        """True when the supervisor runs its own PostgreSQL."""
        return self.outside_database is None

    @property
    def embedded_objects(self) -> bool:
        """True when the supervisor runs its own SeaweedFS."""
        return self.outside_objects is None

    @property
    def secrets_dir(self) -> Path:
        """The installation's secrets, 0700."""
        return self.home / "secrets"

    @property
    def state_dir(self) -> Path:
        """What the supervisor remembers between starts: ports, uid, children."""
        return self.home / "state"

    @property
    def run_dir(self) -> Path:
        """Sockets of the running processes; short, because a socket's path is at most 107 bytes."""
        longest = self.home / "run" / "pg" / ".s.PGSQL.5432.lock"
        if len(os.fsencode(longest)) > _SOCKET_PATH_MAX:
            excess = len(os.fsencode(longest)) - _SOCKET_PATH_MAX
            raise BadSetting(
                "YANASHA_HOME",
                f"is {excess} bytes too long for unix sockets: {self.home}; use a shorter folder.",
            )
        return self.home / "run"

    def link_path(self, worker: int = 0) -> Path:
        """Unix socket on which media worker number `worker` listens for the API."""
        return self.run_dir / f"rtc-{worker}.sock"

    @property
    def postgres_socket_dir(self) -> Path:
        """Folder of the embedded PostgreSQL's socket."""
        return self.run_dir / "pg"

    @property
    def database_url(self) -> str:
        """The libpq URL: DATABASE_URL, or the embedded server over its unix socket."""
        if self.outside_database is not None:
            return self.outside_database
        return self.embedded_database_url("yanasha")

    def embedded_database_url(self, database: str) -> str:
        """Give the libpq URL of one database of the embedded server."""
        folder = quote(str(self.postgres_socket_dir), safe="/")
        return f"postgresql://app:{self.postgres_password}@/{database}?host={folder}"

    @property
    def postgres_password(self) -> str:
        """Password of the embedded server's only role, `app`."""
        return secret(self.home, "postgres").hex()

    @property
    def s3_endpoint(self) -> str:
        """URL of the S3 store, without a path."""
        if self.outside_objects is not None:
            return self.outside_objects.endpoint
        return f"http://127.0.0.1:{self.object_ports['s3']}"

    @property
    def s3_access_key(self) -> str:
        """S3 access key."""
        if self.outside_objects is not None:
            return self.outside_objects.access_key
        return secret(self.home, "s3-access-key", 10).hex()

    @property
    def s3_secret_key(self) -> str:
        """S3 secret key."""
        if self.outside_objects is not None:
            return self.outside_objects.secret_key
        return secret(self.home, "s3-secret-key").hex()

    @property
    def object_ports(self) -> dict[str, int]:
        """Ports of the embedded SeaweedFS, drawn once: changed ports would orphan its metadata."""
        path = self.state_dir / "ports.json"
        if not path.exists():
            draw_ports(path)
        ports: dict[str, int] = json.loads(path.read_text())
        return ports

    @property
    def caddy(self) -> bool:
        """True when Caddy stands in front with TLS: with a domain or in the LAN."""
        return self.lan or self.domain is not None

    @property
    def https_hosts(self) -> tuple[str, ...]:
        """Where Caddy listens: everywhere, or but for the address at which TURN has its port."""
        turn = self.turn
        if turn is None or turn.urls or turn.tls_port != self.https_port:
            return ("",)
        return tuple(each for each in ("127.0.0.1", *lan_addresses()) if each != turn.host)

    @property
    def secure_cookies(self) -> bool:
        """Cookies only over https: wherever Caddy stands in front."""
        return self.caddy

    @property
    def origins(self) -> tuple[str, ...]:
        """Values of `Origin` that our own pages send; every other one is refused."""
        if self.caddy:
            port = "" if self.https_port == 443 else f":{self.https_port}"  # noqa: PLR2004
            names = [self.domain] if self.domain is not None else [*lan_names(), "localhost"]
            own = [f"https://{name}{port}" for name in names]
        else:
            names = ["localhost", "127.0.0.1"]
            names += lan_addresses() if self.host == "0.0.0.0" else [self.host]  # noqa: S104
            own = [f"http://{name}:{self.http_port}" for name in names]
        return tuple(dict.fromkeys([*own, *self.more_origins]))

    @property
    def urls(self) -> tuple[str, ...]:
        """Where people open the product, the one to try first in front."""
        if self.domain is not None or self.lan:
            return tuple(url for url in self.origins if not url.startswith("https://localhost"))
        first = "127.0.0.1" if self.host in {"0.0.0.0", "127.0.0.1"} else self.host  # noqa: S104
        urls = [f"http://{first}:{self.http_port}"]
        if self.host == "0.0.0.0":  # noqa: S104
            urls += [f"http://{address}:{self.http_port}" for address in lan_addresses()]
        return tuple(urls)

    @property
    def trust_urls(self) -> tuple[str, ...]:
        """Where a device of the LAN learns to trust our authority: plain HTTP, it cannot else."""
        if not self.lan:
            return ()
        port = "" if self.plain_port == 80 else f":{self.plain_port}"  # noqa: PLR2004
        return tuple(f"http://{name}{port}/trust" for name in lan_names())

    @property
    def rtc_addresses(self) -> tuple[str, ...]:
        """Addresses at which browsers reach the media port, for the ICE candidates."""
        if self.rtc_address is not None:
            return tuple(self.rtc_address.split(","))
        if self.caddy or self.host == "0.0.0.0":  # noqa: S104
            return tuple(lan_addresses()) or ("127.0.0.1",)
        return (self.host,)

    @property
    def rtc_bind(self) -> str:
        """Where the media port is bound: the announced address when it is our own single one.

        Bound to one address, answers leave with that source; a forwarded or second one needs all.
        """
        if self.rtc_addresses == (self.host,):
            return self.host
        return "::" if any(":" in each for each in self.rtc_addresses) else "0.0.0.0"  # noqa: S104

    @property
    def turn_name(self) -> str:
        """By which browsers find our own TURN server: the name of the pages' certificate."""
        given = self.turn.name if self.turn else None
        return given or self.domain or self.rtc_addresses[0]

    @property
    def turn_tls(self) -> bool:
        """True when our TURN server can have a certificate: its own, or the one of the pages."""
        if self.turn is None or self.turn.certificate is not None:
            return self.turn is not None
        return self.turn_name in ([self.domain] if self.domain else lan_names() if self.lan else [])

    @property
    def turn_secret(self) -> str:
        """What our TURN server, or the operator's, checks the browsers' credentials with."""
        if self.turn is not None and self.turn.secret_file is not None:
            return self.turn.secret_file.read_text().strip()
        return secret(self.home, "turn").hex()


def _text(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name, "").strip() or None


def _home(environ: Mapping[str, str]) -> Path:
    given = _text(environ, "YANASHA_HOME")
    if given is not None:
        home = Path(given).expanduser()
    elif os.geteuid() == 0:
        home = Path("/var/lib/yanasha")
    else:
        shared = _text(environ, "XDG_DATA_HOME")
        home = (Path(shared) if shared else Path.home() / ".local/share") / "yanasha"
    return home.absolute()


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    given = _text(environ, name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= _PORT_MAX:
        raise BadSetting(name, f"is not a port from 1 to {_PORT_MAX}: {given!r}.")
    return int(given)


def _workers(environ: Mapping[str, str]) -> int:
    """One a core unless it is said otherwise."""
    given = _text(environ, "YANASHA_RTC_WORKERS")
    if given is None:
        return min(os.cpu_count() or 1, _WORKERS_MAX)
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= _WORKERS_MAX:
        raise BadSetting(
            "YANASHA_RTC_WORKERS", f"is not a number from 1 to {_WORKERS_MAX}: {given!r}."
        )
    return int(given)


def _switch(environ: Mapping[str, str], name: str) -> bool:
    given = environ.get(name, "").strip().lower()
    if given in _YES:
        return True
    if given in _NO:
        return False
    raise BadSetting(name, f"is neither 1 nor 0: {given!r}.")


def _word(environ: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    """One of these words; the first when nothing is said."""
    given = _text(environ, name) or words[0]
    if given not in words:
        raise BadSetting(name, f"is none of {', '.join(words)}: {given!r}.")
    return given


def _folder(environ: Mapping[str, str], name: str) -> Path | None:
    given = _text(environ, name)
    if given is None:
        return None
    folder = Path(given).expanduser().absolute()
    if not folder.is_dir():
        raise BadSetting(name, f"is not a folder: {folder}.")
    return folder


def _database(environ: Mapping[str, str]) -> str | None:
    given = _text(environ, "DATABASE_URL")
    if given is None:
        return None
    scheme, colon, rest = given.partition("://")
    if not colon or scheme.split("+")[0] not in {"postgresql", "postgres"}:
        raise BadSetting("DATABASE_URL", "does not begin with postgresql://.")
    return f"postgresql://{rest}"


def _objects(environ: Mapping[str, str]) -> S3Place | None:
    names = ("S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY")
    given = {name: value for name in names if (value := _text(environ, name)) is not None}
    if not given:
        return None
    for name in names:
        if name not in given:
            raise BadSetting(name, f"is missing, though {next(iter(given))} is set.")
    url = urlsplit(given["S3_ENDPOINT"])
    if url.scheme not in {"http", "https"} or not url.hostname or url.path.strip("/"):
        raise BadSetting(
            "S3_ENDPOINT", f"is not like https://s3.example.org: {given['S3_ENDPOINT']!r}."
        )
    return S3Place(
        endpoint=f"{url.scheme}://{url.netloc}",
        access_key=given["S3_ACCESS_KEY"],
        secret_key=given["S3_SECRET_KEY"],
    )


def _origins(environ: Mapping[str, str]) -> list[str]:
    found = []
    for part in environ.get("YANASHA_ORIGINS", "").split(","):
        if not part.strip():
            continue
        url = urlsplit(part.strip())
        if url.scheme not in {"http", "https"} or not url.netloc or url.path.strip("/"):
            raise BadSetting(
                "YANASHA_ORIGINS", f"holds something else than https://host: {part.strip()!r}."
            )
        found.append(f"{url.scheme}://{url.netloc}")
    return found


def _smtp(environ: Mapping[str, str]) -> SmtpPlace | None:
    given = _text(environ, "YANASHA_SMTP_URL")
    if given is None:
        return None
    wrong = BadSetting("YANASHA_SMTP_URL", "is not like smtps://name:password@mail.example.org.")
    try:
        url = urlsplit(given)
        host, port = url.hostname, url.port
    except ValueError:
        raise wrong from None
    if url.scheme not in _SMTP_PORTS or not host or url.path.strip("/") or url.query:
        raise wrong
    # A password never leaves this machine in the clear, nor does a letter.
    own = host in {"localhost", "127.0.0.1", "::1"}
    tls = "implicit" if url.scheme == "smtps" else "offered" if own else "starttls"
    return SmtpPlace(
        host=host,
        port=port or _SMTP_PORTS[url.scheme],
        tls=tls,
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        url=given,
    )


def _mail_from(environ: Mapping[str, str], domain: str | None) -> str:
    given = _text(environ, "YANASHA_MAIL_FROM")
    if given is None:
        return f"yanasha@{domain or 'localhost'}"
    if not re.fullmatch(r"[^\s@<>\",;]+@[^\s@<>\",;]+", given):
        raise BadSetting("YANASHA_MAIL_FROM", f"is not a mail address: {given!r}.")
    return given


def _clamd(environ: Mapping[str, str]) -> str | None:
    given = _text(environ, "YANASHA_CLAMD")
    if given is None:
        return None
    try:
        socket_place(given)
    except ValueError:
        wrong = f"is neither a socket's path nor host:port: {given!r}."
        raise BadSetting("YANASHA_CLAMD", wrong) from None
    return given


def _years(environ: Mapping[str, str], name: str) -> int | None:
    """After what time something is deleted; so short a time that it must be a slip is refused."""
    given = _text(environ, name)
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or not _YEARS[0] <= int(given) <= _YEARS[1]:
        raise BadSetting(name, f"is not a number from {_YEARS[0]} to {_YEARS[1]}: {given!r}.")
    return int(given)
