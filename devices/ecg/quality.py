"""What may be said of an ECG's quality, and why: the words that all judgements of it share.

Nothing that says them looks at the rhythm: a quality rule must not hide an arrhythmia.
"""

from enum import StrEnum


class Quality(StrEnum):
    """What the screen may say of the trace; a heart rate is shown for good and noisy only."""

    GOOD = "good"
    NOISY = "noisy"
    UNUSABLE = "unusable"
    LEAD_OFF = "lead_off"
    NO_SIGNAL = "no_signal"


class Reason(StrEnum):
    """Why the signal is not good, or why there is no rate."""

    FLAT_LINE = "flat_line"
    SATURATION = "saturation"
    MAINS = "mains"
    MUSCLE = "muscle"
    MOVEMENT = "movement"
    DRIFT = "drift"
    ELECTRODE_OFF = "electrode_off"
    FEW_BEATS = "few_beats"
