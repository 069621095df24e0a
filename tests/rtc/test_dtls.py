"""The handshake's cookie: a forged ClientHello opens nothing, however complete it is."""

import gc
import hashlib
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiortc.rtcdtlstransport import SRTP_PROFILES
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL.crypto import FILETYPE_ASN1

from rtc.aiortc_parts import Identity
from rtc.dtls import (
    DATAGRAMS_A_SECOND,
    MOST_BEGUN,
    MOST_RECORDS,
    DtlsServer,
    hello_verify_request,
    read_hello,
)
from tests.rtc.dtls_client import CERTIFICATE, FINGERPRINTS, DtlsClient, forged_hello

IDENTITY = Identity.make()
ALERT = bytes.fromhex("15fefd00000000000000000002") + b"\x02\x28"
GOODBYE_KIND = 21
SPOILS = (
    bytes([22])
    + b"\xfe\xfd"
    + bytes(8)
    + (16).to_bytes(2, "big")
    + bytes([20])
    + bytes([0, 0, 4, 0, 2, 0, 0, 0, 0, 0, 4])
    + bytes(4)
)  # a Finished in the wrong place


class Meeting:
    """A server and its client, with what lies on the wire to the client."""

    def __init__(self) -> None:
        self.to_client: list[bytes] = []
        self.changes = 0
        self.now = 100.0
        self.server = DtlsServer(IDENTITY, self.to_client.append, self._changed)
        self.client = DtlsClient()

    def _changed(self) -> None:
        self.changes += 1

    def forge(self, *datagrams: bytes) -> None:
        """What somebody sends from the client's own address."""
        for each in datagrams:
            self.now += 0.02
            self.server.received(each, self.now)

    def turn(self) -> None:
        """What the server has said reaches the client, and his answer the server."""
        self.client.hears(self.to_client)
        self.to_client.clear()
        for each in self.client.says():
            self.now += 0.001
            self.server.received(each, self.now)

    def finish(self) -> None:
        """Turn by turn until both are done."""
        for _ in range(8):
            self.turn()
        assert self.client.whole
        assert self.server.whole


@pytest.fixture
async def meeting() -> Iterator[Meeting]:  # type: ignore[misc]
    """Both ends; the server closed at the end."""
    meeting = Meeting()
    yield meeting
    meeting.server.close()


async def test_a_handshake_begins_with_a_cookie(meeting: Meeting) -> None:
    """The first ClientHello is answered by one short datagram, and nothing is kept for it."""
    meeting.turn()
    assert meeting.to_client == [hello_verify_request(meeting.server._cookie)] * len(
        meeting.to_client
    )
    assert len(meeting.to_client[0]) < 60  # no use to who wants to flood somebody by us
    assert meeting.server._connection is None
    meeting.finish()
    assert meeting.changes == 1


async def test_both_ends_find_the_same_keys_and_the_certificate(meeting: Meeting) -> None:
    """AES-256-GCM is agreed; another certificate's fingerprint is not his."""
    meeting.finish()
    assert meeting.server.keys is not None
    assert meeting.server.keys.profile == "SRTP_AEAD_AES_256_GCM"
    assert meeting.client.connection.get_selected_srtp_profile() == b"SRTP_AEAD_AES_256_GCM"
    assert meeting.server.is_of(FINGERPRINTS)
    name, value = FINGERPRINTS[0]
    assert not meeting.server.is_of([(name, value[:-2] + "00" if value[-2:] != "00" else "01")])
    assert not meeting.server.is_of([*FINGERPRINTS, (name, "00:11")])
    assert not meeting.server.is_of([("md5", value)])


async def test_a_certificate_that_cryptography_cannot_read_raises_nothing(
    meeting: Meeting, tmp_path: Path
) -> None:
    """OpenSSL takes one of version 6: its fingerprint counts like any other's."""
    der = CERTIFICATE._cert.public_bytes(Encoding.DER)
    odd = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"), 1)
    assert odd != der
    path = tmp_path / "odd.der"
    path.write_bytes(odd)
    context = CERTIFICATE._create_ssl_context(SRTP_PROFILES)
    context.use_certificate_file(path, FILETYPE_ASN1)
    meeting.client = DtlsClient(context)
    meeting.finish()
    assert meeting.server.is_of([("sha-256", hashlib.sha256(odd).digest().hex(":"))])
    assert not meeting.server.is_of(FINGERPRINTS)


@pytest.mark.parametrize("before", range(3))
async def test_twenty_forged_client_hellos_from_the_peers_address_open_nothing(
    meeting: Meeting, before: int
) -> None:
    """Whichever turn of the genuine handshake they come before, it succeeds."""
    for _ in range(before):
        meeting.turn()
    forged = [forged_hello(record_number=number) for number in range(18)]
    meeting.forge(*forged, forged_hello(b"x" * 20), forged_hello(record_number=2**48 - 1))
    meeting.finish()
    assert meeting.server.is_of(FINGERPRINTS)


async def test_a_client_that_began_after_a_flood_is_not_disturbed(meeting: Meeting) -> None:
    """What the forged ones were answered has reached him before he said a word."""
    meeting.forge(*[forged_hello(record_number=number) for number in range(20)])
    meeting.to_client.clear()  # a browser that has not begun throws it away
    meeting.finish()


async def test_forged_alerts_and_nonsense_do_not_end_a_handshake(meeting: Meeting) -> None:
    """Unsealed alerts and cut records are dropped at every turn, also after the end."""
    noise = [ALERT, forged_hello()[:100], b"\x16\xfe\xfd", b"\x17" + bytes(12), b"\x14" * 13]
    for _ in range(4):
        meeting.forge(*noise)
        meeting.turn()
    meeting.finish()
    meeting.forge(*noise)
    assert not meeting.server.ended


async def test_no_unsealed_alert_leaves(meeting: Meeting) -> None:
    """A record OpenSSL complains about costs its connection, but the client hears no alert."""
    meeting.turn()
    meeting.turn()
    meeting.forge(SPOILS)
    assert all(each[0] != GOODBYE_KIND for each in meeting.to_client)
    assert meeting.server.spoilt
    assert meeting.changes == 1


async def test_a_goodbye_is_said_and_heard(meeting: Meeting) -> None:
    """Closing tells the client; a client's goodbye ends the server's side."""
    meeting.finish()
    meeting.client.connection.shutdown()
    meeting.forge(*meeting.client.written())
    assert meeting.server.ended
    assert meeting.changes == 2
    other = Meeting()
    other.finish()
    other.to_client.clear()
    other.server.close()
    assert [each[0] for each in other.to_client] == [GOODBYE_KIND]


async def test_a_lost_flight_is_repeated_when_the_client_asks_again(meeting: Meeting) -> None:
    """Its ClientHello coming again is answered at once, not after OpenSSL's second."""
    meeting.turn()
    meeting.client.hears(meeting.to_client)
    hello = meeting.client.says()
    meeting.to_client.clear()
    meeting.forge(*hello)
    flight = list(meeting.to_client)
    assert flight
    meeting.to_client.clear()
    meeting.now += 1000.0
    meeting.forge(*hello)
    assert meeting.to_client == flight
    meeting.finish()


async def test_datagrams_beyond_a_handshakes_need_are_refused(meeting: Meeting) -> None:
    """A flood from the peer's address costs us a count for each datagram and no more."""
    taken = [meeting.server.received(ALERT, 7.0) for _ in range(3 * DATAGRAMS_A_SECOND)]
    assert sum(taken) == DATAGRAMS_A_SECOND
    assert meeting.server.received(ALERT, 8.0)


async def test_a_datagram_of_many_records_is_read_to_a_point(meeting: Meeting) -> None:
    """Each costs us a call of OpenSSL, and 150 fit into one datagram."""
    record = ALERT
    meeting.forge(record * MOST_RECORDS + forged_hello())
    assert meeting.to_client == []
    meeting.forge(record * (MOST_RECORDS - 1) + forged_hello())
    assert len(meeting.to_client) == 1


async def test_who_spoils_his_own_handshake_again_and_again_is_not_heard_for_ever(
    meeting: Meeting,
) -> None:
    """Each beginning costs us two operations with keys; a few are enough for any accident."""
    meeting.turn()
    meeting.client.hears(meeting.to_client)
    hello = meeting.client.says()
    for _ in range(3 * MOST_BEGUN):
        meeting.forge(*hello, SPOILS)
    assert meeting.changes == MOST_BEGUN


def test_what_is_no_client_hello_has_no_cookie() -> None:
    """Cut, sealed, a later part, another message: none is read as a ClientHello."""
    hello = forged_hello(b"cookie")
    read = read_hello(hello)
    assert read is not None
    assert read.cookie == b"cookie"
    for at, value in ((0, 23), (4, 1), (13, 2), (21, 1)):
        other = bytearray(hello)
        other[at] = value
        assert read_hello(bytes(other)) is None
    for size in range(len(hello)):
        cut = read_hello(hello[:size])
        assert cut is None or len(cut.cookie) <= len(b"cookie")


async def test_what_has_ended_gives_its_memory_back_at_once(meeting: Meeting) -> None:
    """OpenSSL's part of it is invisible to the collector, which therefore comes seldom."""
    meeting.finish()
    connection = weakref.ref(meeting.server._connection)
    assert connection() is not None
    gc.disable()
    try:
        meeting.server.close()
        assert connection() is None
    finally:
        gc.enable()
    assert not meeting.server.received(forged_hello(bytes(20)), meeting.now)
