"""One session of Janus's HTTP API: requests, their answers, and what Janus says by itself.

Janus listens on loopback only and refuses whoever does not know the secret. Neither its address nor
a secret ever leaves this process.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec

ANSWERS_WITHIN_S = 5.0
KEEPALIVE_EVERY_S = 5.0
POLL_S = 40.0  # Janus answers an idle poll after 30 s
MOST_EVENTS = 50
PLUGIN = "janus.plugin.videoroom"

Json = dict[str, Any]
Jsep = tuple[str, str]  # "offer" or "answer", and the description


class Place(msgspec.Struct, frozen=True):
    """Where Janus listens and what it wants to hear; `python -m rtc.janus` writes it."""

    port: int
    api_secret: str
    admin_key: str

    @classmethod
    def read(cls, path: Path) -> "Place":
        """Raises OSError or msgspec.DecodeError while there is none."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


class JanusError(Exception):
    """Janus refuses a request, or does not answer it."""


class Session:
    """Everything of one API process; when it ends, Janus forgets all its rooms' connections.

    `on_event(handle, event)` hears what Janus says unasked of a handle.
    """

    def __init__(self, place: Place, on_event: Callable[[int, Json], None]) -> None:
        self._place = place
        self._on_event = on_event
        # An HTTP client that looked at the environment might send the secret to a proxy.
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{place.port}/janus",
            timeout=ANSWERS_WITHIN_S,
            trust_env=False,
        )
        self._answers: dict[str, asyncio.Future[Json]] = {}
        self.id = 0

    async def open(self) -> None:
        """Begins the session. Raises JanusError."""
        self.id = int((await self.post("", {"janus": "create"}))["data"]["id"])

    async def close(self) -> None:
        """Ends it; requests under way fail."""
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(JanusError("the session is closed"))
        if self.id:
            with suppress(JanusError):  # gone already
                await self.post(f"/{self.id}", {"janus": "destroy"})
        await self._http.aclose()

    async def listen(self) -> None:
        """Hears Janus until it is lost; then raises JanusError."""
        keeper = asyncio.create_task(self._keep_alive())
        poller = asyncio.create_task(self._poll())
        try:
            await asyncio.wait({keeper, poller}, return_when=asyncio.FIRST_COMPLETED)
            for task in (keeper, poller):
                if task.done():
                    task.result()
        finally:
            keeper.cancel()
            poller.cancel()
            await asyncio.gather(keeper, poller, return_exceptions=True)

    async def attach(self) -> int:
        """A new handle of the VideoRoom plugin."""
        answer = await self.post(f"/{self.id}", {"janus": "attach", "plugin": PLUGIN})
        return int(answer["data"]["id"])

    async def detach(self, handle: int) -> None:
        """Ends a handle with its connection."""
        await self.post(f"/{self.id}/{handle}", {"janus": "detach"})

    async def ask(self, handle: int, body: Json, jsep: Jsep | None = None) -> tuple[Json, str]:
        """A request to the plugin: its answer and the description that came with it, or ""."""
        message: Json = {"janus": "message", "body": body}
        if jsep is not None:
            # All our candidates are in the description, and pages send none later.
            message["jsep"] = {"type": jsep[0], "sdp": jsep[1], "trickle": False}
        transaction = secrets.token_hex(8)
        asked = self._answers[transaction] = asyncio.get_running_loop().create_future()
        try:
            answer = await self.post(f"/{self.id}/{handle}", message, transaction)
            if answer["janus"] == "ack":
                async with asyncio.timeout(ANSWERS_WITHIN_S):
                    answer = await asked
        except TimeoutError as late:
            raise JanusError(f"no answer to {body['request']}") from late
        finally:
            self._answers.pop(transaction, None)
        # Numbers only: the reasons quote what a page has sent.
        if answer["janus"] == "error":
            raise JanusError(f"{body['request']}: error {answer['error']['code']}")
        data = answer["plugindata"]["data"]
        if "error" in data:
            raise JanusError(f"{body['request']}: error {data.get('error_code')}")
        return data, answer.get("jsep", {}).get("sdp", "")

    async def post(self, path: str, message: Json, transaction: str = "") -> Json:
        """A request to Janus's core. Raises JanusError."""
        if self._http.is_closed:
            raise JanusError("the session is closed")
        message["transaction"] = transaction or secrets.token_hex(8)
        message["apisecret"] = self._place.api_secret
        try:
            response = await self._http.post(path, json=message)
            answer: Json = response.json()
        except (httpx.HTTPError, ValueError) as lost:
            raise JanusError(f"{message['janus']}: {type(lost).__name__}") from lost
        if answer["janus"] not in {"success", "ack"}:
            raise JanusError(f"{message['janus']}: error {answer.get('error', {}).get('code')}")
        return answer

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEPALIVE_EVERY_S)
            await self.post(f"/{self.id}", {"janus": "keepalive"})

    async def _poll(self) -> None:
        query: dict[str, str | int] = {"maxev": MOST_EVENTS, "apisecret": self._place.api_secret}
        while True:
            try:
                response = await self._http.get(f"/{self.id}", params=query, timeout=POLL_S)
                events = response.json()
            except (httpx.HTTPError, ValueError) as lost:
                raise JanusError(f"the long poll: {type(lost).__name__}") from lost
            for event in events if isinstance(events, list) else [events]:
                self._heard(event)

    def _heard(self, event: Json) -> None:
        asked = self._answers.get(event.get("transaction", ""))
        if asked is None and "sender" not in event and event["janus"] in {"error", "timeout"}:
            raise JanusError(f"the session is over: {event['janus']}")
        if asked is not None and event["janus"] != "ack":
            if not asked.done():
                asked.set_result(event)
        elif "sender" in event:
            self._on_event(int(event["sender"]), event)
