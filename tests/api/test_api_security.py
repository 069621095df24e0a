"""What stands before every handler: headers, Origin, body limits, policy on routes, the log."""

import asyncio
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from api_server import Server
from api_world import API, PASSWORD, Client, World, code
from litestar import Litestar, get, post

from api import logs
from api.acts import NamelessRoute, check_messages, check_routes
from api.app import create_app
from api.pages import Pages
from api.security import BodyDeadline
from api.socket_messages import ACTS, FromPage, VisitPageMessage
from people.policy import Act
from storage.settings import Settings

EVIL = "https://evil.example"


@pytest.mark.parametrize("path", ["/", f"{API}/me", f"{API}/nothing/here", "/healthz"])
async def test_every_answer_has_the_security_headers(path: str, as_: Client) -> None:
    answer = await as_().get(path)
    csp = answer.headers["content-security-policy"]
    assert "script-src 'self';" in csp
    assert "frame-ancestors 'none'" in csp
    assert "unsafe" not in csp
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "strict-transport-security" not in answer.headers
    assert "server" not in answer.headers


async def test_behind_tls_the_cookie_is_bound_to_the_host_and_hsts_is_said(
    settings: Settings, world: World
) -> None:
    app = create_app(replace(settings, domain="clinic.example"))
    async with app.state.house.open():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://x") as client:
            answer = await client.post(
                f"{API}/sign-in", json={"login": "doctor.test", "password": PASSWORD}
            )
            plain = {"Cookie": f"yanasha={world.cookies['doctor']}"}
            assert (await client.get(f"{API}/me")).status_code == 200
            client.cookies.clear()
            assert (await client.get(f"{API}/me", headers=plain)).status_code == 401
    assert answer.headers["set-cookie"].startswith("__Host-yanasha=")
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"].startswith("max-age=63072000")


async def test_data_is_never_kept_by_a_cache(as_: Client) -> None:
    answer = await as_("doctor").get(f"{API}/day")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [{"Origin": EVIL}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/sign-in"), ("POST", "/sign-out"), ("PATCH", "/me"), ("POST", "/my/readings")],
)
async def test_a_page_of_another_site_changes_nothing(
    headers: dict[str, str], method: str, path: str, as_: Client
) -> None:
    client = as_("patient")
    answer = await client.request(method, API + path, headers=headers, json={})
    assert code(answer) == (403, "origin_refused")
    assert (await client.get(f"{API}/me")).status_code == 200


async def test_our_own_pages_may(as_: Client) -> None:
    headers = {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"}
    answer = await as_("patient").patch(f"{API}/me", json={"language": "ru"}, headers=headers)
    assert answer.status_code == 200


async def test_a_body_over_the_limit_is_refused(as_: Client) -> None:
    answer = await as_("doctor").patch(f"{API}/me", json={"language": "x" * 1_000_001})
    assert code(answer) == (413, "body_too_large")


async def test_a_path_or_method_we_do_not_have_is_a_problem_too(as_: Client) -> None:
    client = as_()
    assert code(await client.get(f"{API}/nothing")) == (404, "not_found")
    wrong = await client.delete(f"{API}/me")
    assert code(wrong) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["allow"]


async def test_a_body_that_trickles_ends_at_the_deadline(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapped = BodyDeadline(server.app.asgi_handler, seconds=lambda _: 0.3)
    monkeypatch.setattr(server.app, "asgi_handler", wrapped)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b'Content-Length: 100\r\n\r\n{"login":'
    )
    async with asyncio.timeout(5):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in answer
    writer.close()


async def test_the_description_is_the_same_at_every_making(as_: Client) -> None:
    answer = await as_().get("/api/openapi.json")
    found = answer.json()
    assert found["openapi"].startswith("3.1")
    assert {"VisitPageMessage", "VisitServerMessage", "Vitals"} <= found["components"][
        "schemas"
    ].keys()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "api.schema",
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert printed == answer.content


async def test_an_app_with_a_nameless_route_is_never_made() -> None:
    @get("/open")
    async def nameless() -> None: ...

    with pytest.raises(NamelessRoute, match="/open"):
        check_routes(Litestar([nameless], openapi_config=None, logging_config=None))


async def test_an_app_with_a_route_that_asks_nobody_is_never_made() -> None:
    @post("/mine", act=Act.ACCOUNT)
    async def careless() -> None: ...

    with pytest.raises(NamelessRoute, match="/mine"):
        check_routes(Litestar([careless], openapi_config=None, logging_config=None))


async def test_a_socket_message_without_an_act_stops_the_start() -> None:
    class Shout(FromPage, frozen=True, tag="shout"):
        """A message nobody thought about."""

    with pytest.raises(NamelessRoute, match="Shout"):
        check_messages(ACTS, VisitPageMessage | Shout)


async def test_every_route_of_the_app_names_an_act(app: Litestar) -> None:
    check_routes(app)


async def test_what_is_secret_never_reaches_the_log(app: Litestar, world: World) -> None:
    stream = io.StringIO()
    logs.configure(stream)
    canary = "канарейка-4711"
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    cookie = world.cookies["doctor"]
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8000", cookies={"yanasha": cookie}
    ) as client:
        await client.post(f"{API}/sign-in", json={"login": "doctor.test", "password": PASSWORD})
        await client.post(f"{API}/sign-in", json={"login": canary, "password": canary})
        # The session just opened can only make a second factor.
        client.cookies = httpx.Cookies({"yanasha": cookie})
        note = f"{API}/visits/{world['visit']}/note"
        await client.put(note, json={"text": canary, "version": 0})
        await client.put(note, json={"text": canary + "!", "version": 0})
        await client.get(f"{API}/{canary}", params={"token": canary})
        token = world.device_tokens["patient:cuff"]
        await client.post(
            f"{API}/readings",
            headers={"Authorization": f"Bearer {token}"},
            json={"readings": [{"kind": canary}]},
        )
    logs.log.error("planted", name=canary, password=PASSWORD, event_data={"a": canary})
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {line["status"] for line in lines if line["event"] == "request"} >= {201, 401, 409, 404}
    for secret in (canary, PASSWORD, cookie, token, "doctor.test", str(world["visit"])):
        assert secret not in stream.getvalue()
    assert all(line.keys() <= logs.FIELDS for line in lines)


async def test_an_unforeseen_failure_has_an_id_and_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, as_: Client
) -> None:
    stream = io.StringIO()
    logs.configure(stream)

    async def broken(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("people.persons.me", broken)
    answer = await as_("doctor").get(f"{API}/me")
    assert code(answer) == (500, "internal")
    assert "secret detail" not in answer.text + stream.getvalue()
    failed = next(
        line
        for line in map(json.loads, stream.getvalue().splitlines())
        if line["event"] == "failed"
    )
    assert failed["error_id"] == answer.json()["error_id"]
    assert failed["error"] == "RuntimeError"
    assert failed["where"][-1].startswith("tests/api/")


async def test_pages_say_when_they_are_not_built_and_are_served_when_they_are(
    app: Litestar, as_: Client, tmp_path: Path
) -> None:
    app.state.house.pages = Pages(tmp_path)
    client = as_()
    missing = await client.get("/")
    assert missing.status_code == 503
    assert "not built" in missing.text
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>" + " " * 2000)
    (tmp_path / "assets" / "a-1f2e.js").write_text("let a = 1;" * 200)
    index = await client.get("/")
    assert index.headers["content-type"].startswith("text/html")
    assert index.headers["cache-control"] == "no-cache"
    assert index.headers["content-encoding"] == "gzip"
    script = await client.get("/assets/a-1f2e.js", headers={"Accept-Encoding": "identity"})
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "content-encoding" not in script.headers
    assert (await client.head("/")).status_code == 200
    for path in ("/assets/../index.html", "/../api/app.py", "/assets", "/%2e%2e/pyproject.toml"):
        assert (await client.get(path)).status_code in {200, 404}
        assert "pytest" not in (await client.get(path)).text


async def test_health_and_readiness(as_: Client) -> None:
    client = as_()
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = (await client.get("/readyz")).json()
    assert ready == {"ready": True, "database": True, "objects": True, "media": False}


def test_every_message_of_a_page_is_decoded_by_its_tag() -> None:
    message = msgspec.json.decode(b'{"type":"ping","n":1}', type=VisitPageMessage)
    assert message.n == 1
