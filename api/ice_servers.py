"""What a page's connections may go by when no UDP reaches a media worker: the TURN server.

The credentials are those of draft-uberti-behave-turn-rest-00: whoever shares the secret can check
them, so nothing is kept of them, here or there. The name in them is drawn, and nobody's.
"""

import base64
import hmac
import secrets
from datetime import datetime

import msgspec

from api.logs import error_fields, log
from storage.secrets import UnsafeSecret
from storage.settings import Settings


class IceServer(msgspec.Struct, frozen=True):
    """One of RTCConfiguration's `iceServers`."""

    urls: list[str]
    username: str
    credential: str


def ice_servers(settings: Settings, now: datetime) -> list[IceServer]:
    """The servers for one page, from now until the credentials' time is over; none without TURN."""
    turn = settings.turn
    if turn is None:
        return []
    try:
        secret = settings.turn_secret.encode()
    except (OSError, UnicodeDecodeError, UnsafeSecret) as error:
        # Whom UDP reaches talks on: no call ends, and nobody stays outside, for the relay's sake.
        log.error("turn", **error_fields(error))
        return []
    urls = turn.urls or turn.ours_at(settings.turn_name, tls=settings.turn_tls)
    username = f"{int(now.timestamp()) + turn.life_s}:{secrets.token_hex(8)}"
    digest = hmac.digest(secret, username.encode(), "sha1")
    return [IceServer(list(urls), username, base64.b64encode(digest).decode())]
