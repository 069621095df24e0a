"""One room of Janus's VideoRoom plugin, and the dummy publisher that feeds its empty lines."""

import itertools
import logging
from contextlib import suppress
from typing import Any

from rtc.janus.seat import Feed, Publish
from rtc.janus.session import JanusError, Json, Session
from rtc.messages import Codec, Kind

log = logging.getLogger(__name__)

H264 = "profile-level-id=42e01f;packetization-mode=1"
TALKS_PACKETS = 25  # half a second of a voice that is averaged
TALKS_LEVEL = 60  # -dBov; a room's noise is below it
MOST_PUBLISHERS = 1000  # the grants say who publishes; Janus's own limit is three
_numbers = itertools.count(1)


class VideoRoom:
    """Governed through a handle that has joined as a publisher and publishes nothing."""

    def __init__(self, session: Session, admin_key: str) -> None:
        self.session = session
        self._admin_key = admin_key
        self.control = 0
        self._id = ""
        self._dummy: dict[str, Feed] = {}  # by "audio" and "video"

    @property
    def open(self) -> bool:
        """Whether Janus has the room."""
        return self.control != 0

    async def make(self, name: str, codec: Codec) -> None:
        """Makes the room under a name it never had before."""
        self.control = await self.session.attach()
        self._id = f"{name}.{next(_numbers)}"
        try:
            await self._create(codec)
        except JanusError:
            with suppress(JanusError):  # it may not have come so far
                await self.destroy()
            raise

    async def _create(self, codec: Codec) -> None:
        picture = {"codec": "h264", "fmtp": H264} if codec == "h264" else {"codec": "vp8"}
        await self.ask(
            self.control,
            request="create",
            admin_key=self._admin_key,
            is_private=True,
            publishers=MOST_PUBLISHERS,
            bitrate=0,
            audiocodec="opus",
            videocodec=codec,
            h264_profile="42e01f",
            audiolevel_event=True,
            audio_active_packets=TALKS_PACKETS,
            audio_level_average=TALKS_LEVEL,
            dummy_publisher=True,
            dummy_streams=[{"codec": "opus"}, picture],
        )
        joined, _ = await self.ask(self.control, request="join", ptype="publisher", id="control")
        dummy = joined["publishers"][0]
        self._dummy = {each["type"]: (dummy["id"], each["mid"]) for each in dummy["streams"]}

    async def destroy(self) -> None:
        """Ends it with every connection in it."""
        control, self.control = self.control, 0
        if control:
            try:
                await self.ask(control, request="destroy")
            finally:
                await self.session.detach(control)

    async def ask(
        self, handle: int, jsep: tuple[str, str] | None = None, **body: Any
    ) -> tuple[Json, str]:
        """As the session's, about this room."""
        return await self.session.ask(handle, {"room": self._id, **body}, jsep)

    def idle(self, kind: Kind) -> Feed:
        """What a line carries while it has nothing to carry."""
        return self._dummy["audio" if kind == "audio" else "video"]

    async def silence(self, publish: Publish, kind: Kind, *, silent: bool) -> None:
        """Lets Janus drop a kind, or forward it; whoever cannot be silenced is put out."""
        async with publish.turn:  # two at once might come to Janus the other way round
            mid = publish.mid(kind)
            if mid is None or (kind in publish.silent) == silent:
                return
            (publish.silent.add if silent else publish.silent.discard)(kind)
            try:
                await self.ask(
                    self.control, request="moderate", id=publish.id, mid=mid, mute=silent
                )
            except JanusError as error:
                log.warning("%s is put out: %s", kind, error)
                with suppress(JanusError):  # gone already; or Janus hangs, and the session ends
                    await self.session.detach(publish.handle)
