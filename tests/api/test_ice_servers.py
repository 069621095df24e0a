"""Credentials for the TURN server: whom they are given to, how long they hold, what is in them."""

import base64
import hmac
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from api_server import Server

from api.ice_servers import ice_servers
from storage.settings import Settings
from storage.turn import Turn

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_credentials_are_those_the_draft_asks_for_and_name_nobody(tmp_path: Path) -> None:
    """An end in an hour, drawn letters, and HMAC-SHA1 of both; each page has its own."""
    settings = Settings.from_env({"YANASHA_HOME": str(tmp_path), "YANASHA_TURN": "1"})
    [one], [other] = ice_servers(settings, NOW), ice_servers(settings, NOW)
    assert re.fullmatch(f"{int(NOW.timestamp()) + 3600}:[0-9a-f]{{16}}", one.username)
    assert one.username != other.username
    signed = hmac.digest(settings.turn_secret.encode(), one.username.encode(), "sha1")
    assert base64.b64decode(one.credential) == signed
    assert one.urls == [
        "turn:127.0.0.1:3478?transport=udp",
        "turn:127.0.0.1:3478?transport=tcp",
    ]


def test_the_last_resort_is_told_where_there_is_a_certificate_for_its_name(
    tmp_path: Path,
) -> None:
    """Another's server is told as the operator wrote it."""
    home = {"YANASHA_HOME": str(tmp_path), "YANASHA_TURN": "1"}
    [own] = ice_servers(Settings.from_env({**home, "YANASHA_DOMAIN": "a.example.org"}), NOW)
    assert own.urls[-1] == "turns:a.example.org:5349?transport=tcp"
    word = tmp_path / "word"
    word.write_text("hunter2\n")
    theirs = {"YANASHA_TURN": "turns:turn.example.org", "YANASHA_TURN_SECRET_FILE": str(word)}
    [other] = ice_servers(Settings.from_env({**home, **theirs}), NOW)
    assert other.urls == ["turns:turn.example.org"]
    signed = hmac.digest(b"hunter2", other.username.encode(), "sha1")
    assert base64.b64decode(other.credential) == signed


def test_a_secret_that_cannot_be_read_ends_no_call(tmp_path: Path) -> None:
    """No relay is told then: taken away, or open to other users of the machine."""
    own = Settings.from_env({"YANASHA_HOME": str(tmp_path), "YANASHA_TURN": "1"})
    assert ice_servers(own, NOW)
    (tmp_path / "secrets" / "turn").chmod(0o644)
    word = tmp_path / "word"
    word.write_text("hunter2")
    others = Turn(urls=("turn:turn.example.org",), secret_file=word)
    assert ice_servers(replace(own, turn=others), NOW)
    word.unlink()
    for settings in (own, replace(own, turn=others)):
        assert ice_servers(settings, NOW) == []


@pytest.fixture
def with_turn(server: Server) -> Iterator[Server]:
    """The server of a house that has a TURN server."""
    before = server.house.settings
    server.house.settings = replace(before, turn=Turn())
    yield server
    server.house.settings = before


async def test_only_who_is_let_into_a_room_is_told_the_turn_server(
    with_turn: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the welcome, and anew as long as he stays; who has no good ticket hears nothing."""
    monkeypatch.setattr("api.page_socket.RENEW_EVERY_S", -1.0)
    ticket = await with_turn.ticket("doctor")
    async with with_turn.visit_socket() as page:
        await page.hello(ticket)
        [first] = (await page.of("welcome"))["ice_servers"]
        [later] = (await page.of("way_back"))["ice_servers"]
    assert first["username"] != later["username"]
    assert first["urls"] == later["urls"]
    async with with_turn.visit_socket() as page:
        await page.say("hello", ticket="nonsense", tab=str(uuid4()))
        assert await page.closed() == 4401
        assert "ice_servers" not in str(page.kept)


async def test_without_a_turn_server_none_is_told(server: Server) -> None:
    ticket = await server.ticket("doctor")
    async with server.visit_socket() as page:
        await page.hello(ticket)
        assert (await page.of("welcome"))["ice_servers"] == []
    async with server.lesson_page("teacher") as page:
        assert page.kept[0]["ice_servers"] == []
