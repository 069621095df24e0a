"""Web push: what is sealed only the browser opens; where it may go; what its service answers."""

import asyncio
import ipaddress
import ssl
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import http_ece
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jwt
from joserfc.jwk import ECKey

from people import web_push
from people.web_push import (
    Address,
    PushAway,
    PushFailed,
    PushForbidden,
    PushGone,
    outside,
    public_key,
    sealed,
    send,
    token,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class Service:
    """A vendor's push service on loopback, over TLS: what it was sent, and what it answers."""

    port: int = 0
    status: int = 201
    drips: bool = False
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    requests: list[bytes] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"https://localhost:{self.port}/send/abc"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        self.requests.append(head + await reader.readexactly(length))
        if self.drips:
            await self.drip(writer)
        writer.write(
            b"HTTP/1.1 %d X\r\nLocation: https://localhost:%d/other\r\nContent-Length: 0\r\n\r\n"
            % (self.status, self.port)
        )
        await writer.drain()
        writer.close()

    async def drip(self, writer: asyncio.StreamWriter) -> None:
        """A byte now and then, for as long as anybody listens."""
        with suppress(ConnectionError):
            writer.write(b"HTTP/1.1 201 X\r\nX: ")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody has signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    real_now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(real_now - timedelta(days=1))
        .not_valid_after(real_now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
async def service(certificate: Path) -> AsyncIterator[Service]:
    service = Service()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    service.trust.load_verify_locations(certificate)
    server = await asyncio.start_server(service.answer, "127.0.0.1", 0, ssl=context)
    service.port = server.sockets[0].getsockname()[1]
    yield service
    server.close()
    await server.wait_closed()


def _anywhere(_: Address) -> bool:
    return True


async def _send(service: Service, permitted: Callable[[Address], bool] = _anywhere) -> None:
    trust = service.trust
    await send(service.endpoint, b"x", "vapid t=a", urgent=True, permitted=permitted, trust=trust)


def test_only_the_browser_opens_what_is_sealed_for_it() -> None:
    browser, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    point = browser.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    body = sealed("ждёт".encode(), point, b"s" * 16)
    assert "ждёт".encode() not in body
    opened = http_ece.decrypt(body, private_key=browser, auth_secret=b"s" * 16)
    assert opened == "ждёт".encode()
    for key, auth in ((other, b"s" * 16), (browser, b"t" * 16)):
        with pytest.raises(http_ece.ECEException):
            http_ece.decrypt(body, private_key=key, auth_secret=auth)


def test_the_token_names_the_service_and_holds_to_the_key_the_browser_was_given(
    tmp_path: Path,
) -> None:
    x, y = (urlsafe_b64encode(part).rstrip(b"=").decode() for part in _halves(public_key(tmp_path)))
    key = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    made = jwt.decode(token(tmp_path, "https://push.example/a/b?c", "me@example.org", NOW), key)
    assert made.header["alg"] == "ES256"
    assert made.claims == {
        "aud": "https://push.example",
        "exp": int((NOW + timedelta(hours=12)).timestamp()),
        "sub": "mailto:me@example.org",
    }
    assert public_key(tmp_path) == public_key(tmp_path)


def _halves(text: str) -> tuple[bytes, bytes]:
    point = urlsafe_b64decode(text + "=")
    assert (len(point), point[0]) == (65, 4)
    return point[1:33], point[33:]


async def test_the_service_is_called_by_its_name_with_what_the_rules_of_push_ask(
    service: Service,
) -> None:
    await _send(service)
    (request,) = service.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = {line.lower() for line in head.split(b"\r\n")}
    assert head.startswith(b"POST /send/abc HTTP/1.1")
    assert {
        b"host: localhost:%d" % service.port,
        b"authorization: vapid t=a",
        b"content-encoding: aes128gcm",
        b"urgency: high",
        b"ttl: 86400",
    } <= lines
    assert (b"cookie" in head.lower(), body) == (False, b"x")


@pytest.mark.parametrize("status", [404, 410])
async def test_a_browser_that_is_gone_is_said_to_be_gone(service: Service, status: int) -> None:
    service.status = status
    with pytest.raises(PushGone):
        await _send(service)


@pytest.mark.parametrize("status", [302, 400, 403, 413, 429, 500])
async def test_any_other_answer_is_a_failure_by_its_status_and_no_redirect_is_followed(
    service: Service, status: int
) -> None:
    service.status = status
    with pytest.raises(PushFailed) as caught:
        await _send(service)
    assert (caught.value.code, len(service.requests)) == (f"push_status_{status}", 1)


async def test_a_service_inside_our_networks_is_never_called(service: Service) -> None:
    with pytest.raises(PushForbidden):
        await _send(service, outside)
    assert service.requests == []


async def test_every_address_of_a_name_must_be_outside(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def two(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", ("8.8.8.8", 443)), (0, 0, 0, "", ("10.0.0.1", 443))]

    judged: list[str] = []

    def permitted(address: Address) -> bool:
        judged.append(str(address))
        return outside(address)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two, raising=False)
    with pytest.raises(PushForbidden):
        await _send(service, permitted)
    assert judged == ["8.8.8.8", "10.0.0.1"]


async def test_a_certificate_for_nobody_we_trust_is_no_service(service: Service) -> None:
    service.trust = ssl.create_default_context()
    with pytest.raises(PushAway):
        await _send(service)
    assert service.requests == []


async def test_a_service_that_drips_its_answer_holds_nobody_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its bytes is in time; all of them together are not."""
    monkeypatch.setattr(web_push, "TIMEOUT_S", 0.3)
    service.drips = True
    async with asyncio.timeout(3):
        with pytest.raises(PushAway):
            await _send(service)
    assert len(service.requests) == 1


async def test_a_name_that_nobody_answers_for_holds_nobody_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(web_push, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never, raising=False)
    async with asyncio.timeout(3):
        with pytest.raises(PushAway):
            await _send(service)


async def test_a_name_that_leads_nowhere_is_tried_again_later() -> None:
    with pytest.raises(PushAway):
        await send("https://no-such-name.invalid/", b"x", "-", urgent=False)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - nobody binds to it here
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
    ],
)
def test_what_is_not_the_open_internet_is_forbidden(address: str) -> None:
    assert not outside(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450:4010:c0f::bc", "::ffff:8.8.8.8"])
def test_the_open_internet_is_permitted(address: str) -> None:
    assert outside(ipaddress.ip_address(address))


def test_the_key_of_another_installation_is_another(tmp_path: Path) -> None:
    web_push._private_key.cache_clear()
    keys = {public_key(tmp_path / name) for name in ("a", "b")}
    assert len(keys) == 2
