"""The HTTP server: `python -m api`."""

import gc
from typing import Any

import uvicorn

from api import socket_wire
from api.app import create_app
from storage.settings import Settings

# The largest message is an SDP answer; uvicorn's default of 16 MiB invites floods.
WS_MAX_BYTES = 64 * 1024
# A lid that closes is noticed within 20 s, and the room shows it.
PING_EVERY_S = PING_ANSWER_S = 10.0


def uvicorn_options(settings: Settings) -> dict[str, Any]:
    """How uvicorn serves us: limits, no header about itself, logs by api/logs.py.

    Only our own proxy is believed about a client's address, and only when we started one.
    """
    return {
        "host": "127.0.0.1" if settings.caddy else settings.host,
        "port": settings.http_port,
        "ws_max_size": WS_MAX_BYTES,
        "ws_max_queue": 32,
        # Of some sockets some messages are packed, not all of all; frames take a shorter way.
        "ws": socket_wire.Protocol,
        "ws_per_message_deflate": False,
        "ws_ping_interval": PING_EVERY_S,
        "ws_ping_timeout": PING_ANSWER_S,
        "proxy_headers": settings.caddy,
        "forwarded_allow_ips": "127.0.0.1",
        "server_header": False,
        "access_log": False,
        "log_config": None,
        "limit_concurrency": 4000,
        "timeout_keep_alive": 30,
        "timeout_graceful_shutdown": 3,
    }


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = Settings.from_env()
    app = create_app(settings)
    # What is loaded by now lives as long as the process. Looking through it for garbage again and
    # again costs a quarter of a second each time, in which nobody is answered.
    gc.collect()
    gc.freeze()
    uvicorn.run(app, **uvicorn_options(settings))


if __name__ == "__main__":
    main()
