"""Asking the running API how it is."""

import asyncio

from storage.settings import Settings

OK = 200


def listens_at(settings: Settings) -> str:
    """Give the address of the API: loopback when Caddy stands in front."""
    return "127.0.0.1" if settings.caddy else settings.host


async def http_status(settings: Settings, path: str) -> int:
    """Ask our own API and give the status code. Raises OSError when nobody answers."""
    host = listens_at(settings)
    host = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104
    reader, writer = await asyncio.open_connection(host, settings.http_port)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}:{settings.http_port}\r\n"
        writer.write(f"{request}Connection: close\r\n\r\n".encode())
        line = (await reader.readline()).split()
    finally:
        writer.close()
    if len(line) < 2 or not line[1].isdigit():  # noqa: PLR2004 - version, status
        msg = "no HTTP answer"
        raise ConnectionError(msg)
    return int(line[1])


async def is_ready(settings: Settings) -> bool:
    """Tell whether /readyz answers 200 within 4 s."""
    try:
        async with asyncio.timeout(4):
            return await http_status(settings, "/readyz") == OK
    except (OSError, TimeoutError):
        return False
