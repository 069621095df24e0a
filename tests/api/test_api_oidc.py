"""Signing in with an account of an outside provider, against one that listens on loopback."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from api_world import API, World, code
from joserfc.jwk import ECKey
from litestar import Litestar
from mock_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    MockProvider,
    callback_query,
    providing,
    shared_key,
)
from sqlalchemy import func, select, update

from api.app import create_app
from people.identities import Identities, IdentityJourneys, IdentityRefused, journey_of
from people.oidc import Provider
from people.sessions import Sessions
from storage.outside_provider import OutsideProvider
from storage.settings import BadSetting, Settings

BASE = "http://127.0.0.1:8000"
Somebody = Callable[..., httpx.AsyncClient]


@pytest.fixture
def provider() -> Iterator[MockProvider]:
    """The provider, with a clock that is right."""
    with providing() as found:
        found.now_s = int(time.time())
        yield found


@pytest.fixture
async def linked_app(
    settings: Settings, provider: MockProvider, tmp_path: Path
) -> AsyncIterator[Litestar]:
    """The application with this provider in its settings."""
    secret_file = tmp_path / "secret"
    secret_file.write_text(CLIENT_SECRET + "\n")
    oidc = OutsideProvider(provider.issuer, CLIENT_ID, secret_file)
    app = create_app(replace(settings, oidc=oidc, staff_second_factor="offered"))
    async with app.state.house.open():
        yield app


@pytest.fixture
async def somebody(linked_app: Litestar, world: World) -> AsyncIterator[Somebody]:
    """A browser, signed in as somebody of the world or as nobody."""
    opened: list[httpx.AsyncClient] = []

    def client(name: str | None = None) -> httpx.AsyncClient:
        cookies = {"yanasha": world.cookies[name]} if name else {}
        transport = httpx.ASGITransport(linked_app, raise_app_exceptions=False)
        opened.append(httpx.AsyncClient(transport=transport, base_url=BASE, cookies=cookies))
        return opened[-1]

    yield client
    for one in opened:
        await one.aclose()


async def link(browser: httpx.AsyncClient, provider: MockProvider) -> httpx.Response:
    """Set out to link, agree there, come back."""
    url = (await browser.post(f"{API}/identities/start")).json()["url"]
    return await browser.post(f"{API}/identities", json=provider.leave_and_come_back(url))


async def set_out(browser: httpx.AsyncClient, provider: MockProvider) -> dict[str, str]:
    """Set out to sign in and agree there; what the provider sends back."""
    answer = await browser.post(f"{API}/oidc/start")
    return provider.leave_and_come_back(answer.json()["url"])


async def sign_in(browser: httpx.AsyncClient, provider: MockProvider) -> httpx.Response:
    """All of it."""
    return await browser.post(f"{API}/oidc/finish", json=await set_out(browser, provider))


async def test_an_account_that_one_has_linked_opens_a_session(
    somebody: Somebody, provider: MockProvider, world: World
) -> None:
    """A new one, in a browser where nobody was; the provider's own words are not kept."""
    assert (await link(somebody("patient"), provider)).status_code == 204
    browser = somebody()
    answer = await sign_in(browser, provider)
    assert answer.status_code == 201
    assert answer.json()["id"] == str(world["patient"])
    assert (await browser.get(f"{API}/me")).json()["id"] == str(world["patient"])
    async with world.sessions() as db:
        row = (await db.scalars(select(Identities))).one()
        methods = set((await db.scalars(select(Sessions.method))).all())
    assert (row.issuer, row.subject) == (provider.issuer, "subject-1")
    assert "oidc" in methods


async def test_an_account_nobody_has_linked_gets_nobody_in(
    somebody: Somebody, provider: MockProvider, world: World
) -> None:
    """Whatever address or name it carries: nobody is made, nobody is guessed."""
    answer = await sign_in(somebody(), provider)
    assert code(answer) == (403, "identity_refused")
    assert "yanasha=" not in answer.headers.get("set-cookie", "")
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(Identities)) == 0


SPOILED: dict[str, dict[str, Any]] = {
    "another issuer": {"claims": {"iss": "https://evil.example.org"}},
    "another audience": {"claims": {"aud": "another client"}},
    "another audience, though our party": {"claims": {"aud": "another", "azp": CLIENT_ID}},
    "several audiences and no party": {"claims": {"aud": [CLIENT_ID, "another"]}},
    "another party": {"claims": {"azp": "another"}},
    "expired": {"claims": {"exp": 1}},
    "no expiry": {"claims": {"exp": None}},
    "from the future": {"claims": {"iat": 10**11, "exp": 10**11 + 1}},
    "another nonce": {"claims": {"nonce": "of another journey"}},
    "no nonce": {"claims": {"nonce": None}},
    "no subject": {"claims": {"sub": None}},
    "an empty subject": {"claims": {"sub": ""}},
    "a subject that is too long": {"claims": {"sub": "x" * 256}},
    "a foreign access token's hash": {"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    "another key": {"sign_with": ECKey.generate_key("P-256", {"kid": "one"})},
    "an unknown key": {"header": {"kid": "two"}},
    "no signature": {"header": {"alg": "none"}},
    "the shared secret": {"header": {"alg": "HS256"}, "sign_with": shared_key()},
    "another kind of token": {"header": {"typ": "at+jwt"}},
    "no id token": {"token_answer": (200, {"access_token": "x"})},
    "a refusal": {"token_answer": (400, {"error": "invalid_grant"})},
}


async def test_a_token_that_is_wrong_in_one_thing_is_refused(provider: MockProvider) -> None:
    """Each of them; the unspoiled one is taken before and after."""
    asked = Provider(provider.issuer, CLIENT_ID, f"{BASE}/back", client_secret=CLIENT_SECRET)
    journey, now = journey_of("a browser's token"), datetime.now(UTC)

    async def subject() -> str:
        back = provider.leave_and_come_back(await asked.door(journey, now))
        return await asked.subject(back["code"], journey, now)

    assert await subject() == "subject-1"
    took = []
    for what, spoil in SPOILED.items():
        right = {name: getattr(provider, name) for name in spoil}
        for name, value in spoil.items():
            setattr(provider, name, value)
        with suppress(IdentityRefused):
            took.append((what, await subject()))
        for name, value in right.items():
            setattr(provider, name, value)
    assert took == []
    assert await subject() == "subject-1"


async def test_only_the_browser_that_set_out_comes_back_and_once(
    somebody: Somebody, provider: MockProvider, world: World
) -> None:
    """Code and state are worth nothing elsewhere, changed, again, or late."""
    assert (await link(somebody("patient"), provider)).status_code == 204
    browser, other = somebody(), somebody()
    back = await set_out(browser, provider)
    foreign = await other.post(f"{API}/oidc/finish", json=back)
    assert code(foreign) == (403, "identity_refused")
    changed = await browser.post(f"{API}/oidc/finish", json=back | {"state": "x" * 43})
    assert code(changed) == (403, "identity_refused")
    kept = browser.cookies["yanasha-journey"]
    assert (await browser.post(f"{API}/oidc/finish", json=back)).status_code == 201
    browser.cookies.set("yanasha-journey", kept)
    again = await browser.post(f"{API}/oidc/finish", json=back)
    assert code(again) == (403, "identity_refused")
    late = await set_out(browser, provider)
    async with world.sessions() as db, db.begin():
        await db.execute(update(IdentityJourneys).values(expires_at=func.now()))
    assert code(await browser.post(f"{API}/oidc/finish", json=late)) == (403, "identity_refused")


async def test_a_journey_to_sign_in_cannot_link_nor_the_other_way_round(
    somebody: Somebody, provider: MockProvider
) -> None:
    """Nobody is led to link somebody else's account to his own."""
    browser = somebody("patient")
    back = await set_out(browser, provider)
    assert code(await browser.post(f"{API}/identities", json=back)) == (403, "identity_refused")
    url = (await browser.post(f"{API}/identities/start")).json()["url"]
    back = provider.leave_and_come_back(url)
    assert code(await browser.post(f"{API}/oidc/finish", json=back)) == (403, "identity_refused")


async def test_an_account_is_linked_to_one_person_and_can_be_unlinked(
    somebody: Somebody, provider: MockProvider
) -> None:
    """By its own person only; then it opens nothing."""
    mine, other = somebody("patient"), somebody("patient2")
    assert (await link(mine, provider)).status_code == 204
    assert (await link(mine, provider)).status_code == 204
    assert code(await link(other, provider)) == (409, "identity_taken")
    listed = (await mine.get(f"{API}/identities")).json()
    assert [one["issuer"] for one in listed] == [provider.issuer]
    assert (await other.get(f"{API}/identities")).json() == []
    path = f"{API}/identities/{listed[0]['id']}"
    assert code(await other.delete(path)) == (404, "not_found")
    assert (await mine.delete(path)).status_code == 204
    assert code(await sign_in(somebody(), provider)) == (403, "identity_refused")


async def test_the_callback_changes_nothing_and_hands_on_to_the_page(
    somebody: Somebody, provider: MockProvider
) -> None:
    """Behind the hash, which no server sees; an error of the provider is only said to be one."""
    browser = somebody()
    back = await set_out(browser, provider)
    answer = await browser.get(f"{API}/oidc/callback{callback_query(back)}")
    assert answer.status_code == 303
    place = urlsplit(answer.headers["location"])
    assert (place.scheme, place.netloc, place.path) == ("", "", "/")
    page, _, query = place.fragment.partition("?")
    assert page == "/enter/oidc"
    assert {name: values[0] for name, values in parse_qs(query).items()} == back
    wrong = await browser.get(f"{API}/oidc/callback?error=<script>&state=x&code=y")
    assert wrong.headers["location"] == "/#/enter/oidc?error=refused"
    assert (await browser.get(f"{API}/me")).status_code == 401


async def test_the_provider_is_sent_one_exact_address_and_asked_little(
    somebody: Somebody, provider: MockProvider
) -> None:
    """Its description and keys are kept, and asked again for a key that was not among them."""
    assert (await link(somebody("patient"), provider)).status_code == 204
    browser = somebody()
    url = (await browser.post(f"{API}/oidc/start")).json()["url"]
    redirect = parse_qs(urlsplit(url).query)["redirect_uri"]
    assert redirect == ["http://127.0.0.1:8000/api/v1/oidc/callback"]
    assert provider.asked == ["/.well-known/openid-configuration", "/token", "/keys"]


async def test_a_provider_that_is_away_or_says_nonsense_is_a_503(
    settings: Settings, provider: MockProvider, world: World
) -> None:
    """And the other ways in stay."""
    assert world.cookies
    for description in (
        {"issuer": "https://another.example.org"},
        {"token_endpoint": "http://another.example.org/token"},
        {"jwks_uri": "file:///etc/passwd"},
    ):
        provider.description = description
        oidc = OutsideProvider(provider.issuer, CLIENT_ID, None)
        app = create_app(replace(settings, oidc=oidc))
        async with app.state.house.open():
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as browser:
                answer = await browser.post(f"{API}/oidc/start")
                assert code(answer) == (503, "provider_away"), description
                assert (await browser.get(f"{API}/sign-in/ways")).json() == {"outside": "127.0.0.1"}


async def test_staff_are_asked_for_their_second_factor_all_the_same(
    linked_app: Litestar, somebody: Somebody, provider: MockProvider
) -> None:
    """The provider's word is a first step: without a factor only one can be made."""
    assert (await link(somebody("doctor"), provider)).status_code == 204
    house = linked_app.state.house
    house.settings = replace(house.settings, staff_second_factor="required")
    browser = somebody()
    answer = await sign_in(browser, provider)
    assert answer.json()["enrolment_needed"] is True
    assert code(await browser.get(f"{API}/day")) == (403, "enrolment_needed")


async def test_a_signer_stands_in_for_a_client_secret(provider: MockProvider) -> None:
    """The seam: what is signed, and where the signature goes."""
    signed: list[bytes] = []

    class Hand:
        async def sign(self, message: bytes) -> str:
            signed.append(message)
            return "a detached signature"

    forms: list[dict[str, str]] = []

    def token(_: Any, form: dict[str, str]) -> tuple[int, Any]:
        forms.append(form)
        return 200, {"id_token": provider.id_token(journey.nonce)}

    provider.token = token  # type: ignore[method-assign]
    journey = journey_of("a browser's token")
    now = datetime.now(UTC)
    asked = Provider(provider.issuer, CLIENT_ID, f"{BASE}/back", signer=Hand())
    assert await asked.subject("a code", journey, now) == "subject-1"
    assert forms[0]["client_secret"] == "a detached signature"
    assert signed[0].decode().endswith(CLIENT_ID + journey.state)


def test_a_setting_that_cannot_be_a_provider_is_named(tmp_path: Path) -> None:
    """By its variable; nothing set is no provider."""
    assert OutsideProvider.from_env({}) is None
    for variable, given in (
        ("YANASHA_OIDC_ISSUER", {"YANASHA_OIDC_ISSUER": "http://id.example.org"}),
        ("YANASHA_OIDC_CLIENT_ID", {"YANASHA_OIDC_ISSUER": "https://id.example.org"}),
        (
            "YANASHA_OIDC_CLIENT_SECRET_FILE",
            {
                "YANASHA_OIDC_ISSUER": "https://id.example.org",
                "YANASHA_OIDC_CLIENT_ID": "yanasha",
                "YANASHA_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "absent"),
            },
        ),
    ):
        with pytest.raises(BadSetting) as wrong:
            OutsideProvider.from_env(given)
        assert wrong.value.variable == variable
