"""Janus from Debian as the peer of the media bench: started, driven over HTTP and stopped here.

A configuration of its own in a temporary folder, VideoRoom and the HTTP transport only, ICE-lite
(so that one client serves both servers), as many event loops as there are cores.
"""

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.rtc_peer import Peer
from bench.rtc_servers import ADDRESS, free_port, pinned, stopped
from rtc.messages import Offer

PACKAGE = "janus"
ROOM = 4711
STARTS_WITHIN_S = 15.0
POLL_S = 40.0
ANSWERS_WITHIN_S = 10.0


def _configure(folder: Path, port: int) -> None:
    """The three files Janus reads; every other plugin stays unloaded."""
    unused = {
        kind: ",".join(
            sorted({each.name for each in Path("/usr/lib").glob(f"*/janus/{kind}/*.so")} - {kept})
        )
        for kind, kept in (
            ("plugins", "libjanus_videoroom.so"),
            ("transports", "libjanus_http.so"),
            ("events", ""),
            ("loggers", ""),
        )
    }
    (folder / "janus.jcfg").write_text(
        f"""general: {{
    configs_folder = "{folder}"
    log_to_stdout = false
    log_to_file = "{folder}/janus.log"
    debug_level = 3
    session_timeout = 120
    event_loops = {os.cpu_count()}
}}
media: {{ ipv6 = false }}
nat: {{
    ice_lite = true
    ice_enforce_list = "{ADDRESS}"
}}
plugins: {{ disable = "{unused["plugins"]}" }}
transports: {{ disable = "{unused["transports"]}" }}
events: {{ broadcast = false }}
"""
    )
    (folder / "janus.transport.http.jcfg").write_text(
        f"""general: {{
    json = "compact"
    base_path = "/janus"
    http = true
    port = {port}
    ip = "127.0.0.1"
    https = false
}}
admin: {{ admin_http = false }}
"""
    )
    (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")


class JanusServer:
    """One Janus with one room; every client is a handle of one session."""

    name = "janus"

    def __init__(self, http: httpx.AsyncClient, pid: int) -> None:
        self.pid = pid
        self._http = http
        self._session = ""
        self._feed = 0
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._handles: dict[Peer, str] = {}
        self._poller: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """A session, a room without a limit of its own, and the long poll."""
        created = await self._post("", {"janus": "create"})
        self._session = f"/{created['data']['id']}"
        self._poller = asyncio.create_task(self._poll())
        handle = await self._attach()
        room = {
            "request": "create",
            "room": ROOM,
            "publishers": 2,
            "bitrate": 0,
            "audiocodec": "opus",
            "videocodec": "vp8",
            "fir_freq": 0,
            "notify_joining": False,
        }
        await self._post(handle, {"janus": "message", "body": room})

    async def end(self) -> None:
        """No more polls."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)

    async def publisher(self) -> Peer:
        """A connected client whose media the room forwards."""
        peer = Peer(direction="publish")
        await peer.open(ADDRESS)
        handle = self._handles[peer] = await self._attach()
        joined = await self._ask(handle, {"request": "join", "ptype": "publisher", "room": ROOM})
        self._feed = joined["plugindata"]["data"]["id"]
        answered = await self._ask(handle, {"request": "publish"}, ("offer", peer.offer_sdp()))
        peer.take(Offer("bench", "peer", "", "publish", answered["jsep"]["sdp"], []))
        await peer.connect()
        return peer

    async def viewer(self) -> Peer:
        """A connected client that gets the publisher's media."""
        handle = await self._attach()
        join = {
            "request": "join",
            "ptype": "subscriber",
            "room": ROOM,
            "streams": [{"feed": self._feed}],
        }
        offered = await self._ask(handle, join)
        peer = Peer(Offer("bench", "peer", "", "subscribe", offered["jsep"]["sdp"], []))
        self._handles[peer] = handle
        await peer.open(ADDRESS)
        await self._ask(handle, {"request": "start"}, ("answer", peer.answer()))
        await peer.connect()
        return peer

    async def leave(self, peer: Peer) -> None:
        """Closes one client."""
        await peer.close()
        await self._post(self._handles.pop(peer), {"janus": "detach"})

    async def _attach(self) -> str:
        attach = {"janus": "attach", "plugin": "janus.plugin.videoroom"}
        attached = await self._post(self._session, attach)
        return f"{self._session}/{attached['data']['id']}"

    async def _ask(
        self, handle: str, body: dict[str, Any], jsep: tuple[str, str] | None = None
    ) -> dict[str, Any]:
        """A message to the plugin; its event comes by the long poll."""
        transaction = secrets.token_hex(8)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[transaction] = future
        message: dict[str, Any] = {"janus": "message", "body": body}
        if jsep is not None:
            message["jsep"] = {"type": jsep[0], "sdp": jsep[1]}
        await self._post(handle, message, transaction)
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            event = await future
        data = event["plugindata"]["data"]
        assert "error" not in data, data
        return event

    async def _post(
        self, path: str, message: dict[str, Any], transaction: str = ""
    ) -> dict[str, Any]:
        message["transaction"] = transaction or secrets.token_hex(8)
        answer: dict[str, Any] = (await self._http.post("/janus" + path, json=message)).json()
        assert answer["janus"] in {"success", "ack"}, answer
        return answer

    async def _poll(self) -> None:
        while True:
            answer = await self._http.get(f"/janus{self._session}?maxev=10", timeout=POLL_S)
            events = answer.json()
            for event in events if isinstance(events, list) else [events]:
                future = self._answers.pop(event.get("transaction", ""), None)
                if future is not None and not future.done():
                    future.set_result(event)


@asynccontextmanager
async def janus() -> AsyncIterator[JanusServer]:
    """A Janus process on the servers' core, with an open room; stopped by its pid at the end."""
    with tempfile.TemporaryDirectory(prefix="janus-") as name:
        folder, port = Path(name), free_port()
        _configure(folder, port)
        process = await asyncio.create_subprocess_exec(
            *pinned("janus", "-F", name, "-C", f"{name}/janus.jcfg"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with stopped(process), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            await _answers(http, process)
            server = JanusServer(http, process.pid)
            await server.begin()
            try:
                yield server
            finally:
                await server.end()


async def _answers(http: httpx.AsyncClient, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(STARTS_WITHIN_S):
        while process.returncode is None:
            try:
                await http.get("/janus/info")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
    raise RuntimeError(f"janus ended with {process.returncode}")
