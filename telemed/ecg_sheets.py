"""A strip on its sheet: analysed, drawn, set in pages. Arithmetic only, for a thread."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from devices.ecg.strip import Drawing, Strip, StripLead, draw_strip, to_svg
from devices.ecg.strip_pdf import to_pdf
from devices.frames import MISSING
from telemed.ecg_analysis import beats_of
from telemed.ecg_strips import Begun, Content, NewStrip, content, require_drawable
from telemed.ecg_trace import Span, join

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def made(begun: Begun, frames: Sequence[bytes], new: NewStrip) -> tuple[Content, bytes]:
    """Make what is kept of a stretch, and its sheet. Raises StripEmpty, BadSpan."""
    trace = join(begun.found.lead, frames, Span(new.from_us, new.until_us))
    require_drawable(trace)
    kept = content(trace, new, beats_of(trace), begun.words)
    return kept, to_pdf(drawn(kept))


def svg(kept: Content) -> bytes:
    """Draw a strip as one picture."""
    return to_svg(drawn(kept)).encode()


def drawn(kept: Content) -> Drawing:
    """Draw a strip: the same samples and words are the same drawing."""
    samples = np.frombuffer(kept.payload, "<i2")
    millivolts = (samples - float(kept.lead.baseline)) / kept.lead.gain_per_mv
    millivolts[samples == MISSING] = np.nan
    at = _EPOCH + timedelta(microseconds=kept.started_at_us)
    return draw_strip(
        Strip(
            leads=(StripLead(kept.lead.name, millivolts),),
            rate_hz=kept.lead.rate_hz,
            started_at=at.astimezone(ZoneInfo(kept.timezone)),
            speed_mm_s=kept.asked.speed_mm_s,
            gain_mm_mv=kept.asked.gain_mm_mv,
            filter=kept.filter,
            scale=kept.scale,
            beats=kept.beats,
            caption=tuple(kept.caption),
        )
    )
