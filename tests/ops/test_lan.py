"""The LAN's front door: real Caddy with an authority of its own, and the page that explains it."""

import hashlib
import http.client
import re
import socket
import ssl
from asyncio import to_thread
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest

from ops.caddy import caddy_child
from ops.home import locked, prepare_home
from ops.supervisor import Supervisor
from ops.trust import DEVICES, LANGUAGES, trust_lines, words
from storage.settings import Settings
from tests.ops.running import free_port


@pytest.fixture
async def lan(folder: Path) -> AsyncIterator[Settings]:
    """Settings of a running Caddy in LAN mode; behind it nobody answers."""
    names = ("YANASHA_HTTP_PORT", "YANASHA_HTTPS_PORT", "YANASHA_PLAIN_PORT")
    ports = {name: str(free_port(socket.SOCK_STREAM)) for name in names}
    settings = Settings.from_env({"YANASHA_HOME": str(folder), "YANASHA_LAN": "1", **ports})
    prepare_home(settings)
    with locked(folder) as kids:
        supervisor = Supervisor(folder, [[caddy_child(settings)]], kids, lambda _: None)
        try:
            await supervisor.start()
            yield settings
        finally:
            await supervisor.stop()


Answer = tuple[int, dict[str, str], bytes]


async def ask(settings: Settings, path: str, language: str = "", method: str = "GET") -> Answer:
    """Ask over plain HTTP, as a device that trusts nothing yet."""

    def call() -> Answer:
        link = http.client.HTTPConnection("127.0.0.1", settings.plain_port, timeout=10)
        link.request(method, path, headers={"Accept-Language": language} if language else {})
        answer = link.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        link.close()
        return found

    return await to_thread(call)


async def test_the_certificate_of_the_page_makes_the_house_trusted(lan: Settings) -> None:
    """Its fingerprint is on the page and among what `serve` prints; with it TLS succeeds."""
    status, headers, certificate = await ask(lan, "/trust/yanasha.crt")
    assert (status, headers["Content-Type"]) == (200, "application/x-x509-ca-cert")
    found = hashlib.sha256(certificate).digest().hex(":").upper()
    _, _, page = await ask(lan, "/trust")
    assert re.findall(rb'class="fingerprint">([0-9A-F:]{95})<', page) == [found.encode()]
    assert f"  {found}" in trust_lines(lan)
    with pytest.raises(ssl.SSLCertVerificationError):
        await to_thread(meet, lan, ssl.create_default_context())
    assert await to_thread(meet, lan, ssl.create_default_context(cadata=certificate)) == 200


def meet(settings: Settings, trust: ssl.SSLContext) -> int:
    """The page over https, with the name checked against this trust."""
    link = http.client.HTTPSConnection("localhost", settings.https_port, timeout=10, context=trust)
    try:
        link.request("GET", "/trust/en")
        return link.getresponse().status
    finally:
        link.close()


@pytest.mark.parametrize(
    ("path", "asked", "language"),
    [
        ("/trust", "", "ru"),
        ("/trust", "de-DE,de;q=0.9,en;q=0.8", "ru"),
        ("/trust", "tt-RU,ru;q=0.9", "tt"),
        ("/trust/", "en-US,en", "en"),
        ("/trust/tt", "en", "tt"),
        ("/trust/ru", "en", "ru"),
    ],
)
async def test_the_page_speaks_the_readers_language(
    lan: Settings, path: str, asked: str, language: str
) -> None:
    """The browser's, or the one chosen on the page; with every step for every device."""
    status, headers, body = await ask(lan, path, asked)
    page = body.decode()
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert f'<html lang="{language}">' in page
    text = unescape(page)
    for device in DEVICES:
        steps = [one for key, one in words(language).items() if key.startswith(f"{device}_")]
        assert len(steps) >= 2
        assert all(step.replace("{name}", "Yanasha") in text for step in steps)
    assert all(f'href="/trust/{other}"' in page for other in LANGUAGES)
    assert "script-src" not in headers["Content-Security-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    status, headers, _ = await ask(lan, "/trust/trust.css")
    assert (status, headers["Content-Type"]) == (200, "text/css; charset=utf-8")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/", "/api/v1/me?x=1", "/trusted"])
async def test_everything_else_goes_to_https(lan: Settings, path: str, method: str) -> None:
    """No page, no cookie and no password over plain HTTP."""
    status, headers, _ = await ask(lan, path, method=method)
    assert (status, headers["Location"]) == (307, f"https://127.0.0.1:{lan.https_port}{path}")


@pytest.mark.parametrize(
    "path",
    [
        "/trust/root.key",
        "/trust/../data/pki/authorities/local/root.key",
        "/trust/%2e%2e/data/pki/authorities/local/root.key",
        "/trust/..%2fdata/pki/authorities/local/root.key",
        "/trust/en.html/../../Caddyfile",
    ],
)
async def test_the_page_leads_to_nothing_secret(lan: Settings, path: str) -> None:
    """Neither the authority's key nor the configuration, which are there."""
    assert (lan.home / "caddy/data/pki/authorities/local/root.key").exists()
    status, _, body = await ask(lan, path)
    assert status in {307, 400, 404}
    assert b"PRIVATE KEY" not in body
    assert b"storage file_system" not in body


def test_outside_a_lan_there_is_nothing_to_trust(folder: Path) -> None:
    """`serve` then says nothing of it."""
    assert trust_lines(Settings.from_env({"YANASHA_HOME": str(folder)})) == []


@pytest.mark.parametrize(("port", "shown"), [("80", ""), ("8090", ":8090")])
def test_the_printed_address_is_plain_http(port: str, shown: str) -> None:
    """Under every name of the machine, without a port where a browser needs none."""
    lan = Settings.from_env({"YANASHA_LAN": "1", "YANASHA_PLAIN_PORT": port})
    assert lan.trust_urls
    for url in lan.trust_urls:
        assert re.fullmatch(rf"http://[\w.-]+{shown}/trust", url)
