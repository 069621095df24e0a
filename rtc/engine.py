"""What the API asks of whatever forwards media. Our workers are one engine, Janus is another.

docs/media.md, "Another engine", says message by message what an engine must do.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Literal, Protocol, Self

from rtc.messages import FromWorker, ToWorker
from storage.settings import Settings

# What an engine may lack. Whoever needs one asks for it before he promises it to anybody.
# recording: segments in our store; stats: counters; trespass: tells who sends without a grant;
# simulcast: a camera in layers; ladder: steps for a weak link; quality: how each transport fares;
# survives: media go on while the API is restarted.
Feature = Literal[
    "recording", "stats", "trespass", "simulcast", "ladder", "quality", "speaker", "survives"
]
EVERYTHING: frozenset[Feature] = frozenset(
    ("recording", "stats", "trespass", "simulcast", "ladder", "quality", "speaker", "survives")
)


class Engine(Protocol):
    """A link to an engine, open for as long as its `async with` lasts.

    It calls `on_up(worker_id)` at each (re)connect, and at once takes what the API then says of the
    rooms of that worker; `on_down()` when a worker is lost; `on_message` for everything of
    `FromWorker`. Callbacks run in the event loop and must not block; no method does.
    """

    @property
    def features(self) -> frozenset[Feature]:
        """What this engine can do beyond forwarding."""

    @property
    def workers(self) -> int:
        """How many processes forward, up or not."""

    @property
    def up(self) -> bool:
        """Whether every one of them is connected."""

    def worker_of(self, room: str) -> str | None:
        """The worker of a room, for as long as the room lives; None while it is away.

        Another id than before means that all media of the room is new.
        """

    def send(self, message: ToWorker) -> bool:
        """Hands a message over. False: it is gone; `on_up` is the place to say it again."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class OpenEngine(Protocol):
    """Makes the link, with the three callbacks of whoever uses it."""

    def __call__(
        self,
        on_message: Callable[[FromWorker], None],
        on_up: Callable[[str], None],
        on_down: Callable[[], None],
        /,
    ) -> Engine: ...


def chosen(settings: Settings) -> OpenEngine:
    """The engine that `YANASHA_MEDIA_ENGINE` names."""
    if settings.media_engine == "janus":
        return _janus(settings)
    return _workers(settings)


# Each process loads the engine it uses.


def _workers(settings: Settings) -> OpenEngine:
    from rtc.link import MediaLink  # noqa: PLC0415

    paths = [settings.link_path(number) for number in range(settings.rtc_workers)]
    return lambda *callbacks: MediaLink(paths, *callbacks)


def _janus(settings: Settings) -> OpenEngine:
    from rtc.janus.link import JanusLink  # noqa: PLC0415
    from rtc.janus.program import place_of  # noqa: PLC0415

    place = place_of(settings.run_dir)
    return lambda *callbacks: JanusLink(place, *callbacks)
