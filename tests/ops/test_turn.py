"""Debian's coturn as the house starts it: who gets through it, where to, and nothing else."""

import asyncio
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aioice.stun import TransactionFailed
from aioice.turn import create_turn_endpoint

from api.ice_servers import IceServer, ice_servers
from ops.children import Cannot, Child
from ops.home import locked, prepare_home
from ops.supervisor import Supervisor
from ops.turn import listening, peers, turn_child, turnserver_conf
from ops.users import owned_file
from rtc.worker import Worker
from storage.addresses import lan_names
from storage.secrets import UnsafeSecret
from storage.settings import Settings
from tests.ops.running import free_port
from tests.ops.tls_pairs import make_pair
from tests.rtc.media_house import both, connected_to
from tests.rtc.raw_client import RawPage, RawTransport, heard

needs_coturn = pytest.mark.skipif(
    shutil.which("turnserver") is None, reason="needs the Debian package coturn"
)
TRUSTING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TRUSTING.check_hostname, TRUSTING.verify_mode = False, ssl.CERT_NONE


def read(folder: Path, **more: str) -> Settings:
    """Settings with a TURN server of ours on free ports, and a prepared folder."""
    names = ("YANASHA_TURN_PORT", "YANASHA_TURN_TLS_PORT")
    ports = {name: str(free_port(socket.SOCK_STREAM)) for name in names}
    home = {"YANASHA_HOME": str(folder), "YANASHA_TURN": "1"}
    settings = Settings.from_env({**home, **ports, **more})
    prepare_home(settings)
    return settings


def child_of(settings: Settings) -> Child:
    """Coturn's row."""
    assert settings.turn
    return turn_child(settings, settings.turn)


@asynccontextmanager
async def served(settings: Settings, child: Child) -> AsyncIterator[Supervisor]:
    """The row under our supervisor, ready."""
    with locked(settings.home) as kids:
        supervisor = Supervisor(settings.home, [[child]], kids, lambda _: None)
        try:
            await supervisor.start()
            yield supervisor
        finally:
            await supervisor.stop()


@pytest.fixture
async def relay(folder: Path) -> AsyncIterator[Settings]:
    """Settings of a running coturn with a certificate, beside media workers on loopback."""
    certificate, key = make_pair(folder)
    settings = read(folder, YANASHA_TURN_CERTIFICATE=certificate, YANASHA_TURN_KEY=key)
    async with served(settings, child_of(settings)):
        yield settings


class Caller(asyncio.DatagramProtocol):
    """Holds an allocation and the last thing that went wrong with it."""

    def __init__(self) -> None:
        self.refused: asyncio.Queue[Exception] = asyncio.Queue()

    def error_received(self, exc: Exception) -> None:
        self.refused.put_nowait(exc)


async def allocate(settings: Settings, server: IceServer, way: str, protocol: Any) -> Any:
    """Ask for an allocation by one of the ways that the pages are told."""
    assert settings.turn
    transport, _ = await create_turn_endpoint(
        lambda: protocol,
        ("127.0.0.1", settings.turn.tls_port if way == "tls" else settings.turn.port),
        server.username,
        server.credential,
        ssl=TRUSTING if way == "tls" else None,
        transport="udp" if way == "udp" else "tcp",
    )
    return transport


def relayed(settings: Settings, way: str) -> type[RawTransport]:
    """A page's transport that goes by the relay only."""

    class Relayed(RawTransport):
        async def open(self, host: str = "127.0.0.1") -> None:
            del host
            [server] = ice_servers(settings, datetime.now(UTC))
            self._udp = await allocate(settings, server, way, self)
            self.opened.set()

    return Relayed


async def hears_by_relay(settings: Settings, way: str, *announced: str) -> None:
    """Two members, of whom one is reached by the relay only, hear each other."""
    path = settings.run_dir / "link.sock"
    worker = Worker(path, "127.0.0.1", 0, announced)
    async with worker, connected_to(path) as house, rude(settings, worker):
        house.state(both("amina"), both("timur"))
        make = relayed(settings, way)
        pages = [RawPage(name, partial(house.answer, name)) for name in ("amina", "timur")]
        for page in pages:
            page.make = make
            house.join_as(page)
        publish = await pages[0].publishing()
        subscribe, ssrc = await pages[1].watching("amina", "audio")
        await heard(publish, subscribe, ssrc)


@asynccontextmanager
async def rude(settings: Settings, worker: Worker) -> AsyncIterator[None]:
    """Somebody else behind the same relay sends nonsense meanwhile, more than one host may."""
    refused, counters = worker.port.counters.refused_datagrams, worker.port.counters
    [server] = ice_servers(settings, datetime.now(UTC))
    allocation = await allocate(settings, server, "udp", Caller())
    place = (worker._addresses[0], worker.port.number)

    async def flood() -> None:
        while True:
            for _ in range(10):
                allocation.sendto(b"\0\1\0\0nonsense", place)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(flood())
    try:
        yield
    finally:
        task.cancel()
        allocation.close()
    assert counters.refused_datagrams > refused


@needs_coturn
async def test_a_page_that_no_udp_reaches_is_in_the_call_by_each_way_of_the_relay(
    relay: Settings,
) -> None:
    """UDP, TCP and TLS to coturn; all who come by it have one address at the worker."""
    for way in ("udp", "tcp", "tls"):
        await hears_by_relay(relay, way, "127.0.0.1")


@needs_coturn
async def test_behind_a_router_the_relay_takes_the_address_that_is_meant(folder: Path) -> None:
    """The router need not bring back what is sent from within to its own outer address."""
    plain = read(folder)
    assert plain.turn
    child = child_of(plain)
    config = Path(child.argv[-1])
    places = [("203.0.113.7", "127.0.0.1")]
    text = turnserver_conf(plain, plain.turn, config.parent, places, tls=False)
    own = config.parent.stat().st_uid or None

    def before() -> None:
        owned_file(config, text.encode(), own)

    async with served(plain, replace(child, before=before)):
        await hears_by_relay(plain, "udp", "203.0.113.7")


@needs_coturn
async def test_credentials_that_are_expired_edited_or_anothers_are_refused(
    relay: Settings,
) -> None:
    """Nobody gets an allocation but who was let into a room not long ago."""
    now = datetime.now(UTC)
    [good] = ice_servers(relay, now)
    [old] = ice_servers(relay, now - timedelta(hours=1, seconds=5))
    until, _, drawn = good.username.partition(":")
    [foreign] = ice_servers(replace(relay, home=relay.home / "elsewhere"), now)
    longer = IceServer(good.urls, f"{int(until) + 3600}:{drawn}", good.credential)
    for wrong in (old, longer, foreign, IceServer(good.urls, good.username, "")):
        with pytest.raises(TransactionFailed) as refused:
            await allocate(relay, wrong, "udp", Caller())
        assert refused.value.response.attributes["ERROR-CODE"][0] == 401
    (await allocate(relay, good, "udp", Caller())).close()


@needs_coturn
async def test_the_relay_reaches_nothing_but_the_media_workers_own_address(
    relay: Settings,
) -> None:
    """Neither this machine's other addresses, nor its network, nor a cloud's metadata."""
    [server] = ice_servers(relay, datetime.now(UTC))
    caller = Caller()
    allocation = await allocate(relay, server, "udp", caller)
    codes = {}
    for peer in (
        *("127.0.0.2", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254"),
        *(
            "0.0.0.0",  # noqa: S104
            "192.0.2.2",
            "198.51.100.1",
            "224.0.0.1",
            "255.255.255.255",
            "8.8.8.8",
        ),
        *("::1", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    ):
        allocation.sendto(b"word", (peer, 9))
        async with asyncio.timeout(5):
            error = await caller.refused.get()
        assert isinstance(error, TransactionFailed)
        codes[peer] = error.response.attributes["ERROR-CODE"][0]
    allocation.close()
    # 443: the allocation is of IPv4, which an address of IPv6 is not, however it is written.
    assert codes == {peer: 443 if ":" in peer else 403 for peer in codes}


@needs_coturn
async def test_a_renewed_certificate_is_shown_without_a_new_start(folder: Path) -> None:
    """Caddy's for the pages: there is none yet, then there is one, then another."""
    settings = read(folder, YANASHA_LAN="1", YANASHA_TURN_NAME=lan_names()[-1])
    assert settings.turn
    name = settings.turn_name
    place = folder / "caddy/data/certificates/local" / name
    place.mkdir(parents=True)

    async def shown() -> bytes:
        assert settings.turn
        while True:
            try:
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", settings.turn.tls_port, ssl=TRUSTING
                )
            except OSError:
                await asyncio.sleep(0.05)
                continue
            found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
            return bytes(found)

    async with served(settings, replace(child_of(settings), tend_s=0.05)) as supervisor:
        kept = supervisor.named("turn")
        make_pair(place, name)
        async with asyncio.timeout(10):
            first = await shown()
            make_pair(place, name)
            while await shown() == first:
                pass
        assert kept.restarts == 1  # for the first only


@needs_coturn
def test_a_new_start_of_coturn_needs_neither_its_secret_nor_room_on_the_disk(
    folder: Path,
) -> None:
    """Or a full disk would end the whole house. What another user has of before is given to it."""
    certificate, key = make_pair(folder)
    settings = read(folder, YANASHA_TURN_CERTIFICATE=certificate, YANASHA_TURN_KEY=key)
    child = child_of(settings)
    child.before()
    files = [folder / "turn" / name for name in ("turnserver.conf", "pair.pem")]
    before = [path.stat() for path in files]
    (folder / "secrets" / "turn").chmod(0o644)
    child.before()
    assert [path.stat().st_ino for path in files] == [each.st_ino for each in before]
    if os.geteuid() == 0:
        for path in files:
            os.chown(path, 1, 1)
        child.before()
        assert [path.stat().st_uid for path in files] == [each.st_uid for each in before]
    with pytest.raises(UnsafeSecret):
        child_of(settings)


def test_a_servers_user_is_given_no_file_that_it_puts_in_the_place_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is its own: while we write there, as root, it may swap what we wrote for a link."""
    ours = folder / "ours"
    ours.write_text("not theirs")
    given = []

    def swapped(path: Path, *_: int) -> None:
        given.append(path)

    monkeypatch.setattr(os, "chown", swapped)
    path = owned_file(folder / "turnserver.conf", b"theirs", os.geteuid())
    assert (given, path.read_bytes(), path.stat().st_mode & 0o777) == ([], b"theirs", 0o600)


def test_coturns_configuration_is_its_users_alone_and_holds_no_way_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its secret is in the file, not among its arguments; without coturn the package is named."""
    settings = read(folder)
    assert settings.turn
    text = turnserver_conf(settings, settings.turn, folder, peers(settings), tls=False)
    lines = text.splitlines()
    assert "listening-ip=127.0.0.1" in lines
    everywhere = read(folder, YANASHA_HOST="0.0.0.0")  # noqa: S104
    assert listening(everywhere, settings.turn) is None
    assert [each for each in lines if each.startswith("allowed")] == ["allowed-peer-ip=127.0.0.1"]
    denied = [each.partition("=")[2] for each in lines if each.startswith("denied-peer-ip")]
    assert denied == ["0.0.0.0-255.255.255.255", f"::-{':'.join(['ffff'] * 8)}"]
    assert {"use-auth-secret", "no-cli", "no-tcp-relay", "no-multicast-peers"} < set(lines)
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(Cannot, match="Debian package coturn"):
        child_of(settings)


@needs_coturn
async def test_the_secret_is_in_no_argument_variable_or_log(relay: Settings) -> None:
    """Only in a file that coturn's user and we can read."""
    folder, secret = relay.home / "turn", relay.turn_secret
    config = folder / "turnserver.conf"
    assert secret in config.read_text()
    assert (config.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    pid = Path(f"/proc/{int((folder / 'pid').read_text())}")
    told = [(pid / "cmdline").read_bytes(), (pid / "environ").read_bytes()]
    told.append((relay.home / "log/turn.log").read_bytes())
    assert str(config).encode() in told[0]
    assert not any(secret.encode() in each for each in told)
    if config.stat().st_uid:  # we are root: it is not
        status = (pid / "status").read_text()
        assert f"Uid:\t{config.stat().st_uid}\t{config.stat().st_uid}" in status
