"""Everything the API and a media worker say to each other, on one page.

Wire form: u32 big-endian length, then one MessagePack map tagged by `type`. The API opens the
stream (unix socket) and says `Hello`; the worker answers `Welcome`. A worker may hold several
links: what concerns a room goes to all of them.

PostgreSQL holds the grants, the worker holds presence. `RoomState` carries the whole desired state
of a room, so a lost message heals with the next one.
"""

import asyncio
from collections.abc import Collection
from typing import Annotated, Literal

from msgspec import Meta, Struct, ValidationError, msgpack

MAX_MESSAGE_BYTES = 1 << 20

Kind = Literal["audio", "video", "screen"]
Codec = Literal["vp8", "h264"]  # of every picture in a room
Direction = Literal["publish", "subscribe"]

# What a viewer gets, from the best to the least, and why not more: see rtc/ladder.py.
Step = Literal["high", "low", "slow", "voice", "text"]
Reason = Literal["your_link", "sender_link"]

# Whether a device streams vitals in a visit, and whether they come late: they go before video.
VitalsNow = Literal["none", "flow", "late"]

# A member's id is written into SDP as msid, so it must be an SDP token (RFC 8866) of ≤ 64 signs.
MemberId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")]
PipeName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{0,64}\Z")]  # of a worker
RoomId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")]

# In a room with a presenter everybody else is seen and heard through one slot of this name.
FLOOR = "floor"


class Message(Struct, frozen=True, tag_field="type", tag=True):
    """One message of the link; the class name is its tag."""


class Member(Struct, frozen=True):
    """What one person may do in a room now: kinds he may publish, whether he may watch."""

    member: MemberId
    publish: list[Kind]
    subscribe: bool


class Recording(Struct, frozen=True):
    """One take of a room's recording: from the teacher's start until his stop.

    What happens at wall time `w` (seconds since the epoch) lies at
    `base_ms + 1000 (w - started_at)` on the presentation's time line, which has no holes: takes
    follow one another.
    """

    take: RoomId
    started_at: float
    base_ms: int


class TrackInfo(Struct, frozen=True):
    """Which member's track the m-line `mid` of an offer carries."""

    mid: str
    kind: Kind
    member: MemberId


class MemberPresence(Struct, frozen=True):
    """What the worker sees of a member: connected at all, and which kinds arrive with a grant."""

    member: MemberId
    connected: bool
    audio: bool
    video: bool
    screen: bool = False


# API → worker


class Hello(Message, frozen=True):
    """First message of a link; `api_id` only tells links apart in the log."""

    api_id: str


class RoomState(Message, frozen=True):
    """The full desired state of a room.

    `version` grows with every change of the room, whichever API process sends it (a clock in
    microseconds does); a lower or equal one is ignored. No members: the room is closed.

    With a `presenter` the room is a lesson: everybody is offered the presenter's voice, camera and
    screen and one slot, `FLOOR`, for whoever else has a grant to publish. Without one (a visit)
    every member is offered every other.

    A lesson may be spread over workers: with a `home` this is a branch of a room that lives in the
    worker of that pipe, for those viewers who may `subscribe` here; nobody publishes here.
    """

    room: RoomId
    version: int
    members: list[Member]
    codec: Codec = "vp8"
    presenter: MemberId | None = None
    recording: Recording | None = None
    home: PipeName = ""
    vitals: VitalsNow = "none"


class Join(Message, frozen=True):
    """A member's page is ready for media; `audio`/`video`/`screen`: what it has to publish.

    The worker answers with an `Offer` for each transport that is not in `resume` or is no longer
    alive. Without `resume` a second Join replaces the first.
    """

    room: RoomId
    member: MemberId
    audio: bool
    video: bool
    resume: list[str]
    screen: bool = False


class Answer(Message, frozen=True):
    """The browser's answer to the newest offer of a transport."""

    room: RoomId
    member: MemberId
    transport: str
    sdp: str


class Restart(Message, frozen=True):
    """Asks for an ICE restart: a new offer of the same transport with new credentials."""

    room: RoomId
    member: MemberId
    transport: str


class Leave(Message, frozen=True):
    """The member's page is gone; the grants stay as they are."""

    room: RoomId
    member: MemberId


class SegmentStored(Message, frozen=True):
    """The index has the segment: the worker may forget it."""

    room: RoomId
    take: RoomId
    start_ms: int


class TakeStored(Message, frozen=True):
    """The index knows that the take is complete: the worker may forget it."""

    room: RoomId
    take: RoomId


class Ping(Message, frozen=True):
    """Is the worker's loop alive? Answered with `Pong` of the same number."""

    n: int


class StatsAsk(Message, frozen=True):
    """Asks for `Stats`."""


# worker → API


class Welcome(Message, frozen=True):
    """First message of the worker; another `worker_id` than before means all media is new.

    `rooms`: those that live in it, which stay with it. `kept`: those of which a recording is still
    on its way to the store, which had better come back to it. `branches`: those that live
    elsewhere, with the members who watch here.
    """

    worker_id: str
    started_at: float  # seconds since the epoch
    rooms: list[str] = []
    kept: list[str] = []
    branches: dict[str, list[str]] = {}


class Offer(Message, frozen=True):
    """An SDP offer for the member's browser; the same transport id again means renegotiate.

    An engine that wants the publisher's own offer asks for one with an empty `sdp`: the `Answer` is
    that offer, and what the engine answers comes as another `Offer`, with `reply` set.
    """

    room: RoomId
    member: MemberId
    transport: str
    direction: Direction
    sdp: str
    tracks: list[TrackInfo]
    reply: bool = False


class Presence(Message, frozen=True):
    """Who is there; `version` grows within the life of one worker."""

    room: RoomId
    version: int
    members: list[MemberPresence]


class TransportFailed(Message, frozen=True):
    """A transport is closed: `reason` is dtls, expired, unanswered, bad_answer,
    peer_closed, too_many_sources, remade (the room has another codec or presenter now) or engine
    (an engine that is not ours could not make it).

    The page that still wants media joins again, naming its other transport in `resume`.
    """

    room: RoomId
    member: MemberId
    transport: str
    reason: str


class SegmentClosed(Message, frozen=True):
    """A segment of a recording lies in the object store; told again until `SegmentStored`.

    Under `lessons/ROOM/TAKE/`: `START.m4s` (picture and voice, `size` bytes) and `START.a.m4s`
    (voice alone, `audio_size` bytes), START being `start_ms` in ten digits, beside `init.mp4` and
    `init.a.mp4`. `lost_ms` of it, from its start, is black and silent because the worker was away.
    """

    room: RoomId
    take: RoomId
    start_ms: int
    duration_ms: int
    size: int
    audio_size: int
    lost_ms: int


class TakeClosed(Message, frozen=True):
    """Every segment of a take lies in the object store; told again until `TakeStored`."""

    room: RoomId
    take: RoomId
    end_ms: int


class Stepped(Message, frozen=True):
    """A member who watches stands on another step of the ladder; down told at once, up later."""

    room: RoomId
    member: MemberId
    step: Step
    reason: Reason


class Trespass(Message, frozen=True):
    """A member sends packets of a kind without a grant; none is forwarded. Told once a grant."""

    room: RoomId
    member: MemberId
    kind: Kind


class Speaking(Message, frozen=True):
    """Who speaks now, by the levels the senders tell; None: nobody. Told when it changes."""

    room: RoomId
    member: MemberId | None


class Pong(Message, frozen=True):
    """The answer to `Ping`; `load`: the share of a core the worker has used of late."""

    n: int
    load: float = 0.0


class LinkRow(Struct, frozen=True):
    """How one transport fared in the last `ms`; None: not known, or there was none.

    `packets` were to arrive at the receiving end, of which `lost` did not on their own. `silent`:
    nothing was heard of the peer for some seconds. `layer` is the camera's: the name of the one he
    gets (of a publisher the largest that arrives), "" where there is one only, or `paused`.
    """

    member: MemberId
    direction: Direction
    ms: int
    silent: bool = False
    kbps: int = 0
    packets: int = 0
    lost: int = 0
    rtt_ms: int | None = None
    jitter_ms: int | None = None
    estimate_kbps: int | None = None
    layer: str | None = None


class Quality(Message, frozen=True):
    """How media fare in a room; told every five seconds while somebody is connected."""

    room: RoomId
    rows: list[LinkRow]


class Stats(Message, frozen=True):
    """Counters since the worker's start; packets are RTP packets."""

    rooms: int
    transports: int
    packets_in: int
    packets_out: int
    dropped_no_grant: int
    dropped_send: int
    dropped_surplus: int
    resent: int
    refused_datagrams: int
    cpu_s: float
    dropped_pipe: int = 0  # packets a branch of a room was too slow for
    dropped_receive: int = 0  # datagrams that came while the socket's buffer was full
    worker_id: str = ""


def together(parts: Collection[Stats]) -> Stats:
    """What several workers count, as one."""
    names = [name for name in Stats.__struct_fields__ if name != "worker_id"]
    return Stats(**{name: sum(getattr(part, name) for part in parts) for name in names})


ToWorker = (
    Hello
    | RoomState
    | Join
    | Answer
    | Restart
    | Leave
    | SegmentStored
    | TakeStored
    | Ping
    | StatsAsk
)
FromWorker = (
    Welcome
    | Offer
    | Presence
    | TransportFailed
    | SegmentClosed
    | TakeClosed
    | Trespass
    | Speaking
    | Stepped
    | Pong
    | Stats
    | Quality
)

_encoder = msgpack.Encoder()
_to_worker: msgpack.Decoder[ToWorker] = msgpack.Decoder(ToWorker)
_from_worker: msgpack.Decoder[FromWorker] = msgpack.Decoder(FromWorker)


class BadMessage(Exception):  # noqa: N818 - a sentence, not a failure
    """What came over the link is not a message of this page; the link must be closed."""


def frame(message: Message) -> bytes:
    """One message with its length in front."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "big") + body


async def _body(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(4), "big")
    if size > MAX_MESSAGE_BYTES:
        raise BadMessage(f"a message of {size} bytes")
    return await reader.readexactly(size)


async def read_to_worker(reader: asyncio.StreamReader) -> ToWorker:
    """Next message from the API; `IncompleteReadError` at the end, `BadMessage` on nonsense."""
    try:
        return _to_worker.decode(await _body(reader))
    except (ValidationError, ValueError) as bad:
        raise BadMessage(str(bad)) from bad


async def read_from_worker(reader: asyncio.StreamReader) -> FromWorker:
    """Next message from the worker; `IncompleteReadError` at the end, `BadMessage` on nonsense."""
    try:
        return _from_worker.decode(await _body(reader))
    except (ValidationError, ValueError) as bad:
        raise BadMessage(str(bad)) from bad
