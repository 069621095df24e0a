"""Settings of TURN and of announced addresses: what cannot be meant is refused by its name."""

import re
from pathlib import Path

import pytest

from ops.caddy import caddyfile
from storage.addresses import lan_addresses
from storage.settings import BadSetting, Settings

URLS = "turn:turn.example.org:3478?transport=udp,turns:[2001:db8::7]:443?transport=tcp"
DOMAIN = {"YANASHA_DOMAIN": "clinic.example.org"}
SECOND = {
    **DOMAIN,
    "YANASHA_TURN": "1",
    "YANASHA_TURN_HOST": "192.0.2.99",
    "YANASHA_TURN_NAME": "turn.example.org",
    "YANASHA_TURN_CERTIFICATE": __file__,
    "YANASHA_TURN_KEY": __file__,
}


def read(home: Path, **more: str) -> Settings:
    """Settings of a folder of its own."""
    return Settings.from_env({"YANASHA_HOME": str(home), **more})


def test_children_read_the_same_turn_and_nobody_sees_its_secret(tmp_path: Path) -> None:
    """Ours and another's alike; without a word there is none."""
    assert read(tmp_path).turn is None
    assert read(tmp_path, YANASHA_TURN="0").turn is None
    word = tmp_path / "word"
    word.write_text("hunter2\n")
    own = read(tmp_path, YANASHA_TURN="1", YANASHA_TURN_NAME="turn.example.org")
    other = read(tmp_path, YANASHA_TURN=URLS, YANASHA_TURN_SECRET_FILE=str(word))
    for settings in (own, other):
        assert Settings.from_env(settings.to_env()) == settings
        assert settings.turn_secret not in repr(settings) + repr(settings.to_env())
    assert other.turn_secret == "hunter2"
    assert re.fullmatch("[0-9a-f]{64}", own.turn_secret)
    assert own.turn_secret == read(tmp_path).turn_secret


@pytest.mark.parametrize(
    ("variable", "value", "also"),
    [
        ("YANASHA_TURN", "turn.example.org", {}),
        ("YANASHA_TURN", "turn:turn.example.org:99999", {}),
        ("YANASHA_TURN", "turn:a b", {}),
        ("YANASHA_TURN_SECRET_FILE", "", {"YANASHA_TURN": URLS}),
        ("YANASHA_TURN_SECRET_FILE", "/nonexistent", {"YANASHA_TURN": URLS}),
        ("YANASHA_TURN_SECRET_FILE", "/dev/null", {"YANASHA_TURN": URLS}),
        ("YANASHA_TURN_PORT", "5349", {}),
        ("YANASHA_TURN_PORT", "0", {"YANASHA_TURN": "1"}),
        ("YANASHA_TURN_TLS_PORT", "3478", {"YANASHA_TURN": "1"}),
        ("YANASHA_TURN_LIFE_S", "60", {"YANASHA_TURN": "1"}),
        ("YANASHA_TURN_HOST", "turn.example.org", {"YANASHA_TURN": "1"}),
        ("YANASHA_TURN_NAME", "a b", {"YANASHA_TURN": "1"}),
        ("YANASHA_TURN_TLS_PORT", "8443", {"YANASHA_TURN": "1", "YANASHA_LAN": "1"}),
        ("YANASHA_TURN_TLS_PORT", "443", {"YANASHA_TURN": "1", **DOMAIN}),
        ("YANASHA_TURN_TLS_PORT", "443", {**SECOND, "YANASHA_TURN_NAME": ""}),
        ("YANASHA_TURN_TLS_PORT", "443", {**SECOND, "YANASHA_TURN_HOST": "2001:db8::7"}),
        ("YANASHA_TURN_KEY", "", {"YANASHA_TURN": "1", "YANASHA_TURN_CERTIFICATE": __file__}),
        ("YANASHA_RTC_ADDRESS", "clinic.example.org", {}),
        ("YANASHA_RTC_ADDRESS", "203.0.113.7, 0.0.0.0", {}),
        ("YANASHA_RTC_ADDRESS", "239.1.1.1", {}),
        ("YANASHA_RTC_ADDRESS", ",", {}),
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_name_of_its_setting(
    tmp_path: Path, variable: str, value: str, also: dict[str, str]
) -> None:
    """At the start, not in the middle of a call."""
    file = tmp_path / "word"
    file.write_text("hunter2")
    known = {"YANASHA_TURN_SECRET_FILE": str(file)} if variable == "YANASHA_TURN" else {}
    with pytest.raises(BadSetting) as refused:
        read(tmp_path, **known, **also, **{variable: value})
    assert refused.value.variable == variable


def test_the_media_port_is_bound_so_that_every_announced_address_reaches_it(
    tmp_path: Path,
) -> None:
    """The one address itself, all of IPv4 behind a router, both families when both are told."""
    assert read(tmp_path).rtc_bind == "127.0.0.1"
    behind = read(tmp_path, YANASHA_RTC_ADDRESS=" 203.0.113.7 ,203.0.113.7")
    assert (behind.rtc_addresses, behind.rtc_bind) == (("203.0.113.7",), "0.0.0.0")  # noqa: S104
    both = read(tmp_path, YANASHA_RTC_ADDRESS="203.0.113.7,2001:DB8::7")
    assert (both.rtc_addresses, both.rtc_bind) == (("203.0.113.7", "2001:db8::7"), "::")


def test_turn_has_the_pages_port_at_an_address_of_its_own(tmp_path: Path) -> None:
    """Caddy leaves that address alone, else it listens everywhere."""
    alone = read(tmp_path, **SECOND)
    assert (alone.https_hosts, alone.turn_tls) == (("",), True)
    beside = read(tmp_path, **SECOND, YANASHA_TURN_TLS_PORT="443")
    assert beside.https_hosts[0] == "127.0.0.1"
    assert "" not in beside.https_hosts
    last = [SECOND["YANASHA_TURN_HOST"], *lan_addresses()][-1]
    shared = {**SECOND, "YANASHA_TURN_HOST": last, "YANASHA_TURN_TLS_PORT": "443"}
    left = read(tmp_path, **shared).https_hosts
    assert last not in left
    lines = caddyfile(read(tmp_path, **shared), tmp_path).splitlines()
    assert f"\tbind {' '.join(left)} tcp6/[::]" in lines


def test_no_tls_is_told_where_caddy_has_no_certificate_for_the_name(tmp_path: Path) -> None:
    """A browser would knock in vain at every call."""
    turn = {"YANASHA_TURN": "1"}
    assert read(tmp_path, **turn, **DOMAIN).turn_tls
    assert not read(tmp_path, **turn, **DOMAIN, YANASHA_TURN_NAME="turn.example.org").turn_tls
    assert not read(tmp_path, **turn).turn_tls
