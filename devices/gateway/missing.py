"""Which records of a meter never came: numbers between those that did.

Whatever the link repeated, delayed or shuffled, the same readings leave the same holes
(devices/order.py). A hole is a record that was lost, or deleted at the meter: nobody can tell.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from devices.order import Gap, Numbered, Order, numbered


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
