"""Every message of the sockets, one page. Text is JSON tagged by `type`; binary is an ECG frame of
devices/frames.py. The client's first message is its hello; then anything in any order.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from api.ice_servers import IceServer
from devices.ecg.quality import Quality, Reason
from devices.frames import StreamHeader
from eschool.chat import ChatMessage
from eschool.lesson_room import LessonRoom
from eschool.lessons import LessonSide
from eschool.slides import Deck
from people.call_words import Word
from people.policy import Act
from rtc.messages import Reason as StepReason
from rtc.messages import Step
from telemed.ecg import EcgStreamInfo
from telemed.readings import Reading
from telemed.visits import VisitState

MediaKind = Literal["audio", "video", "screen"]
Side = Literal["doctor", "patient", "teacher", "pupil"]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
# An offer or answer with a dozen m-lines is about 15 kB; a frame may hold 64 KiB.
Sdp = Annotated[str, msgspec.Meta(max_length=60_000)]
ResumeToken = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
Transports = Annotated[list[Text], msgspec.Meta(max_length=8)]


class FromPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message of a visit's or a lesson's page."""


class Hello(FromPage, frozen=True, tag="hello"):
    """First message: the one-use ticket, the page's own id, media transports that live on.

    A page that was here a moment ago shows its newest resume token instead of a ticket.
    """

    tab: UUID
    ticket: Text | None = None
    resume_token: ResumeToken | None = None
    resume: Transports = []

    def __post_init__(self) -> None:
        """Take one way in, not two and not none."""
        if (self.ticket is None) == (self.resume_token is None):
            raise ValueError("either a ticket or a resume token")


class MediaReady(FromPage, frozen=True, tag="media_ready"):
    """The page can take offers; what it has to publish, and transports that it keeps."""

    audio: bool
    video: bool
    screen: bool = False
    resume: Transports = []


class Answered(FromPage, frozen=True, tag="answer"):
    """The browser's answer to the newest offer of a transport."""

    transport: Text
    sdp: Sdp


class RestartMedia(FromPage, frozen=True, tag="restart"):
    """Asks for an ICE restart of a transport."""

    transport: Text


class Mute(FromPage, frozen=True, tag="mute"):
    """Stops or resumes what the page publishes, enforced by the media worker too."""

    kind: MediaKind
    muted: bool


class MediaReport(FromPage, frozen=True, tag="media_report"):
    """What only the page knows of the last `ms`: how long pictures stood still, how often, and how
    much of the sound was made up.
    """

    ms: Annotated[int, msgspec.Meta(ge=1_000, le=60_000)]
    frozen_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)]
    freezes: Annotated[int, msgspec.Meta(ge=0, le=1_000)]
    concealed_permille: Annotated[int, msgspec.Meta(ge=0, le=1_000)] | None = None


class Ping(FromPage, frozen=True, tag="ping"):
    """Answered by pong of the same number."""

    n: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class ToPage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to a visit's or a lesson's page."""


class MemberState(msgspec.Struct, frozen=True, kw_only=True):
    """A member of the room: online = has the page open; the kinds = arrive at the worker."""

    id: UUID
    name: str
    side: Side
    online: bool
    audio: bool
    video: bool
    screen: bool


class OfferedTrack(msgspec.Struct, frozen=True):
    """Whose track the m-line `mid` carries: a person's, or the lesson's `floor`."""

    mid: str
    kind: MediaKind
    member: str


class Welcome(ToPage, frozen=True, tag="welcome"):
    """Answer to hello: who you are, who is here, which ECG streams there are, the way back."""

    you: UUID
    resume_token: str
    members: list[MemberState]
    streams: list[EcgStreamInfo]
    server_time: datetime
    ice_servers: list[IceServer] = []


class Presence(ToPage, frozen=True, tag="presence"):
    """Who is here now, whole."""

    members: list[MemberState]


class Offered(ToPage, frozen=True, tag="offer"):
    """An SDP offer; the same transport again means renegotiate.

    An empty one asks for the page's own, sent as its `answer`; the reply to that has `reply` set.
    """

    transport: str
    direction: Literal["publish", "subscribe"]
    sdp: str
    tracks: list[OfferedTrack]
    reply: bool = False


class MediaAway(ToPage, frozen=True, tag="media_away"):
    """The media worker is lost; it comes back by itself."""


class MediaBack(ToPage, frozen=True, tag="media_back"):
    """The media worker is there again: make new peer connections, offers follow."""


class MediaStep(ToPage, frozen=True, tag="media_step"):
    """What the page gets of the others' media, from `high` down to `text`, and why not more."""

    step: Step
    reason: StepReason


class Speaks(ToPage, frozen=True, tag="speaking"):
    """Who speaks now, for whose picture is framed; nobody when null."""

    member: UUID | None


class MediaWords(ToPage, frozen=True, tag="media_words"):
    """What links are worth now, by person: everybody's for staff, for others their own."""

    words: dict[UUID, Word]


class ReadingMade(ToPage, frozen=True, tag="reading"):
    """A new reading, stored."""

    reading: Reading


class StreamOpened(ToPage, frozen=True, tag="ecg_stream"):
    """An ECG stream began, or was taken up again; its frames follow."""

    stream: EcgStreamInfo


class Vitals(ToPage, frozen=True, tag="vitals"):
    """Heart rate and signal quality of a stream at the sample time `at`."""

    stream: UUID
    heart_rate_bpm: float | None
    quality: Quality
    reason: Reason | None
    at: datetime
    # What the last half minute of usable intervals suggests: a code of devices/ecg/rhythm.py.
    rhythm: str | None = None


class EcgBeats(ToPage, frozen=True, tag="ecg_beats"):
    """Beats that were just confirmed: unix µs of the R peaks by the recorder's clock."""

    stream: UUID
    beats: list[int]


class StoresAway(ToPage, frozen=True, tag="stores_away"):
    """The database is away; nothing is stored now, live media goes on."""


class StoresBack(ToPage, frozen=True, tag="stores_back"):
    """The database is back."""


class FilesChanged(ToPage, frozen=True, tag="files"):
    """A file of the visit was handed in or taken back: ask for the list."""


class StripsChanged(ToPage, frozen=True, tag="ecg_strips"):
    """A strip of the ECG was attached to the visit: ask for the list."""


class VisitChanged(ToPage, frozen=True, tag="visit"):
    """The visit was opened or closed."""

    state: VisitState


class LessonWelcome(ToPage, frozen=True, tag="lesson_welcome"):
    """Answer to a lesson page's hello: who you are, who is here, how the room stands."""

    you: UUID
    resume_token: str
    side: LessonSide
    members: list[MemberState]
    room: LessonRoom
    deck: Deck | None
    server_time: datetime
    ice_servers: list[IceServer] = []


class LessonTold(ToPage, frozen=True, tag="lesson"):
    """The room has changed; it is told whole."""

    room: LessonRoom


class SlideShown(ToPage, frozen=True, tag="slide"):
    """The teacher turned to a page; told at once, before the room."""

    deck_id: UUID
    page: int
    at: datetime


class ChatTold(ToPage, frozen=True, tag="chat"):
    """A message of the chat is new or was decided upon."""

    message: ChatMessage


class WayBack(ToPage, frozen=True, tag="way_back"):
    """A newer resume token; the older ones end three minutes after they were told. Also newer
    credentials for the TURN server, whose own end is told in them.
    """

    resume_token: str
    ice_servers: list[IceServer] = []


class Pong(ToPage, frozen=True, tag="pong"):
    """Answer to ping."""

    n: int


class SocketProblem(ToPage, frozen=True, tag="problem"):
    """A message was not taken; `code` as in problem documents."""

    code: str


class SignedOut(ToPage, frozen=True, tag="signed_out"):
    """The session has ended; the socket closes with 4401."""


class DeviceHello(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hello"
):
    """First message of a recorder: its token and how to read its samples."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    stream: StreamHeader


class ToDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A message to a recorder."""


class Ready(ToDevice, frozen=True, tag="ready"):
    """Send frames from `stored` + 1; -1 when none is stored."""

    stored: int


class Stored(ToDevice, frozen=True, tag="stored"):
    """Every frame up to `sequence` is stored for good."""

    sequence: int


class DeviceProblem(ToDevice, frozen=True, tag="problem"):
    """Why the socket closes."""

    code: str


# What each message of a page asks for; the socket judges every one anew.
ACTS: dict[type, Act] = {
    Hello: Act.JOIN_VISIT,
    MediaReady: Act.JOIN_VISIT,
    Answered: Act.JOIN_VISIT,
    RestartMedia: Act.JOIN_VISIT,
    Mute: Act.JOIN_VISIT,
    MediaReport: Act.JOIN_VISIT,
    Ping: Act.JOIN_VISIT,
}

LESSON_ACTS: dict[type, Act] = dict.fromkeys(ACTS, Act.JOIN_LESSON)

VisitPageMessage = Hello | MediaReady | Answered | RestartMedia | Mute | MediaReport | Ping
VisitServerMessage = (
    Welcome
    | Presence
    | Offered
    | MediaAway
    | MediaBack
    | MediaWords
    | MediaStep
    | Speaks
    | ReadingMade
    | StreamOpened
    | Vitals
    | EcgBeats
    | StoresAway
    | StoresBack
    | WayBack
    | FilesChanged
    | StripsChanged
    | VisitChanged
    | Pong
    | SocketProblem
    | SignedOut
)
LessonPageMessage = VisitPageMessage
LessonServerMessage = (
    LessonWelcome
    | Presence
    | Offered
    | MediaAway
    | MediaBack
    | MediaWords
    | MediaStep
    | Speaks
    | LessonTold
    | SlideShown
    | ChatTold
    | StoresAway
    | StoresBack
    | WayBack
    | Pong
    | SocketProblem
    | SignedOut
)
DeviceServerMessage = Ready | Stored | DeviceProblem
