"""Who stands in the supervisor's table for a whole Yanasha, and in which order they start."""

import asyncio
import errno
import json
import os
import re
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from signal import SIGKILL

import psycopg

from ops.ask import OK, http_status, listens_at
from ops.backup_keys import sealer_of
from ops.caddy import caddy_child
from ops.children import Cannot, Child, always, at_once
from ops.stores import store_children
from ops.turn import listening, turn_child
from storage.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
# Every request and every job, several a minute: for the log file.
_DAILY = r'.*"level": "info"'


def stages(settings: Settings) -> list[list[Child]]:
    """Prepare everything and give the table. Raises Cannot before anything runs."""
    check_ports(settings)
    last = [_program(settings, "jobs", "api.runner", chatter=_DAILY)]
    if settings.backups is not None and settings.embedded_postgres:
        sealer_of(settings)  # without a recovery key the log could be sealed for nobody
        last.append(_program(settings, "wal", "ops.wal"))
    if settings.caddy:
        last.append(caddy_child(settings))
    table = [
        [*store_children(settings), *media(settings)],
        [migration(settings)],
        [api(settings)],
        last,
    ]
    if settings.turn is not None and not settings.turn.urls:
        table.append([turn_child(settings, settings.turn)])  # behind Caddy, who has the certificate
    return table


def migration(settings: Settings) -> Child:
    """What brings the tables up to this version; passed over when they are there."""

    async def needed() -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(
                settings.database_url, connect_timeout=5
            ) as database:
                found = await database.execute("SELECT to_regclass('alembic_version') IS NULL")
                if await found.fetchone() == (True,):
                    return True
                rows = await database.execute("SELECT version_num FROM alembic_version")
                return {row[0] for row in await rows.fetchall()} != _heads()
        except psycopg.Error:  # the migration itself will tell the reason
            return True

    return _program(settings, "migrate", "storage.migrate", needed=needed, once=True)


def _heads() -> set[str]:
    """Revisions that no other one follows, read from the migrations' first lines."""
    revisions, followed = set(), set()
    for path in (ROOT / "storage/migrations/versions").glob("*.py"):
        text = path.read_text()
        revisions |= set(re.findall(r"""^revision = ["'](\w+)["']""", text, re.MULTILINE))
        followed |= set(re.findall(r"""^down_revision = ["'](\w+)["']""", text, re.MULTILINE))
    return revisions - followed


def media(settings: Settings) -> list[Child]:
    """The media workers; each is ready when it takes the API's link. Or Janus in their place."""
    if settings.media_engine == "janus":
        return [_program(settings, "media", "rtc.janus", ready=partial(_janus_listens, settings))]

    async def ready(number: int) -> None:
        _, writer = await asyncio.open_unix_connection(settings.link_path(number))
        writer.close()
        await writer.wait_closed()

    return [
        _program(
            settings,
            f"media-{number}" if number else "media",
            "rtc",
            str(number),
            ready=partial(ready, number),
        )
        for number in range(settings.rtc_workers)
    ]


async def _janus_listens(settings: Settings) -> None:
    """Janus says nothing about being ready; it has when its port is open."""
    port = json.loads((settings.run_dir / "janus.json").read_text())["port"]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()


def api(settings: Settings) -> Child:
    """The API and the pages; ready when /readyz says so."""

    async def ready() -> None:
        status = await http_status(settings, "/readyz")
        if status != OK:
            msg = f"/readyz answers {status}"
            raise ConnectionError(msg)

    return _program(settings, "api", "api", ready=ready, chatter=_DAILY)


def check_ports(settings: Settings) -> None:
    """Refuse a taken or forbidden port before anything starts. Raises Cannot."""
    wanted = [(listens_at(settings), settings.http_port, socket.SOCK_STREAM, "YANASHA_HTTP_PORT")]
    if settings.media_engine == "workers":  # Janus takes others
        wanted += [
            (settings.rtc_bind, port, socket.SOCK_DGRAM, "YANASHA_RTC_PORT")
            for port in range(settings.rtc_port, settings.rtc_port + settings.rtc_workers)
        ]
    if settings.caddy:
        wanted += [
            (host, settings.https_port, socket.SOCK_STREAM, "YANASHA_HTTPS_PORT")
            for host in settings.https_hosts
        ]
    if settings.lan:
        wanted.append(("", settings.plain_port, socket.SOCK_STREAM, "YANASHA_PLAIN_PORT"))
    if settings.turn is not None and not settings.turn.urls:
        host, port = listening(settings, settings.turn) or "", settings.turn.port
        wanted += [
            (host, port, kind, "YANASHA_TURN_PORT")
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        ]
        if settings.turn_tls:
            tls_port = settings.turn.tls_port
            wanted.append((host, tls_port, socket.SOCK_STREAM, "YANASHA_TURN_TLS_PORT"))
    with ExitStack() as held:  # all at once: two of ours may not want the same one
        for host, port, kind, variable in wanted:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            probe = held.enter_context(socket.socket(family, kind))
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                if kind == socket.SOCK_STREAM:
                    probe.listen(1)
            except OSError as error:
                raise Cannot(_port_sentence(error, host, port, kind, variable)) from error


def _port_sentence(
    error: OSError, host: str, port: int, kind: socket.SocketKind, variable: str
) -> str:
    name = f"{'UDP port' if kind == socket.SOCK_DGRAM else 'Port'} {port}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{name} is taken, by another program or another setting: stop that one, or choose "
            f"another port with {variable}."
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"{name} is for root only: choose one from 1024 on with {variable}."
    return f"YANASHA_HOST {host!r} is not an address of this machine ({error.strerror})."


def program_env(settings: Settings) -> Mapping[str, str]:
    """Give the environment of our own programs: the caller's, with these settings."""
    return {**os.environ, **settings.to_env(), "PYTHONUNBUFFERED": "1"}


def _program(
    settings: Settings,
    name: str,
    module: str,
    *words: str,
    ready: Callable[[], Awaitable[None]] = at_once,
    needed: Callable[[], Awaitable[bool]] = always,
    once: bool = False,
    chatter: str | None = None,
) -> Child:
    """Give one of our own programs as a row; the kernel kills it at once when we are killed.

    It keeps nothing that a sudden end could spoil: what it acknowledged is in the stores.
    """
    return Child(
        name=name,
        argv=(sys.executable, "-m", module, *words),
        env=program_env(settings),
        ready=ready,
        orphan_signal=SIGKILL,
        once=once,
        needed=needed,
        chatter=chatter,
        cwd=ROOT,
    )
