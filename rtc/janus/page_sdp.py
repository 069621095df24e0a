"""What a page may offer to send through Janus: the sections it was asked for, and nothing else."""

from collections.abc import Sequence

from rtc.messages import TrackInfo

MAX_SDP_BYTES = 200_000


class BadOfferError(ValueError):
    """A page offers what it was not asked for."""


def check(sdp: str, tracks: Sequence[TrackInfo]) -> set[str]:
    """The mids of the sections.

    Raises BadOfferError unless each is one of `tracks`, just sends or rests, and has one layer:
    Janus forwards whatever was agreed on, and what is not among the tracks nobody could silence.
    """
    if len(sdp) > MAX_SDP_BYTES:
        raise BadOfferError("too long")
    if "\r\n" in sdp and sdp.count("\n") > sdp.count("\r\n"):
        raise BadOfferError("lines that Janus would read otherwise")
    sections = sdp.split("\nm=")[1:]
    if not sections or len(sections) > len(tracks):
        raise BadOfferError("not the sections that were asked for")
    asked = {track.mid: "audio" if track.kind == "audio" else "video" for track in tracks}
    for section in sections:
        lines = [line.rstrip("\r") for line in section.split("\n")]
        mids = [line[6:] for line in lines if line.startswith("a=mid:")]
        if len(mids) != 1 or asked.pop(mids[0], None) != lines[0].split(" ")[0]:
            raise BadOfferError("not the sections that were asked for")
        if not {"a=sendonly", "a=inactive"}.intersection(lines):
            raise BadOfferError("a section that does not just send")
        if any(line.startswith(("a=simulcast:", "a=rid:", "a=ssrc-group:SIM")) for line in lines):
            raise BadOfferError("layers")
    return {track.mid for track in tracks} - set(asked)
