"""Recordings laid out as files, kept while they are watched: a player asks for hundreds of ranges.

Nobody is judged here: whoever asks has a stamp from recordings.stamp, which judges.
"""

from collections import OrderedDict

from eschool.recordings import VirtualFile

# An hour's lesson takes about half a megabyte.
FILMS_KEPT = 16


class Films:
    """The files asked for last, by their stamps."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, VirtualFile] = OrderedDict()

    def get(self, stamp: str) -> VirtualFile | None:
        """The file of this stamp, if it is here."""
        if stamp not in self._files:
            return None
        self._files.move_to_end(stamp)
        return self._files[stamp]

    def keep(self, stamp: str, file: VirtualFile) -> VirtualFile:
        """Keep a file; the one not asked for the longest gives way."""
        self._files[stamp] = file
        self._files.move_to_end(stamp)
        if len(self._files) > FILMS_KEPT:
            self._files.popitem(last=False)
        return file
