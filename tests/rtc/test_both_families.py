"""A media port that is announced in both families: IPv4 and IPv6 meet in one room."""

import re
from functools import partial
from pathlib import Path

import pytest

from rtc import stun
from rtc.addresses import TRIES_A_SECOND, Strangers
from rtc.worker import Worker
from tests.rtc.media_house import both, connected_to
from tests.rtc.raw_client import RawPage, RawTransport, heard


class OverSix(RawTransport):
    """Takes the candidate of IPv6, as a phone does whose network has nothing else."""

    async def open(self, host: str = "::1") -> None:
        await super().open(host)

    def take(self, offer: object) -> None:
        super().take(offer)  # type: ignore[arg-type]
        found = re.search(r"^a=candidate:\d+ 1 udp \d+ (\S*:\S*) (\d+)", self.offer, re.MULTILINE)
        assert found
        self.remote = (found[1], int(found[2]))


@pytest.mark.parametrize("fan_out", ["c", "python"])
async def test_who_has_ipv6_only_and_who_has_ipv4_only_hear_each_other(
    tmp_path: Path, fan_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One socket for both; each is answered by the family he came in."""
    monkeypatch.setenv("YANASHA_RTC_FAN_OUT", fan_out)
    path = tmp_path / "link.sock"
    async with Worker(path, "::", 0, ("127.0.0.1", "::1")), connected_to(path) as house:
        house.state(both("amina"), both("timur"))
        pages = {name: RawPage(name, partial(house.answer, name)) for name in ("amina", "timur")}
        pages["amina"].make = OverSix
        for page in pages.values():
            house.join_as(page)
        for speaks, hears in (("amina", "timur"), ("timur", "amina")):
            publish = await pages[speaks].publishing()
            subscribe, ssrc = await pages[hears].watching(speaks, "audio")
            await heard(publish, subscribe, ssrc)
        hosts = {each.remote[0] for page in pages.values() for each in page.transports.values()}
        assert hosts == {"127.0.0.1", "::1"}


def test_an_ipv4_peer_of_a_port_for_both_is_told_his_address_as_he_knows_it() -> None:
    """Else his browser would take him for somebody of another family."""
    transaction = bytes(12)
    plain = stun.xor_address(("192.0.2.1", 32853), transaction)
    assert stun.xor_address(("::ffff:192.0.2.1", 32853, 0, 0), transaction) == plain  # type: ignore[arg-type]


def test_a_stranger_with_a_whole_network_of_addresses_is_one_stranger() -> None:
    """His neighbours in IPv4, written as IPv6, are not he."""
    strangers = Strangers()
    for n in range(TRIES_A_SECOND):
        strangers.failed((f"2001:db8:1:2::{n:x}", 4000 + n), 7.0)
    assert strangers.exhausted(("2001:db8:1:2:ffff::1", 9), 7.5)
    assert not strangers.exhausted(("2001:db8:1:3::1", 9), 7.5)
    for n in range(TRIES_A_SECOND):
        strangers.failed((f"::ffff:192.0.2.{n}", 4000), 7.0)
    assert not strangers.exhausted(("::ffff:192.0.2.1", 4000), 7.5)
