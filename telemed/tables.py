"""Every table of this room, so that one import fills the metadata."""

from telemed.ecg import EcgChunks, EcgFrames, EcgStreams
from telemed.ecg_strips import EcgStrips
from telemed.notes import VisitNotes
from telemed.reading_tables import ReadingDays, ReadingHours, ReadingKeys, Readings
from telemed.visits import Visits

__all__ = [
    "EcgChunks",
    "EcgFrames",
    "EcgStreams",
    "EcgStrips",
    "ReadingDays",
    "ReadingHours",
    "ReadingKeys",
    "Readings",
    "VisitNotes",
    "Visits",
]
