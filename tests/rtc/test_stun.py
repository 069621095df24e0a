"""STUN: what a browser sends is understood, everything else is refused without an answer."""

from pathlib import Path

import pytest
from aioice import stun as aioice_stun
from hypothesis import given
from hypothesis import strategies as st

from rtc import stun
from rtc.ice import IceLite

SAMPLES = Path(__file__).parent / "stun_samples"
PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"
SOURCE = ("192.0.2.1", 32853)
NOW = 100.0


def malformed() -> list[Path]:
    """The kept samples of nonsense."""
    return sorted(SAMPLES.glob("bad_*.bin"))


def test_the_request_of_rfc_5769_is_read_and_its_integrity_holds() -> None:
    """The published test vector of a signed request with fingerprint (RFC 5769 section 2.1)."""
    message = stun.parse((SAMPLES / "rfc5769_request.bin").read_bytes())
    assert message.username == "evtj:h6vY"
    assert message.signed_by(PASSWORD)
    assert not message.signed_by(PASSWORD + "x")


def test_the_address_of_rfc_5769_is_hidden_as_published() -> None:
    """XOR-MAPPED-ADDRESS of RFC 5769 sections 2.2 and 2.3."""
    transaction = bytes.fromhex("b7e7a701bc34d686fa87dfae")
    assert stun.xor_address(SOURCE, transaction).hex() == "0001a147e112a643"
    ipv6 = stun.xor_address(("2001:db8:1234:5678:11:2233:4455:6677", 32853), transaction)
    assert ipv6.hex() == "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"


@pytest.mark.parametrize("sample", malformed(), ids=lambda path: path.stem)
def test_a_malformed_sample_is_refused(sample: Path) -> None:
    """Each kept sample raises the one error the port expects."""
    with pytest.raises(stun.MalformedStunError):
        stun.parse(sample.read_bytes())


def test_there_are_malformed_samples() -> None:
    """The parametrised test above has something to try."""
    assert len(malformed()) >= 8


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    """No random datagram raises anything but the one error."""
    with pytest.raises(stun.MalformedStunError):
        stun.parse(data)


@given(st.integers(0, 99), st.integers(1, 255))
def test_one_changed_byte_breaks_a_request(at: int, change: int) -> None:
    """Fingerprint or integrity notices any change of a signed request."""
    data = bytearray(stun.request("a:b", "secret", use_candidate=True, tie_breaker=bytes(8)))
    at %= len(data)
    data[at] ^= change
    try:
        assert not stun.parse(bytes(data)).signed_by("secret")
    except stun.MalformedStunError:
        return


def test_another_implementation_reads_our_answer() -> None:
    """aioice understands the answer and finds its own address in it."""
    request = stun.parse(stun.request("a:b", "pw", use_candidate=False, tie_breaker=bytes(8)))
    answer = aioice_stun.parse_message(stun.success(request, SOURCE, "pw"))
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == SOURCE
    assert answer.transaction_id == request.transaction


def check(ice: IceLite, password: str, source: stun.Address, *, nominate: bool) -> bytes | None:
    """A peer's check under the newest user fragment."""
    data = stun.request(
        f"{ice.newest.ufrag}:peer", password, use_candidate=nominate, tie_breaker=bytes(8)
    )
    return ice.check(stun.parse(data), source, NOW)


def test_our_user_fragment_is_found_without_reading_the_whole_check() -> None:
    """Where browsers put it; elsewhere, or cut, there is none, and nothing is raised."""
    ufrag = IceLite().newest.ufrag
    data = stun.request(f"{ufrag}:peer", "pw", use_candidate=True, tie_breaker=bytes(8))
    assert stun.likely_ufrag(memoryview(data)) == ufrag
    for sample in [*SAMPLES.glob("*.bin")]:
        assert stun.likely_ufrag(memoryview(sample.read_bytes())) != ufrag
    for size in range(30):
        assert stun.likely_ufrag(memoryview(data[:size])) != ufrag


def test_the_first_valid_source_is_taken_without_nomination() -> None:
    """Chromium's first check does not nominate when the other end is lite."""
    ice = IceLite()
    assert check(ice, ice.newest.password, SOURCE, nominate=False)
    assert ice.address == SOURCE


def test_a_check_with_the_wrong_password_moves_nobody() -> None:
    """A guess of the user fragment alone is worth nothing."""
    ice = IceLite()
    assert check(ice, "guess", SOURCE, nominate=True) is None
    assert ice.address is None


def test_only_a_nomination_moves_a_peer() -> None:
    """A later check without USE-CANDIDATE is answered, but media stays where it is."""
    ice = IceLite()
    check(ice, ice.newest.password, SOURCE, nominate=True)
    other = ("192.0.2.9", 4)
    assert check(ice, ice.newest.password, other, nominate=False)
    assert ice.address == SOURCE
    check(ice, ice.newest.password, other, nominate=True)
    assert ice.address == other


def test_a_nomination_under_old_credentials_does_not_move_back() -> None:
    """After a restart the former path is answered but cannot take the media back."""
    ice = IceLite()
    old = ice.newest
    check(ice, old.password, SOURCE, nominate=True)
    ice.restart()
    other = ("192.0.2.9", 4)
    check(ice, ice.newest.password, other, nominate=True)
    stale = stun.request(f"{old.ufrag}:p", old.password, use_candidate=True, tie_breaker=bytes(8))
    assert ice.check(stun.parse(stale), SOURCE, NOW)
    assert ice.address == other


def test_credentials_are_dropped_at_the_second_restart() -> None:
    """Two are valid at a time, never three."""
    ice = IceLite()
    first = ice.newest
    assert ice.restart() is None
    assert ice.restart() == first
    assert len(ice.credentials) == 2
