"""/metrics: totals for the operator's Prometheus, by a token that lies in a file of the server.

Numbers of the whole process only: no rooms, no persons, no addresses, whatever is asked. A token,
and not "from this machine": behind a proxy everybody comes from this machine.
"""

import hmac
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency

from api.call_figures import Histogram
from api.house import House
from people.policy import Act
from people.refused import NotSignedIn
from rtc.messages import Stats
from storage.secrets import make_secret, read_secret
from storage.settings import Settings

TEXT = "text/plain; version=0.0.4"
_TOKEN = "metrics-token"  # noqa: S105 - the name of the file
_TOKEN_BYTES = 44  # with the end of the line
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Ours, as Prometheus calls it, what it counts.
_COUNTED = (
    ("packets_in", "packets_received_total", "RTP packets taken from publishers"),
    ("packets_out", "packets_sent_total", "RTP packets sent to viewers"),
    ("resent", "packets_resent_total", "RTP packets sent again on request"),
    ("refused_datagrams", "datagrams_refused_total", "Datagrams that were not a peer's"),
    ("cpu_s", "cpu_seconds_total", "Processor time of the media workers"),
)
_DROPPED = (
    "dropped_no_grant",
    "dropped_send",
    "dropped_surplus",
    "dropped_receive",
    "dropped_pipe",
)


def token_of(settings: Settings) -> str:
    """The operator's token, made by whoever asks first. Raises UnsafeSecret."""
    path = settings.secrets_dir / _TOKEN
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_secret(path, secrets.token_urlsafe(32).encode() + b"\n")
    return read_secret(path, _TOKEN_BYTES).decode().strip()


@get("/metrics", include_in_schema=False, act=Act.LOOK_AT_SERVICE, quiet=True)
async def metrics(request: Request[Any, Any, Any], house: NamedDependency[House]) -> Response[str]:
    """The totals. Raises NotSignedIn without the token."""
    shown = request.headers.get("Authorization", "").encode()
    if not hmac.compare_digest(shown, f"Bearer {token_of(house.settings)}".encode()):
        raise NotSignedIn
    text = "".join(f"{line}\n" for line in _lines(house, await house.media.stats()))
    return Response(text, media_type=TEXT)


def _lines(house: House, stats: Stats | None) -> Iterator[str]:
    yield from _value("media_up", "gauge", "Whether every media worker is linked", house.media.up)
    yield from _value("pages_open", "gauge", "Pages of rooms linked", len(house.live.pages()))
    if stats is not None:
        yield from _media(stats)
    figures = house.calls.figures
    words = {f'word="{word}"': count for word, count in sorted(house.calls.words.items())}
    yield from _values("call_ways", "gauge", "Ways of members by their word now", words)
    steps = {f'step="{step}"': count for step, count in sorted(figures.steps.items())}
    yield from _values("call_steps_total", "counter", "Steps of the ladder that were taken", steps)
    frozen_s = figures.frozen_ms / 1000
    yield from _value("call_frozen_seconds_total", "counter", "Pictures that stood still", frozen_s)
    loss = {f'direction="{way}"': found for way, found in figures.loss.items()}
    yield from _histograms("call_loss_ratio", "Packets lost on the way, of five seconds", loss)
    for name, what, found in (
        ("call_round_trip_seconds", "Round trip to viewers", figures.round_trip_s),
        ("call_jitter_seconds", "Jitter (RFC 3550)", figures.jitter_s),
        ("call_estimate_bits_per_second", "What viewers' links carry", figures.estimate_bps),
    ):
        yield from _histograms(name, what, {"": found})
    yield from _process()


def _media(stats: Stats) -> Iterator[str]:
    yield from _value("media_rooms", "gauge", "Rooms of the media workers", stats.rooms)
    yield from _value("media_transports", "gauge", "Transports of media", stats.transports)
    for ours, name, what in _COUNTED:
        yield from _value(f"media_{name}", "counter", what, getattr(stats, ours))
    dropped = {f'why="{ours.removeprefix("dropped_")}"': getattr(stats, ours) for ours in _DROPPED}
    yield from _values("media_dropped_total", "counter", "Packets not passed on", dropped)


def _process() -> Iterator[str]:
    """Of the API itself, by the names every Prometheus client uses."""
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    yield from _plain("process_resident_memory_bytes", "gauge", "Resident memory", {"": resident})
    opened = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are all that is needed
    yield from _plain("process_open_fds", "gauge", "Open descriptors", {"": opened})


def _value(name: str, kind: str, what: str, value: float) -> Iterator[str]:
    return _values(name, kind, what, {"": value})


def _values(name: str, kind: str, what: str, values: Mapping[str, float]) -> Iterator[str]:
    return _plain(f"yanasha_{name}", kind, what, values)


def _plain(name: str, kind: str, what: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {what}."
    yield f"# TYPE {name} {kind}"
    for labels, value in values.items():
        yield f"{name}{{{labels}}} {float(value):.15g}" if labels else f"{name} {float(value):.15g}"


def _histograms(name: str, what: str, found: Mapping[str, Histogram]) -> Iterator[str]:
    name = f"yanasha_{name}"
    yield f"# HELP {name} {what}."
    yield f"# TYPE {name} histogram"
    for labels, one in found.items():
        so_far, before = 0, f"{labels}," if labels else ""
        for bound, count in zip((*one.bounds, float("inf")), one.counts, strict=True):
            so_far += count
            edge = "+Inf" if bound == float("inf") else f"{bound:.15g}"
            yield f'{name}_bucket{{{before}le="{edge}"}} {so_far}'
        braces = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{braces} {one.sum:.15g}"
        yield f"{name}_count{braces} {so_far}"


ROUTES = [metrics]
