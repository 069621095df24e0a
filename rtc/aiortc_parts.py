"""What we use of aiortc and pylibsrtp though they promise it to nobody; no other file of rtc/ does.

tests/rtc/test_aiortc_contract.py names each part and fails on an upgrade that moves one. From
aiortc come our certificate and the way it sets up OpenSSL; from pylibsrtp its sessions and its cffi
binding. The handshake itself is ours (rtc/dtls.py), since aiortc's has no cookie.
"""

from typing import Any, Self

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

__all__ = ["SRTP_PROFILES", "Identity", "Keys", "SrtpT", "ffi", "is_of", "lib"]

SrtpT = Any  # a pointer to libsrtp's srtp_ctx_t

REPLAY_WINDOW = 128  # packets; libsrtp's is shifted with each of them, so a long one costs
_EXTRACTOR = b"EXTRACTOR-dtls_srtp"  # RFC 5764 section 4.2
_DIGESTS = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}  # as OpenSSL says


class Identity:
    """A certificate of ours with the OpenSSL context all its handshakes share."""

    def __init__(self, certificate: RTCCertificate) -> None:
        prints = certificate.getFingerprints()
        self.fingerprint = next(each.value for each in prints if each.algorithm == "sha-256")
        self.context = context = certificate._create_ssl_context(SRTP_PROFILES)  # noqa: SLF001
        context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # or it would keep every peer's
        context.set_cookie_generate_callback(SSL.Connection.get_app_data)
        context.set_cookie_verify_callback(lambda connection, it: connection.get_app_data() == it)

    @classmethod
    def make(cls) -> Self:
        """A new one."""
        return cls(RTCCertificate.generateCertificate())


class Keys:
    """The receiving and the sending srtp_t of a connection; both live as long as this object."""

    def __init__(self, profile: Any, material: bytes, *, server: bool = True) -> None:
        ours, theirs = (1, 0) if server else (0, 1)
        self._sessions = (
            _session(profile, profile.get_key_and_salt(material, theirs), Policy.SSRC_ANY_INBOUND),
            _session(profile, profile.get_key_and_salt(material, ours), Policy.SSRC_ANY_OUTBOUND),
        )
        self.profile: str = profile.openssl_profile.decode()
        self.rx: SrtpT = self._sessions[0]._srtp[0]  # noqa: SLF001
        self.tx: SrtpT = self._sessions[1]._srtp[0]  # noqa: SLF001

    @classmethod
    def of(cls, connection: SSL.Connection) -> Self | None:
        """Those of a handshake that is whole; None when no SRTP profile was agreed."""
        name = connection.get_selected_srtp_profile()
        profile = next((each for each in SRTP_PROFILES if each.openssl_profile == name), None)
        if profile is None:
            return None
        size = 2 * (profile.key_length + profile.salt_length)
        return cls(profile, connection.export_keying_material(_EXTRACTOR, size))


def _session(profile: Any, key: bytes, ssrc_type: int) -> Session:
    policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=profile.libsrtp_profile)
    policy.allow_repeat_tx = True  # or no packet could be sent again
    policy.window_size = REPLAY_WINDOW
    return Session(policy)


def is_of(connection: SSL.Connection, fingerprints: list[tuple[str, str]]) -> bool:
    """Whether the peer's certificate is the one whose fingerprints his SDP named (RFC 8122).

    It is not parsed: cryptography raises for many a one that OpenSSL has taken.
    """
    certificate = connection.get_peer_certificate()
    known = [
        (digest, value.upper())
        for name, value in fingerprints
        if (digest := _DIGESTS.get(name.lower()))
    ]
    if certificate is None or not known:
        return False
    return all(value == certificate.digest(digest).decode() for digest, value in known)
