"""Every table of this room, so that one import fills the metadata."""

from eschool.lessons import Classes, Lessons

__all__ = ["Classes", "Lessons"]
