"""OpenID Connect: an account of an outside provider says who somebody is (Authlib).

Code flow with PKCE, state and nonce (people/identities.py: Journey), one exact redirect address.
Of the ID token the signature is checked against the provider's published keys, with algorithms of
our list only, and issuer, audience, expiry and nonce; what is taken from it is the subject alone.
No address, name or access token is kept or used.
"""

from collections.abc import Awaitable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import quote_plus, urlsplit

import httpx
import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from people.identities import IdentityRefused, Journey
from people.refused import Refused

# Asymmetric only: with HS256 our own client secret would sign, "none" signs nothing.
ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
_TYPES: Final = (None, "JWT", "jwt")
LEEWAY_S: Final = 60
PATIENCE_S: Final = 5.0
_KEPT: Final = timedelta(hours=1)
_KEYS_AGAIN: Final = timedelta(minutes=1)
_BODY_MOST: Final = 1_000_000
_SUBJECT_MOST: Final = 255  # OpenID Connect Core 1.0, 2: at most 255 ASCII characters


class Signer(Protocol):
    """Signs a message detached, for providers that take a signature in place of a secret.

    The seam for ESIA, whose key lies in certified software outside: nothing of ours claims to
    be that. The signature goes where the client secret would.
    """

    async def sign(self, message: bytes) -> str:
        """The signature, as the provider wants it written."""


class ProviderAway(Refused):
    """The provider does not answer, or not with what a provider answers."""

    status = 503
    code = "provider_away"


class _Metadata(msgspec.Struct, frozen=True):
    """What we need of OpenID Connect Discovery 1.0, 3."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class _Answer(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str = ""


def trustworthy(url: str) -> bool:
    """Whether an address may be the provider's: https, or this machine itself."""
    parts = urlsplit(url)
    here = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"}
    return bool(parts.hostname) and (parts.scheme == "https" or here)


class Provider:
    """One provider, as the settings name it. Its own description and keys are kept for an hour."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        redirect_uri: str,
        *,
        client_secret: str | None = None,
        signer: Signer | None = None,
    ) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._signer = signer
        self._metadata: tuple[datetime, _Metadata] | None = None
        self._keys: tuple[datetime, KeySet] | None = None

    @property
    def name(self) -> str:
        """The provider as a button names it: its host."""
        return urlsplit(self.issuer).hostname or self.issuer

    async def door(self, journey: Journey, now: datetime) -> str:
        """Where the browser goes to. Raises ProviderAway."""
        async with _client() as client:
            metadata = await self._described(client, now)
        url: str = prepare_grant_uri(
            metadata.authorization_endpoint,
            self._client_id,
            "code",
            redirect_uri=self._redirect_uri,
            scope="openid",
            state=journey.state,
            nonce=journey.nonce,
            code_challenge=create_s256_code_challenge(journey.verifier),
            code_challenge_method="S256",
        )
        return url

    async def subject(self, code: str, journey: Journey, now: datetime) -> str:
        """Whom the provider means by a code. Raises IdentityRefused, ProviderAway."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "client_id": self._client_id,
            "code_verifier": journey.verifier,
            **await self._signature(journey, now),
        }
        async with _client() as client:
            metadata = await self._described(client, now)
            sent = client.build_request("POST", metadata.token_endpoint, data=form)
            found = await _asked(client.send(sent, auth=self._basic()))
            try:
                answer = msgspec.convert(found, _Answer)
            except msgspec.ValidationError as wrong:
                raise IdentityRefused from wrong
            return await self._verified(client, metadata, answer, journey, now)

    def _basic(self) -> httpx.BasicAuth | None:
        """RFC 6749, 2.3.1: both parts are encoded as in a form before they are put together."""
        if self._client_secret is None:
            return None
        return httpx.BasicAuth(quote_plus(self._client_id), quote_plus(self._client_secret))

    async def _signature(self, journey: Journey, now: datetime) -> dict[str, str]:
        """Parameters that stand for a client secret: the signed parts, and the signature."""
        if self._signer is None:
            return {}
        stamp = now.strftime("%Y.%m.%d %H:%M:%S +0000")
        message = f"openid{stamp}{self._client_id}{journey.state}"
        secret = await self._signer.sign(message.encode())
        return {"client_secret": secret, "timestamp": stamp, "state": journey.state}

    async def _described(self, client: httpx.AsyncClient, now: datetime) -> _Metadata:
        if self._metadata is not None and now - self._metadata[0] < _KEPT:
            return self._metadata[1]
        url = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
        found = await _asked(client.get(url))
        try:
            metadata = msgspec.convert(found, _Metadata)
        except msgspec.ValidationError as wrong:
            raise ProviderAway from wrong
        addresses = (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri)
        if metadata.issuer != self.issuer or not all(trustworthy(url) for url in addresses):
            raise ProviderAway
        self._metadata = (now, metadata)
        return metadata

    async def _keyed(
        self, client: httpx.AsyncClient, metadata: _Metadata, now: datetime, *, fresh: bool
    ) -> KeySet:
        """The provider's keys; asked again for a key that is not among them, not too often."""
        if self._keys is not None:
            at, keys = self._keys
            if now - at < (_KEYS_AGAIN if fresh else _KEPT):
                return keys
        try:
            keys = KeySet.import_key_set(await _asked(client.get(metadata.jwks_uri)))
        except (JoseError, KeyError, TypeError, ValueError) as wrong:
            raise ProviderAway from wrong
        self._keys = (now, keys)
        return keys

    async def _verified(
        self,
        client: httpx.AsyncClient,
        metadata: _Metadata,
        answer: _Answer,
        journey: Journey,
        now: datetime,
    ) -> str:
        keys = await self._keyed(client, metadata, now, fresh=False)
        try:
            try:
                token = jwt.decode(answer.id_token, keys, algorithms=list(ALGORITHMS))
            except (JoseError, ValueError):
                keys = await self._keyed(client, metadata, now, fresh=True)
                token = jwt.decode(answer.id_token, keys, algorithms=list(ALGORITHMS))
            return self._judged(token, answer, journey, now)
        except (JoseError, ValueError, TypeError) as wrong:
            raise IdentityRefused from wrong

    def _judged(self, token: jwt.Token, answer: _Answer, journey: Journey, now: datetime) -> str:
        """The subject of a token whose signature is right. Raises JoseError, IdentityRefused."""
        claims = CodeIDToken(
            token.claims,
            token.header,
            options={
                "iss": {"essential": True, "value": self.issuer},
                "aud": {"essential": True, "value": self._client_id},
                "nonce": {"essential": True, "value": journey.nonce},
            },
            params={
                "nonce": journey.nonce,
                "client_id": self._client_id,
                "access_token": answer.access_token,
            },
        )
        claims.validate(now=int(now.timestamp()), leeway=LEEWAY_S)
        subject = claims["sub"]
        right = isinstance(subject, str) and 1 <= len(subject) <= _SUBJECT_MOST
        if not right or token.header.get("typ") not in _TYPES:
            raise IdentityRefused
        return str(subject)


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=PATIENCE_S, follow_redirects=False, trust_env=False)


async def _asked(answering: Awaitable[httpx.Response]) -> Any:
    """The JSON object of an answer. Raises IdentityRefused for a refusal, ProviderAway."""
    try:
        answer = await answering
        if answer.status_code in {400, 401, 403}:
            raise IdentityRefused
        answer.raise_for_status()
        if len(answer.content) > _BODY_MOST:
            raise ProviderAway
        found = answer.json()
    except (httpx.HTTPError, ValueError) as away:
        raise ProviderAway from away
    if answer.is_redirect or not isinstance(found, Mapping):
        raise ProviderAway
    return found
