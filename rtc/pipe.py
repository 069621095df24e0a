"""What the workers of a house say to each other about one room that is spread over them.

A room's publishers are all in its home. A branch opens a pipe to the home (a unix socket of whole
messages, in the house's own folder), and gets the packets as the home's viewers see them: opened,
with the layers' numbers. A message is a row of items, each with a head of six bytes; nothing waits
in this process: what the socket does not take is dropped and counted.
"""

import os
import socket
import struct
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct, ValidationError, msgpack

from rtc.messages import Kind, MemberId, RoomId

PIPE_BUFFER_BYTES = 4 << 20  # as far as the system lets us
SUFFIX = ".pipe"  # beside the worker's link
MOST_BYTES = 1 << 17  # one message: whatever the worker's slots hold, twice over
MOST_TRACKS = 16
MOST_LAYERS = 8
MOST_SHARES = 4096
CREDENTIALS = struct.Struct("=iII")

PACKET, REPORT, WORDS = 0, 1, 2
HEAD = struct.Struct("!BBBxH")  # what it is, track, layer, bytes that follow

_Number = Annotated[int, Meta(ge=0, lt=MOST_TRACKS)]
_Layer = Annotated[int, Meta(ge=0, lt=MOST_LAYERS)]
_Ssrc = Annotated[int, Meta(gt=1, lt=1 << 32)]


class Enter(Struct, frozen=True, tag="enter"):
    """A branch's first words."""

    room: RoomId


class Wishes(Struct, frozen=True, tag="wishes"):
    """What a branch needs now: layers, key frames of some, and what its viewers' links carry.

    `shares`: of each picture how many watch it, and what those of them who know have for it.
    """

    layers: list[tuple[_Number, _Layer]]
    keys: list[tuple[_Number, _Layer]]
    shares: list[tuple[_Number, int, Annotated[list[int], Meta(max_length=MOST_SHARES)]]]


class Shown(Struct, frozen=True):
    """One track of the home: who it is, and which layers arrive with how many bits a second."""

    kind: Kind
    member: MemberId
    ssrc: _Ssrc
    is_published: bool
    layers: Annotated[list[tuple[bool, int]], Meta(max_length=MOST_LAYERS)]


class Scene(Struct, frozen=True, tag="scene"):
    """All tracks of the home, in the order of their numbers, and who has the floor."""

    holder: MemberId | None
    tracks: Annotated[list[Shown], Meta(max_length=MOST_TRACKS)]


Words = Enter | Wishes | Scene
_encode = msgpack.Encoder().encode
_words: msgpack.Decoder[Words] = msgpack.Decoder(Words)


class BadPipe(Exception):  # noqa: N818 - a sentence, not a failure
    """What came through is nothing of this page; the pipe must be closed."""


class Item(NamedTuple):
    """One item of a message."""

    what: Literal[0, 1, 2]
    track: int
    layer: int
    body: memoryview


def items(message: memoryview) -> Iterator[Item]:
    """The items of a message; BadPipe where it is cut."""
    at = 0
    while at < len(message):
        if len(message) < at + HEAD.size:
            raise BadPipe("a head is cut")
        what, track, layer, size = HEAD.unpack_from(message, at)
        at += HEAD.size
        if what > WORDS or len(message) < at + size:
            raise BadPipe("an item is cut, or nothing we know")
        yield Item(what, track, layer, message[at : at + size])
        at += size


def said(words: Words) -> bytes:
    """Words as a message."""
    body = _encode(words)
    return HEAD.pack(WORDS, 0, 0, len(body)) + body


def heard(body: memoryview) -> Words:
    """The words of an item."""
    try:
        return _words.decode(body)
    except (ValidationError, ValueError) as bad:
        raise BadPipe(str(bad)) from bad


def receive(sock: socket.socket, buffer: bytearray) -> int | None:
    """Bytes of the next message; 0: the other end is gone; None: there is nothing now."""
    try:
        return sock.recv_into(buffer)
    except BlockingIOError:
        return None
    except OSError:
        return 0


def is_ours(sock: socket.socket) -> bool:
    """Whether the other end is a process of our own user; the folder keeps the others out, too."""
    try:
        told = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    except OSError:
        return False
    return bool(CREDENTIALS.unpack(told)[1] == os.getuid())


def prepared(sock: socket.socket) -> socket.socket:
    """A pipe's end that never makes us wait."""
    sock.setblocking(False)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, PIPE_BUFFER_BYTES)
    return sock
