"""Record Access Control Point 0x2A52: downloading a meter's records, as a pure state machine.

    op, operator, operand       01 01 report all          01 03 01 nn nn report from nn on
                                04 .. count               03 00 abort
    05 00 count, 06 00 op code  what the meter indicates

    racp = Racp(last_sequence)                 # the newest record that is stored for good
    write racp.start(), then feed it: on_measurement for each record, on_indication for each
    indication of the control point, stored(sequence) when a record is safe; do what it answers.

After a cut a new `start` goes on behind the last stored record, but never past a hole: a record may
have been lost there, or deleted at the meter, and only a download that ends well tells which. The
count asked first shows records lost on the way; one that comes again is told apart from a new one.
It has no radio and no clock, raises on nothing a device sends, and never asks a meter to delete.
"""

import struct
from collections import deque
from enum import IntEnum, StrEnum

import msgspec

from devices.gatt.payload import BadPayload

NEWEST_SEQUENCE = 0xFFFF
_BY_SEQUENCE = 1
# So many steps as long as the first one are an interval and no holes.
_AS_LONG = 3
# Meters count from 0 or from 1.
_VERY_FIRST = 1
_COUNTS = {1: "<B", 2: "<H", 4: "<I"}


class Op(IntEnum):
    """What can be asked. Deleting (2) is left out on purpose: the records are the user's."""

    REPORT = 1
    ABORT = 3
    COUNT = 4


_COUNT_REPLY, _RESPONSE = 5, 6


class Operator(IntEnum):
    """Which records are meant."""

    NULL = 0
    ALL = 1
    UP_TO = 2
    FROM = 3
    RANGE = 4
    FIRST = 5
    LAST = 6


class ResponseCode(IntEnum):
    """How the meter ended a procedure."""

    SUCCESS = 1
    OP_UNSUPPORTED = 2
    OPERATOR_INVALID = 3
    OPERATOR_UNSUPPORTED = 4
    OPERAND_INVALID = 5
    NONE_FOUND = 6
    ABORT_FAILED = 7
    NOT_COMPLETED = 8
    OPERAND_UNSUPPORTED = 9


_NOT_THIS_WAY = frozenset(
    {
        ResponseCode.OPERATOR_INVALID,
        ResponseCode.OPERATOR_UNSUPPORTED,
        ResponseCode.OPERAND_INVALID,
        ResponseCode.OPERAND_UNSUPPORTED,
    }
)


class Request(msgspec.Struct, frozen=True):
    """What is written to the control point; `first` and `last` are sequence numbers."""

    op: Op
    operator: Operator = Operator.NULL
    first: int | None = None
    last: int | None = None


class CountReply(msgspec.Struct, frozen=True):
    """The meter's answer to COUNT."""

    count: int


class Response(msgspec.Struct, frozen=True):
    """The end of the procedure `op` that was asked for."""

    op: int
    code: int


def encode_request(request: Request) -> bytes:
    """Bytes to write."""
    limits = [n for n in (request.first, request.last) if n is not None]
    by = struct.pack(f"<B{len(limits)}H", _BY_SEQUENCE, *limits) if limits else b""
    return bytes((request.op, request.operator)) + by


def decode_request(data: bytes) -> Request:
    """What a meter reads (simulators need it); BadPayload for what we never write."""
    if len(data) < 2:  # noqa: PLR2004 - op and operator
        raise BadPayload("too_short", len(data))
    try:
        op, operator = Op(data[0]), Operator(data[1])
    except ValueError as error:
        raise BadPayload("opcode", 0) from error
    limits = {Operator.UP_TO: 1, Operator.FROM: 1, Operator.RANGE: 2}.get(operator, 0)
    if len(data) != 2 + (1 + 2 * limits if limits else 0):
        raise BadPayload("length", len(data))
    if not limits:
        return Request(op, operator)
    if data[2] != _BY_SEQUENCE:
        raise BadPayload("opcode", 2)
    numbers = struct.unpack_from(f"<{limits}H", data, 3)
    if operator is Operator.UP_TO:
        return Request(op, operator, last=numbers[0])
    return Request(op, operator, *numbers)


def encode_reply(reply: CountReply | Response) -> bytes:
    """What a meter indicates (simulators need it)."""
    if isinstance(reply, CountReply):
        return struct.pack("<BBH", _COUNT_REPLY, 0, reply.count)
    return bytes((_RESPONSE, 0, reply.op, reply.code))


def decode_reply(data: bytes) -> CountReply | Response:
    """The meter's indication, or BadPayload."""
    if len(data) < 3:  # noqa: PLR2004 - the shortest reply
        raise BadPayload("too_short", len(data))
    if data[0] not in (_COUNT_REPLY, _RESPONSE) or data[1] != Operator.NULL:
        raise BadPayload("opcode", 0)
    if data[0] == _COUNT_REPLY:
        shape = _COUNTS.get(len(data) - 2)
        if shape is None:
            raise BadPayload("length", len(data))
        return CountReply(struct.unpack_from(shape, data, 2)[0])
    if len(data) != 4:  # noqa: PLR2004 - op, operator, op asked for, code
        raise BadPayload("length", len(data))
    return Response(data[2], data[3])


class Reason(StrEnum):
    """Why a download ended without the word that all is here."""

    RECORDS_LOST = "records_lost"
    NOT_COMPLETED = "not_completed"
    UNSUPPORTED = "unsupported"
    ABORTED = "aborted"


class Write(msgspec.Struct, frozen=True):
    """Write these bytes to the control point."""

    data: bytes


class Record(msgspec.Struct, frozen=True):
    """A record came; `fresh` is false for one that came before."""

    sequence: int
    fresh: bool


class Finished(msgspec.Struct, frozen=True):
    """The meter has told all it has; `received` of them were fresh."""

    received: int


class Failed(msgspec.Struct, frozen=True):
    """The download ended early; `again` says whether a new `start` can help."""

    reason: Reason
    again: bool


class Restarted(msgspec.Struct, frozen=True):
    """The meter counts from the beginning again (a new battery, a reset): its sequence numbers
    no longer mean the records they meant, so store what follows under a new series."""

    sequence: int


class Ignored(msgspec.Struct, frozen=True):
    """An indication that means nothing here; the download goes on."""

    code: str


Event = Write | Record | Finished | Failed | Restarted | Ignored


class _State(StrEnum):
    IDLE = "idle"
    COUNTING = "counting"
    REPORTING = "reporting"
    CHECKING = "checking"


class Racp:
    """One meter's download. `resume_from` is the newest sequence behind which a start goes on.

    `first`: the lowest sequence of a first download so far. What comes first may not be the oldest,
    but the first that was not lost: until the same one has come first twice, or it is a meter's
    very first, a cut begins anew.
    """

    def __init__(
        self,
        last_sequence: int | None = None,
        *,
        first: int | None = None,
        count_first: bool = True,
    ) -> None:
        self.resume_from = last_sequence
        self.first = first
        self._count_first = count_first
        self._state = _State.IDLE
        self._asked_from = last_sequence
        self._expected: int | None = None
        self._came: set[int] = set()
        self._waiting: deque[int] = deque()
        self._stored: set[int] = set()
        self._newest: int | None = None
        # The shortest step between records so far, and the record before the first longer one.
        self._step: int | None = None
        self._before_hole: int | None = None
        self._unsure = 0
        self._in_order = True
        self._whole = False
        self._oldest_known = last_sequence is not None

    def start(self) -> bytes:
        """The first bytes to write, at the first connection and after every cut."""
        self._asked_from = self.resume_from
        self._expected = None
        self._forget()
        self._oldest_known = self._asked_from is not None
        self._state = _State.COUNTING if self._count_first else _State.REPORTING
        return encode_request(self._behind(Op.COUNT if self._count_first else Op.REPORT))

    def abort(self) -> bytes:
        """Bytes that ask the meter to stop."""
        return encode_request(Request(Op.ABORT))

    def on_cut(self) -> None:
        """The link is gone: what belongs to this dialogue no longer means anything."""
        self._state = _State.IDLE

    def on_measurement(self, sequence: int) -> list[Event]:
        """A record arrived."""
        if self._state is _State.CHECKING:
            self._newest = sequence
            return [Record(sequence, fresh=False)]
        old = self._asked_from is not None and sequence <= self._asked_from
        if old or sequence in self._came:
            return [Record(sequence, fresh=False)]
        if self._newest is None and self._asked_from is None:
            self._oldest_known = sequence <= _VERY_FIRST or sequence == self.first
            if not self._oldest_known:
                self.first = sequence if self.first is None else min(sequence, self.first)
        self._look_for_hole(sequence)
        self._newest = sequence if self._newest is None else max(sequence, self._newest)
        self._came.add(sequence)
        self._waiting.append(sequence)
        return [Record(sequence, fresh=True)]

    def _look_for_hole(self, sequence: int) -> None:
        """Meters count by one, sensors by their interval: a longer step than others is a hole."""
        before = self._asked_from if self._newest is None else self._newest
        if before is None:
            return
        step = sequence - before
        if step < (self._step or 1):
            # Not the oldest first, or an earlier step was a hole: before the end none is behind us.
            self._in_order = False
            self.resume_from = self._asked_from
        elif self._step is None:
            # The first step tells nothing yet: a hole, unless the next ones are as long.
            self._unsure = _AS_LONG if step > 1 else 0
            self._before_hole = before if step > 1 else None
        elif step > self._step:
            self._unsure = 0
            self._before_hole = before if self._before_hole is None else self._before_hole
        elif self._unsure:
            self._unsure -= 1
            self._before_hole = self._before_hole if self._unsure else None
        if step > 0:
            self._step = min(step, self._step or step)

    def stored(self, sequence: int) -> None:
        """The record is safe on disk: a later start need not ask for it again."""
        if sequence in self._came:
            self._stored.add(sequence)
            self._advance()

    def on_indication(self, data: bytes) -> list[Event]:
        """The control point spoke."""
        try:
            reply = decode_reply(data)
        except BadPayload as bad:
            return [Ignored(bad.code)]
        if isinstance(reply, CountReply):
            return self._counted(reply.count)
        return self._answered(reply)

    def _answered(self, reply: Response) -> list[Event]:
        if reply.op == Op.ABORT:
            return self._aborted(reply.code)
        if self._state is _State.COUNTING and reply.op == Op.COUNT:
            # A meter that cannot count is asked for the records all the same.
            return self._counted(0 if reply.code == ResponseCode.NONE_FOUND else None)
        if self._state is _State.REPORTING and reply.op == Op.REPORT:
            return self._reported(reply.code)
        if self._state is _State.CHECKING and reply.op == Op.REPORT:
            return self._checked()
        return [Ignored("unasked")]

    def _behind(self, op: Op) -> Request:
        # Behind the last number there is none: all, and those that come again are known.
        if self._asked_from is None or self._asked_from >= NEWEST_SEQUENCE:
            return Request(op, Operator.ALL)
        return Request(op, Operator.FROM, first=self._asked_from + 1)

    def _report(self, request: Request, state: _State) -> list[Event]:
        self._state = state
        return [Write(encode_request(request))]

    def _counted(self, count: int | None) -> list[Event]:
        if self._state is not _State.COUNTING:
            return [Ignored("unasked")]
        if count == 0:
            return self._nothing_new()
        whole = self._behind(Op.COUNT).operator is Operator.ALL and self._asked_from is not None
        self._expected = None if whole else count
        return self._report(self._behind(Op.REPORT), _State.REPORTING)

    def _reported(self, code: int) -> list[Event]:
        if code == ResponseCode.SUCCESS:
            return self._finish()
        if code == ResponseCode.NONE_FOUND:
            return self._nothing_new()
        if code in _NOT_THIS_WAY and self._asked_from is not None:
            return self._all_again()
        self._state = _State.IDLE
        again = code == ResponseCode.NOT_COMPLETED
        return [Failed(Reason.NOT_COMPLETED if again else Reason.UNSUPPORTED, again)]

    def _all_again(self) -> list[Event]:
        """Everything, from a meter that cannot begin in the middle; known records are told."""
        self._expected = None
        return self._report(Request(Op.REPORT, Operator.ALL), _State.REPORTING)

    def _nothing_new(self) -> list[Event]:
        if self._asked_from is None:
            return self._finish()
        # Nothing behind our last: is that so, or did the meter begin to count anew?
        self._newest = None
        return self._report(Request(Op.REPORT, Operator.LAST), _State.CHECKING)

    def _checked(self) -> list[Event]:
        newest, asked_from = self._newest, self._asked_from
        if newest is None or asked_from is None or newest == asked_from:
            return self._finish()
        self._forget()
        if newest > asked_from:
            return self._all_again()
        self._asked_from = self.resume_from = None
        return [Restarted(newest), *self._all_again()]

    def _finish(self) -> list[Event]:
        self._state = _State.IDLE
        if self._expected is not None and len(self._came) < self._expected:
            # Nobody knows which: what is behind the point this download began from comes again.
            self.resume_from = self._asked_from
            return [Failed(Reason.RECORDS_LOST, again=True)]
        self._whole = True
        self._advance()
        return [Finished(len(self._came))]

    def _aborted(self, code: int) -> list[Event]:
        if self._state is _State.IDLE or code != ResponseCode.SUCCESS:
            return [Ignored("abort_failed")]
        self._state = _State.IDLE
        return [Failed(Reason.ABORTED, again=True)]

    def _advance(self) -> None:
        """Move the point to go on from: never past a record that is not stored, or a hole."""
        if self._whole and self._came and self._came == self._stored:
            self.resume_from = self._newest
            return
        in_order = self._in_order and self._oldest_known
        while in_order and self._waiting and self._waiting[0] in self._stored:
            if self._before_hole is not None and self._waiting[0] > self._before_hole:
                return
            self.resume_from = self._waiting.popleft()

    def _forget(self) -> None:
        self._came.clear()
        self._waiting.clear()
        self._stored.clear()
        self._newest = None
        self._step = None
        self._before_hole = None
        self._unsure = 0
        self._in_order = True
        self._whole = False
