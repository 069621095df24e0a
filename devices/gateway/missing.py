"""Which records of a meter never came: numbers between those that did.

Whatever the link repeated, delayed or shuffled, the same readings leave the same holes
(devices/order.py). A hole is a record that was lost, or deleted at the meter: nobody can tell.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from devices.gatt.glucose import decode
from devices.gatt.message import local_of
from devices.gatt.payload import BadPayload, Quirks
from devices.order import Gap, Numbered, Order, number, numbered


def missing(numbers: Iterable[int]) -> tuple[Gap, ...]:
    """The holes of the newest series among readings stored under these numbers.

    A meter that began again at 1 began another series: what it had before is left alone.
    """
    order, before = Order(), None
    for seconds, sequence in sorted(told for one in numbers if (told := numbered(one))):
        if before is not None and sequence < before:
            order = Order()
        order.take(Numbered(sequence, datetime.fromtimestamp(seconds, UTC), b""))
        before = sequence
    return order.gaps()


def numbers_of(records: Iterable[bytes], quirks: Quirks) -> Iterator[int]:
    """The numbers of a meter's records that came and were no readings, as control solution is."""
    for data in records:
        try:
            said = decode(data, quirks=quirks)
        except BadPayload:
            continue
        yield number(said.sequence, local_of(said.base_time), {})
