"""Every private thing of aiortc and pylibsrtp the worker leans on; an upgrade that moves one fails.

rtc/transport.py and rtc/srtp.py are the only users. Read media notes in docs/architecture.md before
changing a pin.
"""

import inspect
from importlib.metadata import version

import pytest
from aiortc import RTCCertificate, RTCDtlsTransport
from aiortc.rtcdtlstransport import State
from pylibsrtp import Policy, Session, _binding

from rtc.ice import DtlsPipe


@pytest.fixture
def dtls() -> RTCDtlsTransport:
    """A transport on our pipe that never starts."""
    pipe = DtlsPipe(lambda _: None)
    return RTCDtlsTransport(pipe, [RTCCertificate.generateCertificate()])


def test_aiortc_is_the_version_this_was_written_for() -> None:
    """A new version needs this page read again, whatever the other tests say."""
    assert version("aiortc") == "1.16.0"


def test_the_role_is_set_by_set_role(dtls: RTCDtlsTransport) -> None:
    """RTCDtlsTransport._set_role: our end is the DTLS server though ICE says controlled."""
    dtls._set_role("server")
    assert dtls._role == "server"


def test_srtp_sessions_lie_where_we_look(dtls: RTCDtlsTransport) -> None:
    """RTCDtlsTransport._rx_srtp and ._tx_srtp, set by _setup_srtp, are pylibsrtp Sessions."""
    assert dtls._rx_srtp is None
    assert dtls._tx_srtp is None
    source = inspect.getsource(RTCDtlsTransport._setup_srtp)
    assert "self._rx_srtp = Session(" in source
    assert "self._tx_srtp = Session(" in source
    assert "tx_policy.allow_repeat_tx = True" in source  # or no packet could be sent again


def test_encrypted_is_false_until_the_handshake_is_whole(dtls: RTCDtlsTransport) -> None:
    """RTCDtlsTransport.encrypted decides whether an alert may leave."""
    assert dtls.encrypted is False
    assert "self.encrypted = True" in inspect.getsource(RTCDtlsTransport._do_handshake)


def test_the_transport_asks_its_ice_end_for_nothing_new() -> None:
    """Of `self.transport` only _recv, _send and role are used."""
    source = inspect.getsource(RTCDtlsTransport)
    used = {
        part.split("(")[0].split(",")[0].split()[0] for part in source.split("self.transport.")[1:]
    }
    assert {name.rstrip(":)") for name in used} == {"_recv", "_send", "role"}


def test_states_are_named_as_we_compare_them(dtls: RTCDtlsTransport) -> None:
    """`state` is connected, closed or failed in these very words."""
    dtls._set_state(State.CONNECTED)
    assert dtls.state == "connected"
    dtls._set_state(State.CLOSED)
    assert dtls.state == "closed"


def test_a_session_holds_its_srtp_t_in_srtp() -> None:
    """pylibsrtp.Session._srtp[0] is the pointer libsrtp's functions take."""
    policy = Policy(key=bytes(46), ssrc_type=Policy.SSRC_ANY_OUTBOUND)
    assert _binding.ffi.typeof(Session(policy)._srtp[0]) is _binding.ffi.typeof("srtp_t")


@pytest.mark.parametrize(
    "name", ["srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp"]
)
def test_libsrtp_functions_have_the_signature_we_call(name: str) -> None:
    """status f(srtp_t, void *, int *): packet and length are changed in place."""
    kind = _binding.ffi.typeof(getattr(_binding.lib, name))
    assert [each.cname for each in kind.args] == [
        _binding.ffi.typeof("srtp_t").cname,
        "void *",
        "int *",
    ]
    assert _binding.lib.srtp_err_status_ok == 0
