"""What a member's link is worth, in one of four words: the only place that judges it. Pure.

Voice counts by the E-model of ITU-T G.107, simplified as by Cole and Rosenbluth (2001): what delay
takes off, and what loss takes off with the robustness G.113 gives a codec that conceals losses
(25.1). Opus repairs more than that, so the word is rather too strict. The borders are those of
G.109: above 80 users are satisfied, under 60 nearly all are not. How long a picture may stand still
nobody has laid down: those two figures are ours.
"""

from typing import Final, Literal

import msgspec

Word = Literal["good", "fair", "poor", "lost"]
# From the best to the worst.
WORDS: Final[tuple[Word, ...]] = ("good", "fair", "poor", "lost")

BEST_R: Final = 93.2
SATISFIED_R, DISSATISFIED_R = 80.0, 60.0
ROBUSTNESS: Final = 25.1
# A packet of sound, the codec's look ahead, taking up and playing.
OWN_DELAY_MS: Final = 60.0
KNEE_MS: Final = 177.3
# Fewer packets say nothing of a share: one of them would be a tenth.
LEAST_PACKETS: Final = 20
STILL_FAIR, STILL_POOR = 0.05, 0.25
# Steps of the ladder on which the link has taken something away (rtc/ladder.py).
_LESS: Final = frozenset({"low", "slow"})
_LITTLE: Final = frozenset({"voice", "text"})


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What some seconds of a link came to; None: not known."""

    packets: int = 0
    lost: int = 0
    rtt_ms: int | None = None
    jitter_ms: int | None = None
    # Share of the sound that was made up, as the page tells: what loss and delay came to.
    concealed: float | None = None
    # Share of the time in which pictures stood still.
    frozen: float | None = None
    step: str | None = None
    silent: bool = False


def word_of(measured: Measured) -> Word:
    """The word: the worst of what voice, picture and ladder say."""
    if measured.silent:
        return "lost"
    return worst(_of_voice(measured), _of_picture(measured.frozen), _of_step(measured.step))


def worst(*words: Word) -> Word:
    """The worst of some words."""
    return max(words, key=WORDS.index)


def loss_of(measured: Measured) -> float | None:
    """The share that was lost on the way; None of too few packets."""
    if measured.packets < LEAST_PACKETS:
        return None
    return measured.lost / measured.packets


def rating(loss: float, delay_ms: float) -> float:
    """R of the E-model for a share of lost packets and the way from mouth to ear."""
    late = max(0.0, delay_ms - KNEE_MS)
    percent = 100 * loss
    return BEST_R - 0.024 * delay_ms - 0.11 * late - 95 * percent / (percent + ROBUSTNESS)


def _of_voice(measured: Measured) -> Word:
    # Half of the round trip is this member's way to the server; the other one's may be as long.
    delay_ms = OWN_DELAY_MS + (measured.rtt_ms or 0) + 2 * (measured.jitter_ms or 0)
    loss = loss_of(measured) if measured.concealed is None else measured.concealed
    found = rating(loss or 0.0, delay_ms)
    if found >= SATISFIED_R:
        return "good"
    return "fair" if found >= DISSATISFIED_R else "poor"


def _of_picture(frozen: float | None) -> Word:
    if frozen is None or frozen < STILL_FAIR:
        return "good"
    return "fair" if frozen < STILL_POOR else "poor"


def _of_step(step: str | None) -> Word:
    if step in _LITTLE:
        return "poor"
    return "fair" if step in _LESS else "good"
