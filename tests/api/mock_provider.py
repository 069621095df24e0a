"""An OpenID Connect provider on loopback: a real server, strict as providers are, and spoilable.

`spoil` changes one thing of what it says: claims, the key, the algorithm, the answer itself.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

CLIENT_ID, CLIENT_SECRET = "yanasha here", "s3cret/with:signs"


@dataclass
class MockProvider:
    """What the provider remembers, and what it should get wrong."""

    issuer: str = ""
    subject: str = "subject-1"
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "one"}))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # paths, in order
    claims: dict[str, Any] = field(default_factory=dict)  # None takes a claim away
    sign_with: Any = None  # another key than the published one
    header: dict[str, str] = field(default_factory=dict)
    now_s: int = 0
    token_answer: tuple[int, Any] | None = None
    description: dict[str, str] = field(default_factory=dict)

    def leave_and_come_back(self, url: str) -> dict[str, str]:
        """What a browser does at the provider: the person agrees; what the callback is given."""
        parts = urlsplit(url)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert url.startswith(f"{self.issuer}/authorize?")
        assert asked["response_type"] == "code"
        assert asked["scope"] == "openid"
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["state"]) >= 43
        assert len(asked["nonce"]) >= 43
        code = uuid4().hex
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def token(self, headers: Any, form: dict[str, str]) -> tuple[int, Any]:
        """The token endpoint, strict: client, redirect address, PKCE, each code once."""
        if self.token_answer is not None:
            return self.token_answer
        basic = f"{CLIENT_ID.replace(' ', '+')}:s3cret%2Fwith%3Asigns"
        expected = "Basic " + base64.b64encode(basic.encode()).decode()
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(
            hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        )
        right = (
            headers.get("Authorization") == expected
            and asked is not None
            and form.get("grant_type") == "authorization_code"
            and form.get("redirect_uri") == asked["redirect_uri"]
            and challenge.decode().rstrip("=") == asked["code_challenge"]
        )
        if not right or asked is None:
            return 400, {"error": "invalid_grant"}
        return 200, {
            "access_token": "of no use here",
            "token_type": "Bearer",
            "id_token": self.id_token(asked["nonce"]),
        }

    def id_token(self, nonce: str) -> str:
        """The token, with what is spoiled spoiled."""
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": self.subject,
            "iat": self.now_s,
            "exp": self.now_s + 300,
            "nonce": nonce,
            "email": "somebody@example.org",
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "ES256", "kid": "one"} | self.header
        if header["alg"] == "none":
            parts = [json.dumps(part).encode() for part in (header, claims)]
            coded = [base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts]
            return ".".join([*coded, ""])
        key = self.sign_with or self.key
        return jwt.encode(header, claims, key, algorithms=["ES256", "HS256", "ES384"])


def shared_key() -> OctKey:
    """The key that an attacker of HS256 would use: what the client and the provider both know."""
    return OctKey.import_key(CLIENT_SECRET.ljust(32, "x"), {"kid": "one"})


@contextmanager
def providing() -> Iterator[MockProvider]:
    """The provider, listening."""
    provider = MockProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            provider.asked.append(path)
            if path == "/.well-known/openid-configuration":
                self._say(200, _description(provider))
            elif path == "/keys":
                self._say(200, {"keys": [provider.key.as_dict(private=False)]})
            else:
                self._say(404, {})

        def do_POST(self) -> None:
            provider.asked.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._say(*provider.token(self.headers, form))

        def _say(self, status: int, what: Any) -> None:
            body = what if isinstance(what, bytes) else json.dumps(what).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: what is asked is kept in `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _description(provider: MockProvider) -> dict[str, str]:
    return {
        "issuer": provider.issuer,
        "authorization_endpoint": f"{provider.issuer}/authorize",
        "token_endpoint": f"{provider.issuer}/token",
        "jwks_uri": f"{provider.issuer}/keys",
    } | provider.description


def callback_query(back: dict[str, str]) -> str:
    """What the provider appends to our address."""
    return "?" + urlencode(back)
