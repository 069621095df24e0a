"""Every table of this room, so that one import fills the metadata."""

from telemed.ecg import EcgChunks, EcgFrames, EcgStreams
from telemed.notes import VisitNotes
from telemed.readings import Readings
from telemed.visits import Visits

__all__ = ["EcgChunks", "EcgFrames", "EcgStreams", "Readings", "VisitNotes", "Visits"]
