"""Faults made on purpose: a database that goes away and comes back, programs that are killed."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from storage.settings import Settings

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0
# Made once: a client that reads the authorities anew costs 40 ms, and these speak plain HTTP anyway.
AUTHORITIES = httpx.create_ssl_context()


class Gate:
    """A unix socket in front of PostgreSQL's, in a folder of its own, that can be shut.

    While `flows` is clear it hangs, as in front of a server that was stopped: nothing is closed.
    """

    def __init__(self, folder: Path, real: Path) -> None:
        self.folder = folder
        self._path = folder / ".s.PGSQL.5432"
        self._real = next(real.glob(".s.PGSQL.*[0-9]"))
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._served: set[asyncio.Task[None]] = set()
        self.flows = asyncio.Event()
        self.flows.set()

    async def open(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_unix_server(self._through, self._path)

    async def shut(self) -> None:
        """Cut every connection and take no new ones, as a killed server does."""
        assert self._server is not None
        self._server.close()
        self._path.unlink(missing_ok=True)
        for writer in list(self._writers):
            writer.transport.abort()
        self.flows.set()
        # Not left to the end of the loop: a cancelled one is an error in the log there.
        await asyncio.gather(*self._served, return_exceptions=True)

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        task.add_done_callback(self._served.discard)
        upstream, downstream = await asyncio.open_unix_connection(self._real)
        self._writers |= {writer, downstream}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, downstream))
                both.create_task(self._pump(upstream, writer))
        finally:
            self._writers -= {writer, downstream}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self.flows.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def program(
    settings: Settings, module: str, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """One of our programs with these settings; killed at the end."""
    env = settings.to_env() | {"PATH": os.environ["PATH"]}
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, cwd=ROOT, env=env, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def until_healthy(port: int) -> None:
    """Wait until the API answers."""
    async with asyncio.timeout(WITHIN_S), httpx.AsyncClient(verify=AUTHORITIES) as client:
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(f"http://127.0.0.1:{port}/healthz")).is_success:
                    return
            await asyncio.sleep(0.05)
