"""Every part of aiortc, pylibsrtp and pyOpenSSL the worker leans on; an upgrade that moves one fails.

rtc/aiortc_parts.py is the only file that touches a private name of theirs, and rtc/dtls.py the only
one that drives OpenSSL. Read both before changing a pin.
"""

import ast
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES, SRTPProtectionProfile
from OpenSSL import SSL
from pylibsrtp import Policy, Session

from rtc.aiortc_parts import REPLAY_WINDOW, Keys, ffi, lib

RTC = Path(__file__).parents[2] / "rtc"
PARTS = RTC / "aiortc_parts.py"
THEIRS = {"aiortc", "aioice", "pylibsrtp", "OpenSSL"}
WIRE_FORMATS = ("rtp", "sdp")  # modules of aiortc that are these and nothing else
PUBLIC_ALL_THE_SAME = {"_replace", "_asdict", "_fields"}  # of a NamedTuple


@pytest.mark.parametrize(("package", "read"), [("aiortc", "1.16.0"), ("pylibsrtp", "1.0.0")])
def test_both_are_the_versions_this_was_written_for(package: str, read: str) -> None:
    """A new version needs rtc/aiortc_parts.py read again, whatever the other tests say."""
    assert version(package) == read


def private_names(source: str) -> Iterator[str]:
    """What a file takes of others' private names, by import or by attribute."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            names = [*parts, *(each.name for each in node.names)]
            if parts[0] in THEIRS:
                yield from (each for each in names if each.startswith("_"))
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            of_itself = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
            is_public = node.attr.startswith("__") or node.attr in PUBLIC_ALL_THE_SAME
            if not of_itself and not is_public:
                yield node.attr


def test_no_other_file_touches_a_private_name() -> None:
    """Nor any other object's attribute with an underscore: one file to read at an upgrade."""
    found = {
        str(path.relative_to(RTC)): names
        for path in sorted(RTC.rglob("*.py"))
        if path != PARTS and (names := set(private_names(path.read_text())))
    }
    assert found == {}


def test_what_is_private_is_what_this_page_names() -> None:
    """A new private name in rtc/aiortc_parts.py needs a test here."""
    assert set(private_names(PARTS.read_text())) == {"_binding", "_create_ssl_context", "_srtp"}


def test_of_aiortc_itself_only_wire_formats_and_the_certificate_are_used() -> None:
    """No RTCPeerConnection, no RTCDtlsTransport, no aioice: nothing of theirs has a task or a queue."""
    used = set()
    for path in RTC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                package, _, module = node.module.partition(".")
                if package in {"aiortc", "aioice"} and module not in WIRE_FORMATS:
                    used |= {f"{node.module}.{each.name}" for each in node.names}
    assert used == {
        "aiortc.RTCCertificate",
        "aiortc.rtcdtlstransport.SRTP_PROFILES",
    }


def test_the_certificate_makes_an_openssl_context() -> None:
    """RTCCertificate._create_ssl_context: DTLS, asks for the peer's certificate, no tickets."""
    context = RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)
    assert isinstance(context, SSL.Context)
    wanted = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    assert context.get_verify_mode() == wanted


def test_the_profiles_begin_with_aead_and_256_bits() -> None:
    """The server's order decides (RFC 5764): AES-256-GCM, AES-128-GCM, then counter mode."""
    assert [each.openssl_profile for each in SRTP_PROFILES] == [
        b"SRTP_AEAD_AES_256_GCM",
        b"SRTP_AEAD_AES_128_GCM",
        b"SRTP_AES128_CM_SHA1_80",
    ]


@pytest.mark.parametrize("profile", SRTP_PROFILES, ids=lambda each: each.openssl_profile.decode())
def test_keying_material_is_cut_as_rfc_5764_says(profile: SRTPProtectionProfile) -> None:
    """Client's key, server's key, client's salt, server's salt; both ends understand each other."""
    size = profile.key_length + profile.salt_length
    material = bytes(range(2 * size))
    assert profile.get_key_and_salt(material, 0) == (
        material[: profile.key_length] + material[2 * profile.key_length :][: profile.salt_length]
    )
    server, client = Keys(profile, material), Keys(profile, material, server=False)
    packet = b"\x80\x60" + bytes(10) + b"voice"
    for sender, receiver in ((server.tx, client.rx), (client.tx, server.rx)):
        buffer, length = ffi.new("char[]", 200), ffi.new("int *", len(packet))
        ffi.memmove(buffer, packet, len(packet))
        assert lib.srtp_protect(sender, buffer, length) == lib.srtp_err_status_ok
        assert length[0] > len(packet)
        assert lib.srtp_unprotect(receiver, buffer, length) == lib.srtp_err_status_ok
        assert bytes(ffi.buffer(buffer, length[0])) == packet


def seal(keys: Keys, sequence: int) -> int:
    """libsrtp's verdict about sealing a packet with this number."""
    packet = b"\x80\x60" + sequence.to_bytes(2, "big") + bytes(8) + b"voice"
    buffer, length = ffi.new("char[]", 200), ffi.new("int *", len(packet))
    ffi.memmove(buffer, packet, len(packet))
    verdict: int = lib.srtp_protect(keys.tx, buffer, length)
    return verdict


def test_a_packet_may_be_sealed_again_within_the_window() -> None:
    """Policy.allow_repeat_tx and window_size reach libsrtp: a resend passes, one too old does not."""
    profile = SRTP_PROFILES[0]
    keys = Keys(profile, bytes(2 * (profile.key_length + profile.salt_length)))
    newest = 1000
    assert seal(keys, newest) == lib.srtp_err_status_ok
    assert seal(keys, newest) == lib.srtp_err_status_ok
    assert seal(keys, newest - REPLAY_WINDOW + 1) == lib.srtp_err_status_ok
    assert seal(keys, newest - REPLAY_WINDOW) != lib.srtp_err_status_ok


def test_a_session_holds_its_srtp_t_in_srtp() -> None:
    """pylibsrtp.Session._srtp[0] is the pointer libsrtp's functions take."""
    policy = Policy(key=bytes(46), ssrc_type=Policy.SSRC_ANY_OUTBOUND)
    assert ffi.typeof(Session(policy)._srtp[0]) is ffi.typeof("srtp_t")


@pytest.mark.parametrize(
    "name", ["srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp"]
)
def test_libsrtp_functions_have_the_signature_we_call(name: str) -> None:
    """status f(srtp_t, void *, int *): packet and length are changed in place."""
    kind = ffi.typeof(getattr(lib, name))
    assert [each.cname for each in kind.args] == [ffi.typeof("srtp_t").cname, "void *", "int *"]
    assert lib.srtp_err_status_ok == 0
