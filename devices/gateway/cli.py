"""The gateway's commands, for the person at the home computer.

    python -m devices.gateway scan                    which devices can be heard
    python -m devices.gateway add ADDRESS --server https://... --name "Grandmother's cuff"
    python -m devices.gateway run                     listen, keep, send; until stopped
    python -m devices.gateway status                  what is on this device, sent, stored
    python -m devices.gateway remove ADDRESS

`add` pairs with the device and asks for its token, which was shown once when it was made
(docs/devices.md). Nothing printed tells a measured value.
"""

import argparse
import asyncio
import getpass
import ipaddress
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import httpx
import msgspec

from devices.gateway.buffer import Buffer
from devices.gateway.buffer_file import BadBuffer, alone
from devices.gateway.exchange import STREAMS
from devices.gateway.kept import Setup
from devices.gateway.link import SERVICES, Link, LinkError, NotReached, Seen
from devices.gateway.running import Gateway
from devices.gateway.status import lines, state_of

MODEL_NUMBER = 0x2A24
# A download changes the state a hundred times a second: what is shown is where it has come to.
SETTLE_S = 0.5


class Unusable(Exception):  # noqa: N818 - a fact
    """What was asked for cannot be done; the text says why."""


def default_home() -> Path:
    """Where the buffer lies unless the command line or YANASHA_GATEWAY_HOME says otherwise."""
    named = os.environ.get("YANASHA_GATEWAY_HOME")
    return Path(named) if named else Path.home() / ".yanasha-gateway"


def local_zone() -> str:
    """The machine's own zone by name; empty when it does not say."""
    named = os.environ.get("TZ", "")
    if named in available_timezones():
        return named
    with suppress(OSError):
        parts = Path("/etc/localtime").resolve().parts
        for length in (3, 2, 1):
            zone = "/".join(parts[-length:])
            if zone in available_timezones():
                return zone
    return ""


def checked_server(address: str, *, plain: bool) -> str:
    """The server's address; a token and readings go in the clear only where asked for."""
    try:
        parts = urlsplit(address)
        whole = httpx.URL(address).host and parts.port != 0
    except (ValueError, httpx.InvalidURL) as error:
        raise Unusable(f"that is no address: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or not whole:
        raise Unusable("the server's address begins with https://")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise Unusable("the server's address has no name, password or question in it")
    here = parts.hostname == "localhost"
    with suppress(ValueError):
        here = here or ipaddress.ip_address(parts.hostname).is_loopback
    if parts.scheme == "http" and not here and not plain:
        raise Unusable("over http anybody on the way reads along; --plain-http allows it")
    return address.rstrip("/")


def token_of(file: str | None) -> str:
    """The device's token from a file or typed in: never from the command line, which others see."""
    if file is not None:
        token = Path(file).read_text(encoding="utf-8", errors="replace").strip()
    else:
        token = getpass.getpass("The device's token (it is not shown): ").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Unusable("that is no token")
    return token


def shown(name: str) -> str:
    """What a stranger's device calls itself, without what would steer this terminal."""
    return "".join(letter for letter in name if letter.isprintable()).strip()[:64]


async def hear(link: Link, seconds: float) -> list[Seen]:
    """Every device that advertises meanwhile, those with a service of ours first."""
    found: dict[str, Seen] = {}

    def heard(seen: Seen) -> None:
        before = found.get(seen.address)
        services = seen.services | (before.services if before else frozenset())
        name = shown(seen.name) or (before.name if before else "")
        found[seen.address] = Seen(seen.address, name, services)

    async with link.scan(heard):
        await asyncio.sleep(seconds)
    return sorted(found.values(), key=lambda one: not one.services & SERVICES.keys())


async def meet(link: Link, address: str, seconds: float) -> tuple[str, str, list[int]]:
    """Pair with a device; its address as the radio has it, its model, and what it measures."""
    for seen in await hear(link, seconds):
        if seen.address.lower() != address.lower():
            continue
        async with link.connect(seen, pair=True) as connection:
            has = connection.characteristics
            model = seen.name
            if MODEL_NUMBER in has:
                model = shown((await connection.read(MODEL_NUMBER)).decode(errors="replace"))
            return seen.address, model, [one for one in STREAMS if one in has]
    raise NotReached(f"{address} was not heard: wake it, come nearer, try again")


def parser() -> argparse.ArgumentParser:
    """What may be asked."""
    root = argparse.ArgumentParser(
        prog="python -m devices.gateway",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--home", type=Path, default=default_home(), help="folder of the buffer")
    commands = root.add_subparsers(dest="command", required=True)
    scan = commands.add_parser("scan", help="which devices can be heard")
    scan.add_argument("--seconds", type=float, default=10.0)
    add = commands.add_parser("add", help="pair with a device and keep its token")
    add.add_argument("address", help="as `scan` shows it")
    add.add_argument("--name", default="", help="what you call it")
    add.add_argument("--server", required=True)
    add.add_argument("--plain-http", action="store_true", help="allow http to another machine")
    add.add_argument("--zone", default=local_zone(), help="of the device's clock: Europe/Moscow")
    add.add_argument("--user", type=int, help="whose readings, of a device that several share")
    add.add_argument("--model", help="row of devices/gatt/models.py, when its name does not tell")
    add.add_argument("--token-file", help="file that holds the token (default: it is asked for)")
    add.add_argument("--seconds", type=float, default=30.0)
    add.add_argument(
        "--same-person",
        action="store_true",
        help="the new token is of the person whose readings of this device wait: send them with it",
    )
    commands.add_parser("run", help="listen, keep, send; until stopped")
    status = commands.add_parser("status", help="what is on this device, sent, stored")
    status.add_argument("--json", action="store_true")
    remove = commands.add_parser("remove", help="forget a device and its token")
    remove.add_argument("address")
    remove.add_argument(
        "--unsent-too", action="store_true", help="lose the readings that wait for the server"
    )
    return root


def _radio() -> Link:
    """The real one; said in one sentence when bleak is not installed."""
    try:
        from devices.gateway.radio import Radio  # noqa: PLC0415 - the server has no radio
    except ImportError as error:
        raise Unusable("bleak is missing: pip install -r requirements/gateway.txt") from error
    return Radio()


async def _scan(seconds: float) -> None:
    for seen in await hear(_radio(), seconds):
        services = [SERVICES[one] for one in SERVICES if one in seen.services]
        _say(f"{seen.address}  {seen.name or '(no name)'}  {', '.join(services)}")


async def add(options: argparse.Namespace, link: Link) -> None:
    """Pair with a device and keep what is needed to serve it."""
    server = checked_server(options.server, plain=options.plain_http)
    if options.zone not in available_timezones():
        raise Unusable("name the zone of the device's clock: --zone Europe/Moscow")
    token = token_of(options.token_file)
    address, model, streams = await meet(link, options.address, options.seconds)
    if not streams:
        raise Unusable(f"{model or address} has no service this gateway understands")
    new = Setup(
        address=address,
        name=options.name or model or address,
        model=options.model or model,
        zone=ZoneInfo(options.zone).key,
        user=options.user,
        server=server,
        token=token,
    )
    with Buffer.at(options.home / "buffer.sqlite") as buffer:
        waiting = buffer.add_device(new, datetime.now(UTC), same_person=options.same_person)
    if waiting:
        raise Unusable(
            f"{waiting} readings of it wait for the server. Is the new token of the same person? "
            "Then add --same-person. Else let the gateway send them first, with the token before"
        )
    _say(f"{new.name} is added. A gateway that runs takes it up within seconds.")


async def _run(home: Path) -> None:
    with Buffer.at(home / "buffer.sqlite") as buffer, alone(home):
        if not buffer.devices():
            raise Unusable("no device has been added: see `add`")
        gateway = Gateway(buffer, _radio(), lambda: datetime.now(UTC))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_show(gateway))
            tasks.create_task(gateway.run())


async def _show(gateway: Gateway) -> None:
    """Print the states whenever they have changed."""
    shown: list[str] = []
    while True:
        await gateway.changed.wait()
        await asyncio.sleep(SETTLE_S)
        gateway.changed.clear()
        told = lines(state_of(gateway.buffer))
        for line in told:
            if line not in shown:
                _say(line)
        shown = told


def _status(home: Path, *, as_json: bool) -> None:
    with Buffer.at(home / "buffer.sqlite") as buffer:
        state = state_of(buffer)
    if as_json:
        _say(msgspec.json.encode(state).decode())
    else:
        for line in lines(state) or ["no device has been added"]:
            _say(line)


def _remove(home: Path, address: str, *, unsent_too: bool) -> None:
    with Buffer.at(home / "buffer.sqlite") as buffer:
        waiting = buffer.remove_device(address, unsent_too=unsent_too)
    if waiting is None:
        raise Unusable(f"{address} is not known here")
    if waiting:
        raise Unusable(
            f"{waiting} readings of it wait for the server: let the gateway run first, or lose "
            "them with --unsent-too"
        )
    _say(f"{address} is forgotten here. End its token at the server too.")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program of the shell


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; 0, or 1 with one sentence when it cannot be done."""
    options = parser().parse_args(words)
    try:
        match options.command:
            case "scan":
                asyncio.run(_scan(options.seconds))
            case "add":
                asyncio.run(add(options, _radio()))
            case "run":
                asyncio.run(_run(options.home))
            case "status":
                _status(options.home, as_json=options.json)
            case _:
                _remove(options.home, options.address, unsent_too=options.unsent_too)
    except KeyboardInterrupt:
        return 0
    except (Unusable, BadBuffer, LinkError, OSError, sqlite3.Error) as error:
        print(f"gateway: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        print(f"gateway: {type(first).__name__}: {first}", file=sys.stderr)  # noqa: T201
        return 1
    return 0
