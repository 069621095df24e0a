"""A TURN server of ours: Debian's coturn, for browsers that no UDP reaches.

It relays to the media workers' own address and to nothing else, whoever asks.
"""

import asyncio
import contextlib
import shutil
import signal
import socket
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate

from ops.children import Cannot, Child, clean_env
from ops.users import low_ports, owned_file, owned_folder, reachable, server_user
from storage.settings import Settings
from storage.turn import Turn

# A page has two connections; each tries three ways, from each network that its machine is in.
_OF_ONE_PAGE, _OF_ALL = 32, 4000
_BYTES_A_SECOND = 1_000_000  # of one connection, each way: a class seen whole is less
_NONCE_S = 600
_LOOK_S = 30.0  # at the certificate


def turn_child(settings: Settings, turn: Turn) -> Child:
    """Give coturn's row of the supervisor's table. Raises Cannot, UnsafeSecret."""
    found = shutil.which("turnserver")
    if found is None:
        raise Cannot(
            "TURN is asked for by YANASHA_TURN, but the program `turnserver` is not installed: "
            "install the Debian package coturn, or unset YANASHA_TURN."
        )
    # Strangers speak to it: a user of its own, who owns nothing else.
    uid = server_user(settings.home, "turn")
    program = reachable(Path(found), [Path(found)], settings.home, uid)
    pair = _Pair(settings, turn, owned_folder(settings.home / "turn", uid), uid)
    if turn.certificate is not None and not pair.whole():
        raise Cannot("YANASHA_TURN_CERTIFICATE and YANASHA_TURN_KEY do not belong together.")
    places = peers(settings)
    config = pair.folder / "turnserver.conf"
    # Made here: what is wrong with the secret is said at the start, not at a later new one.
    texts = {
        tls: turnserver_conf(settings, turn, pair.folder, places, tls=tls).encode()
        for tls in (False, True)
    }

    def before() -> None:
        with contextlib.suppress(OSError):  # a full disk ends no house: it is looked at again
            pair.take()
        pair.served = settings.turn_tls and pair.path.exists()
        if not _has(config, texts[pair.served], uid):
            owned_file(config, texts[pair.served], uid)

    async def ready() -> None:
        place = listening(settings, turn) or "127.0.0.1"
        _, writer = await asyncio.open_connection(place, turn.port)
        writer.close()
        await writer.wait_closed()

    argv, user = low_ports((str(program), "-c", str(config)), uid, (turn.port, turn.tls_port))
    return Child(
        name="turn",
        argv=argv,
        env=clean_env(settings.home),
        ready=ready,
        before=before,
        tend=pair.tend,
        tend_s=_LOOK_S,
        user=user,
        cwd=pair.folder,
        chatter=".*",  # all of it: it says much, and each try to reach somebody else
    )


class _Pair:
    """Certificate and key, copied to where coturn's user can read them."""

    def __init__(self, settings: Settings, turn: Turn, folder: Path, uid: int | None) -> None:
        self.folder = folder
        self.path = folder / "pair.pem"
        self.served = False  # coturn was started with it
        self._uid = uid
        self._turn = turn
        self._settings = settings

    def take(self) -> bool:
        """Copy the pair if there is a whole new one; whether there was."""
        found = self.whole()
        if found is None or _has(self.path, found, self._uid):
            return False
        owned_file(self.path, found, self._uid)
        return True

    def tend(self) -> signal.Signals | None:
        """Ask coturn to read a renewed pair, or to start anew when there was none before."""
        if not self.take():
            return None
        return signal.SIGUSR2 if self.served else signal.SIGTERM

    def whole(self) -> bytes | None:
        """The newest pair that belongs together."""
        if self._turn.certificate is not None and self._turn.key is not None:
            places = [(self._turn.certificate, self._turn.key)]
        elif self._settings.caddy:
            name = self._settings.turn_name
            below = self._settings.home / "caddy" / "data" / "certificates"
            found = below.glob(f"*/{name}/{name}.crt")
            places = [(each, each.with_suffix(".key")) for each in found]
        else:
            return None
        whole = []
        for certificate, key in places:
            with contextlib.suppress(OSError):
                pair = certificate.read_bytes(), key.read_bytes()
                if _belong_together(*pair):
                    whole.append((certificate.stat().st_mtime, b"\n".join(pair)))
        return max(whole)[1] if whole else None


def _has(path: Path, content: bytes, uid: int | None) -> bool:
    """Whether a file holds this, and is that user's."""
    if not path.exists() or (uid is not None and path.stat().st_uid != uid):
        return False
    return path.read_bytes() == content


def _belong_together(certificate: bytes, key: bytes) -> bool:
    """Not while only one of them is new."""
    try:
        of_certificate = load_pem_x509_certificate(certificate).public_key()
        of_key = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it wants a password
        return False
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return of_certificate.public_bytes(*form) == of_key.public_bytes(*form)


def peers(settings: Settings) -> list[tuple[str, str]]:
    """Each announced address of the media workers and the one of this machine that it means.

    Behind NAT the announced one is the router's, and few routers bring back what they are sent for
    it from within: coturn takes the address behind it. Raises Cannot.
    """
    return [(address, _behind(address)) for address in settings.rtc_addresses]


def _behind(address: str) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            try:
                probe.connect((address, 9))  # sends nothing
            except OSError as error:
                raise Cannot(
                    f"No address of this machine stands behind {address} of YANASHA_RTC_ADDRESS "
                    f"({error.strerror}): correct it, or unset YANASHA_TURN."
                ) from error
        return str(probe.getsockname()[0])


def listening(settings: Settings, turn: Turn) -> str | None:
    """The one address it listens at; None: all of this machine's that it finds at its start."""
    alone = settings.rtc_addresses == (settings.host,)
    return turn.host or (settings.host if alone else None)


def turnserver_conf(
    settings: Settings, turn: Turn, folder: Path, places: list[tuple[str, str]], *, tls: bool
) -> str:
    """Give coturn's configuration: everything is forbidden but the way to the media workers."""
    # One relay address: browsers ask for IPv4 unless told otherwise, we tell them nothing.
    outside, inside = next((each for each in places if ":" not in each[1]), places[0])
    place = listening(settings, turn)
    own = dict.fromkeys(inside for _, inside in places)
    lines = [
        *([f"listening-ip={place}"] if place else []),
        f"listening-port={turn.port}",
        f"relay-ip={inside}",
        "min-port=49152",
        "max-port=65535",
        *([f"external-ip={outside}/{inside}"] if outside != inside else []),
        "use-auth-secret",
        f"static-auth-secret={settings.turn_secret}",
        "realm=yanasha",
        f"stale-nonce={_NONCE_S}",
        f"user-quota={_OF_ONE_PAGE}",
        f"total-quota={_OF_ALL}",
        f"max-bps={_BYTES_A_SECOND}",
        # An allowed address wins over a denied range.
        "denied-peer-ip=0.0.0.0-255.255.255.255",
        "denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        *(f"allowed-peer-ip={each}" for each in own),
        *(["allow-loopback-peers"] if any(_is_loopback(each) for each in own) else []),
        "no-multicast-peers",
        "no-tcp-relay",
        "no-stun",
        "no-rfc5780",
        "no-stun-backward-compatibility",
        "no-software-attribute",
        "no-cli",
        "fingerprint",
        "no-dtls",
        *_tls(turn, folder, tls=tls),
        f"userdb={folder / 'users'}",
        f"pidfile={folder / 'pid'}",
        "log-file=stdout",
        "simple-log",
    ]
    return "".join(f"{line}\n" for line in lines)


def _tls(turn: Turn, folder: Path, *, tls: bool) -> list[str]:
    if not tls:
        return ["no-tls"]
    return [
        f"tls-listening-port={turn.tls_port}",
        f"cert={folder / 'pair.pem'}",
        f"pkey={folder / 'pair.pem'}",
        "no-tlsv1",
        "no-tlsv1_1",
    ]


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.startswith("127.")
