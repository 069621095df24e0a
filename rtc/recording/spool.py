"""Segments on their way to the object store: a folder that outlives the worker."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from rtc.messages import FromWorker, SegmentStored, TakeStored
from storage.objects import Objects


class Spool:
    """One a worker: owns the folder, uploads in the background and announces."""

    def __init__(self, folder: Path, objects: Objects, tell: Callable[[FromWorker], None]) -> None:
        self._folder = folder
        self._objects = objects
        self._tell = tell

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def stored(self, message: SegmentStored | TakeStored) -> None:
        """The index has it: it may be forgotten here."""

    def announce(self) -> None:
        """Tells again everything that is not acknowledged; called at each new link."""
