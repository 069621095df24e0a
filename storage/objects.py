"""Bytes by key, as the rooms see them. `storage.s3` keeps them.

ObjectsError
├── ObjectMissing   no object of this key
└── ObjectsAway     the store is unreachable, refuses us or fails; the same call may succeed later
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol


class ObjectsError(Exception):
    """Something about the object store."""


class ObjectMissing(ObjectsError):  # noqa: N818 - named as the fact it states
    """No object of this key."""


class ObjectsAway(ObjectsError):  # noqa: N818 - named as the fact it states
    """The store did not serve the call within its time; the same call may succeed later."""


class Objects(Protocol):
    """What the rooms see of an object store. Keys are paths without a leading slash."""

    async def put(
        self, key: str, data: bytes, content_type: str = "application/octet-stream"
    ) -> None:
        """Store `data` under `key`, replacing what was there; whole or not at all."""
        ...

    async def put_stream(
        self,
        key: str,
        pieces: AsyncIterator[bytes],
        size: int,
        content_type: str = "application/octet-stream",
    ) -> None:
        """As `put`, for what comes piece by piece and is `size` bytes in all.

        When the pieces break off (whatever they raise) or are more or fewer bytes (ValueError),
        nothing is stored.
        """
        ...

    async def get(self, key: str) -> bytes:
        """Return the whole object."""
        ...

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from `start`; fewer, even none, past the end, as a slice does."""
        ...

    def stream(
        self, key: str, start: int, length: int | None, piece: int, *, more_first: int = 0
    ) -> AsyncGenerator[bytes, None]:
        """Give the bytes from `start` in pieces of `piece` bytes, the last one shorter.

        The first one is `more_first` bytes longer. None past the end; to the end without `length`.
        Close it when not all is read: it holds a connection. Raises as `get_range`.
        """
        ...

    async def size(self, key: str) -> int:
        """Return how many bytes the object has. Raises ObjectMissing."""
        ...

    async def exists(self, key: str) -> bool:
        """Say whether there is an object of this key."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the object; removing what is not there is no error."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """List every key that begins with `prefix`, in order."""
        ...
