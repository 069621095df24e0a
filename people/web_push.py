"""Web push: a sealed word to a browser by its vendor's service (RFC 8030, 8188, 8291, 8292).

The address of that service comes from the browser, that is from anybody. It is called only by
https on its usual port, only where it leads to the open internet, at the very address that was
looked at, and nothing of its answer is read but the status.
"""

import asyncio
import ipaddress
import socket
import ssl
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import http_ece
import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jwt
from joserfc.jwk import ECKey

from storage.dead_letters import JobFailed
from storage.secrets import secret

TIMEOUT_S = 10.0
TOKEN_LIVES = timedelta(hours=12)  # a service may refuse more than 24 h
KEPT_S = 24 * 3600  # how long the service keeps it for a phone that is off
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GONE = {404, 410}
_TAKEN = range(200, 300)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class PushGone(Exception):  # noqa: N818 - states a fact
    """The browser is gone, or its person took the permission back."""


class PushForbidden(JobFailed):
    """The address leads into a network of ours, or of nobody."""

    code = "push_address_forbidden"


class PushFailed(JobFailed):
    """The service did not take it; `code` tells its status."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.code = f"push_status_{status}"


class PushAway(JobFailed):
    """The service cannot be reached."""

    code = "push_away"


def outside(address: Address) -> bool:
    """Say whether an address is of the open internet, also behind what wraps it."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        if wrapped is not None:
            return outside(wrapped)
        if address in _NAT64 or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


@lru_cache(maxsize=4)
def _private_key(home: Path) -> ec.EllipticCurvePrivateKey:
    scalar = int.from_bytes(secret(home, "web-push")) % (_ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


def public_key(home: Path) -> str:
    """Give the key by which a browser binds its push to this installation (base64url)."""
    public = _private_key(home).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).rstrip(b"=").decode()


def token(home: Path, endpoint: str, contact: str, now: datetime) -> str:
    """Give the signed word by which the service knows that it is us (VAPID)."""
    url = urlsplit(endpoint)
    pem = _private_key(home).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    claims = {
        "aud": f"https://{url.netloc}",
        "exp": int((now + TOKEN_LIVES).timestamp()),
        "sub": f"mailto:{contact}",
    }
    return jwt.encode({"alg": "ES256", "typ": "JWT"}, claims, ECKey.import_key(pem))


def sealed(payload: bytes, p256dh: bytes, auth: bytes) -> bytes:
    """Seal for one browser: its service carries what it cannot read."""
    own = ec.generate_private_key(ec.SECP256R1())
    body: bytes = http_ece.encrypt(
        payload, private_key=own, dh=p256dh, auth_secret=auth, version="aes128gcm"
    )
    return body


async def send(
    endpoint: str,
    body: bytes,
    authorization: str,
    *,
    urgent: bool,
    permitted: Callable[[Address], bool] = outside,
    trust: ssl.SSLContext | None = None,
) -> None:
    """Hand a sealed body to the service. Raises PushGone, PushForbidden, PushFailed, PushAway.

    It takes TIMEOUT_S at most, however slowly the service answers: a job's slot and its transaction
    wait for it.
    """
    headers = {
        "Authorization": authorization,
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(KEPT_S),
        "Urgency": "high" if urgent else "normal",
        "Topic": "notices",  # a newer one takes the place of one that still waits there
    }
    try:
        async with asyncio.timeout(TIMEOUT_S):
            status = await _post(endpoint, body, headers, permitted, trust)
    except TimeoutError as late:
        raise PushAway from late
    if status in _GONE:
        raise PushGone
    if status not in _TAKEN:
        raise PushFailed(status)


async def _post(
    endpoint: str,
    body: bytes,
    headers: dict[str, str],
    permitted: Callable[[Address], bool],
    trust: ssl.SSLContext | None,
) -> int:
    url = urlsplit(endpoint)
    host = url.hostname or ""
    address = await _lead(host, url.port or 443, permitted)
    literal = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004
    # By the address that was judged, so that a second look-up cannot lead elsewhere; the name
    # goes into the handshake and is what the certificate is held to.
    where = url._replace(netloc=f"{literal}:{url.port or 443}").geturl()
    async with httpx.AsyncClient(
        verify=trust or ssl.create_default_context(),
        trust_env=False,
        follow_redirects=False,
        timeout=TIMEOUT_S,
    ) as client:
        request = client.build_request(
            "POST",
            where,
            content=body,
            headers={"Host": url.netloc, **headers},
            extensions={"sni_hostname": host},
        )
        try:
            answer = await client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise PushAway from error
        await answer.aclose()
    return answer.status_code


async def _lead(host: str, port: int, permitted: Callable[[Address], bool]) -> Address:
    """Where a name leads; every one of its addresses must be permitted."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise PushAway from error
    addresses = [ipaddress.ip_address(one[4][0]) for one in found]
    if not addresses or not all(permitted(one) for one in addresses):
        raise PushForbidden
    return addresses[0]
