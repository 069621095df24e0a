"""The other side of devices/racp.py, for simulators: a meter's memory behind its control point."""

import msgspec

from devices.gatt.payload import BadPayload
from devices.racp import (
    CountReply,
    Op,
    Operator,
    Request,
    Response,
    ResponseCode,
    decode_request,
    encode_reply,
)


class Answer(msgspec.Struct, frozen=True):
    """What follows a write: records to notify one by one, then the indication."""

    records: tuple[bytes, ...]
    indication: bytes


class Meter:
    """Records by sequence number, told oldest first, as the standard asks.

    `operators`: those it understands; some meters know only ALL. `can_count`: some cannot.
    """

    def __init__(
        self,
        records: dict[int, bytes],
        *,
        operators: frozenset[Operator] = frozenset(Operator),
        can_count: bool = True,
    ) -> None:
        self.records = dict(records)
        self._operators = operators
        self._can_count = can_count

    def on_write(self, data: bytes) -> Answer:
        """What the meter says to these bytes; any bytes get an answer, none deletes anything."""
        try:
            request = decode_request(data)
        except BadPayload as bad:
            op = data[0] if data else 0
            unknown = bad.code == "opcode" and op not in (Op.REPORT, Op.COUNT)
            code = ResponseCode.OP_UNSUPPORTED if unknown else ResponseCode.OPERAND_INVALID
            return _said(op, code)
        if request.op is Op.ABORT:
            return _said(Op.ABORT, ResponseCode.SUCCESS)
        if request.op is Op.COUNT and not self._can_count:
            return _said(Op.COUNT, ResponseCode.OP_UNSUPPORTED)
        if request.operator not in self._operators:
            return _said(request.op, ResponseCode.OPERATOR_UNSUPPORTED)
        return self._answer(request)

    def _answer(self, request: Request) -> Answer:
        found = self._found(request)
        if request.op is Op.COUNT:
            return Answer((), encode_reply(CountReply(len(found))))
        if not found:
            return _said(Op.REPORT, ResponseCode.NONE_FOUND)
        return Answer(tuple(found), encode_reply(Response(Op.REPORT, ResponseCode.SUCCESS)))

    def _found(self, request: Request) -> list[bytes]:
        numbers = sorted(self.records)
        if request.operator is Operator.FIRST:
            numbers = numbers[:1]
        elif request.operator is Operator.LAST:
            numbers = numbers[-1:]
        first = 0 if request.first is None else request.first
        last = 0xFFFF if request.last is None else request.last
        return [self.records[number] for number in numbers if first <= number <= last]


def _said(op: int, code: ResponseCode) -> Answer:
    return Answer((), encode_reply(Response(op, code)))
