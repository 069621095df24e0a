"""Every table of this room, so that one import fills the metadata."""

from eschool.chat import LessonMessages
from eschool.groups import LessonGroupings, LessonGroupSeats
from eschool.hands import LessonFloors, LessonHands
from eschool.lessons import Classes, Lessons
from eschool.slides import LessonDecks, LessonTurns
from eschool.takes import LessonSegments, LessonTakes

__all__ = [
    "Classes",
    "LessonDecks",
    "LessonFloors",
    "LessonGroupSeats",
    "LessonGroupings",
    "LessonHands",
    "LessonMessages",
    "LessonSegments",
    "LessonTakes",
    "LessonTurns",
    "Lessons",
]
