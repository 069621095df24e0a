"""One connection, played from a script: what is kept, in which order, and when it has failed."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.gateway.buffer import BufferFull
from devices.gateway.exchange import DownloadFailed, Exchange, numbers_in
from devices.gateway.kept import Heard
from devices.gateway.link import LinkLost, NotPaired

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
PRESSURE, HEART_RATE = 0x2A35, 0x2A37
GLUCOSE, CONTEXT, CONTROL = 0x2A18, 0x2A34, 0x2A52
CLOCK = 0x2A2B

pytestmark = pytest.mark.timeout(10)


def record(number: int, *, context: bool = False) -> bytes:
    return bytes((0x10 if context else 0,)) + number.to_bytes(2, "little") + bytes(7)


def context(number: int) -> bytes:
    return b"\x02" + number.to_bytes(2, "little") + b"\x01"


class Shelf:
    """Keeps what it is told, in a list; `room` is how much it takes."""

    def __init__(self, room: int = 1000) -> None:
        self.heard: list[Heard] = []
        self.last: dict[str, int | None] = {}
        self.clocks: list[datetime] = []
        self._room = room

    def keep(self, heard: Sequence[Heard]) -> None:
        if len(self.heard) + len(heard) > self._room:
            raise BufferFull
        self.heard.extend(heard)

    def clock_seen(self, shown: datetime, at: datetime) -> None:
        assert at == NOW
        self.clocks.append(shown)

    def progress(self, download: str) -> int | None:
        return self.last.get(download)

    def set_progress(self, download: str, last: int | None) -> None:
        self.last[download] = last


class Script:
    """A connection whose device says `says`, then ends; to each write it answers the next of
    `answers`: messages, or None to hang up."""

    def __init__(
        self,
        has: Collection[int],
        says: Sequence[tuple[int, bytes]] = (),
        answers: Sequence[Sequence[tuple[int, bytes]] | None] = (),
        *,
        values: dict[int, bytes] | None = None,
        stays: bool = False,
    ) -> None:
        self.characteristics = has
        self.written: list[bytes] = []
        self._says, self._answers = says, iter(answers)
        self._values = values or {}
        self._heard: dict[int, Callable[[bytes], None]] = {}
        self._over = asyncio.Event()
        self._stays = stays

    async def read(self, characteristic: int) -> bytes:
        if characteristic not in self._values:
            raise LinkLost("cannot be read")
        return self._values[characteristic]

    async def write(self, characteristic: int, data: bytes) -> None:
        assert characteristic == CONTROL
        self.written.append(data)
        answer = next(self._answers, ())
        if answer is None:
            self._over.set()
        else:
            self._say(answer)

    async def subscribe(self, characteristic: int, heard: Callable[[bytes], None]) -> None:
        self._heard[characteristic] = heard
        if len(self._heard) == len([one for one in self.characteristics if one != CLOCK]):
            self._say(self._says)
            if not self._stays:
                self._over.set()

    async def ended(self) -> None:
        await self._over.wait()

    def _say(self, messages: Sequence[tuple[int, bytes]]) -> None:
        for characteristic, data in messages:
            self._heard[characteristic](data)


async def run(script: Script, shelf: Shelf, quiet_s: float | None = 0.1) -> None:
    await Exchange(script, shelf, lambda: NOW, quiet_s=quiet_s).run()


async def test_a_record_is_kept_with_the_context_that_follows_it() -> None:
    shelf = Shelf()
    says = [
        (GLUCOSE, record(5, context=True)),
        (CONTEXT, context(5)),
        (GLUCOSE, record(6)),
        (GLUCOSE, record(7, context=True)),
        (CONTEXT, context(8)),
        (GLUCOSE, record(9, context=True)),
    ]
    await run(Script({GLUCOSE, CONTEXT}, says), shelf)
    assert [(one.characteristic, one.data, dict(one.read)) for one in shelf.heard] == [
        (GLUCOSE, record(5, context=True), {CONTEXT: context(5)}),
        (GLUCOSE, record(6), {}),
        (GLUCOSE, record(7, context=True), {}),
        (CONTEXT, context(8), {}),
        (GLUCOSE, record(9, context=True), {}),  # the link ended before its context
    ]


async def test_of_a_value_a_second_the_first_of_each_minute_is_kept() -> None:
    shelf = Shelf()
    moments: Iterator[datetime] = (NOW + timedelta(seconds=20 * n) for n in range(100))
    script = Script({HEART_RATE}, [(HEART_RATE, bytes((0, rate))) for rate in range(60, 67)])
    await Exchange(script, shelf, lambda: next(moments), quiet_s=None).run()
    assert [one.data[1] for one in shelf.heard] == [60, 63, 66]


async def test_a_device_that_does_not_answer_for_its_records_is_told() -> None:
    script = Script({GLUCOSE, CONTROL}, stays=True)
    with pytest.raises(DownloadFailed) as failed:
        await run(script, Shelf(), quiet_s=0.01)
    assert failed.value.code == "device_silent"
    assert script.written == [bytes.fromhex("0401")]


async def test_a_quiet_device_is_left_when_it_has_said_all() -> None:
    shelf = Shelf()
    await run(Script({PRESSURE}, [(PRESSURE, b"\x01")], stays=True), shelf, quiet_s=0.01)
    assert [one.data for one in shelf.heard] == [b"\x01"]


COUNT_OF_3 = (CONTROL, bytes.fromhex("05000300"))
DONE = (CONTROL, bytes.fromhex("06000101"))


async def test_records_lost_on_the_way_are_asked_for_again() -> None:
    """Three times in one connection; then from the beginning in the next one."""
    shelf = Shelf()
    two = [(GLUCOSE, record(1)), (GLUCOSE, record(3)), DONE]
    script = Script({GLUCOSE, CONTROL}, answers=[[COUNT_OF_3], two] * 3, stays=True)
    with pytest.raises(DownloadFailed) as failed:
        await run(script, shelf)
    assert failed.value.code == "records_lost"
    assert script.written == [bytes.fromhex("0401"), bytes.fromhex("0101")] * 3
    assert shelf.progress("glucose") is None
    assert {one.data for one in shelf.heard} == {record(1), record(3)}


async def test_a_cut_in_the_middle_is_told_and_what_came_is_kept() -> None:
    shelf = Shelf()
    script = Script(
        {GLUCOSE, CONTROL}, answers=[[COUNT_OF_3, (GLUCOSE, record(1))], None], stays=True
    )
    with pytest.raises(LinkLost):
        await run(script, shelf)
    assert [one.data for one in shelf.heard] == [record(1)]
    assert shelf.progress("glucose") == 1


async def test_nothing_more_is_asked_for_when_nothing_more_can_be_kept() -> None:
    shelf = Shelf(room=0)
    script = Script({GLUCOSE, CONTROL}, answers=[[(GLUCOSE, record(1)), COUNT_OF_3]], stays=True)
    with pytest.raises(BufferFull):
        await run(script, shelf)
    assert script.written == [bytes.fromhex("0401")]
    assert shelf.progress("glucose") is None


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (bytes.fromhex("ea07030a07293b02000000"), [datetime(2026, 3, 10, 7, 41, 59)]),  # noqa: DTZ001
        (bytes.fromhex("00000000000000"), []),  # never set
        (bytes.fromhex("ea070d0a07293b"), []),  # a thirteenth month
        (b"", []),
    ],
)
async def test_a_clock_is_looked_at_when_it_can_be_read(value: bytes, seen: list[datetime]) -> None:
    shelf = Shelf()
    await run(Script({PRESSURE, CLOCK}, [(PRESSURE, b"\x01")], values={CLOCK: value}), shelf)
    assert shelf.clocks == seen
    assert len(shelf.heard) == 1


async def test_a_clock_that_cannot_be_read_costs_no_reading() -> None:
    shelf = Shelf()
    await run(Script({PRESSURE, CLOCK}, [(PRESSURE, b"\x01")]), shelf)
    assert (len(shelf.heard), shelf.clocks) == (1, [])


async def test_a_device_that_wants_to_be_paired_is_told_at_its_clock_too() -> None:
    class Locked(Script):
        async def read(self, characteristic: int) -> bytes:
            raise NotPaired(f"{characteristic:04x}")

    with pytest.raises(NotPaired):
        await run(Locked({PRESSURE, CLOCK}), Shelf())


class Deaf(Script):
    """Nobody can listen to some of what it has."""

    deaf = frozenset({HEART_RATE})

    async def subscribe(self, characteristic: int, heard: Callable[[bytes], None]) -> None:
        if characteristic in self.deaf:
            raise LinkLost("no such descriptor")
        await super().subscribe(characteristic, heard)
        self._say(self._says)


async def test_a_stream_that_cannot_be_listened_to_does_not_cost_the_others() -> None:
    shelf = Shelf()
    says = [(PRESSURE, b"\x01")]
    await run(Deaf({PRESSURE, HEART_RATE}, says, stays=True), shelf, quiet_s=0.01)
    assert [one.data for one in shelf.heard] == [b"\x01"]
    with pytest.raises(LinkLost):
        await run(Deaf({HEART_RATE}, stays=True), shelf, quiet_s=0.01)


CGM, SESSION = 0x2AA7, 0x2AAA


def minute(number: int) -> bytes:
    return b"\x06\x00\x6e\x00" + number.to_bytes(2, "little")


class Sensor(Script):
    """Says these minutes; the start of its session is another one at every look, then nothing."""

    def __init__(self, *minutes: int, starts: Sequence[bytes]) -> None:
        super().__init__({CGM, SESSION}, stays=True)
        self._minutes, self._starts = minutes, iter(starts)

    async def read(self, characteristic: int) -> bytes:
        assert characteristic == SESSION
        start = next(self._starts, None)
        if start is None:
            raise LinkLost("cannot be read")
        return start

    async def subscribe(self, characteristic: int, heard: Callable[[bytes], None]) -> None:
        assert characteristic == CGM
        for one in self._minutes:
            heard(minute(one))


@pytest.mark.parametrize(
    ("starts", "read"),
    [
        ((b"first", b"second"), {SESSION: b"second"}),
        ((b"first", b"first"), {SESSION: b"first"}),
        ((b"first",), {}),
    ],
)
async def test_minutes_of_a_sensor_that_go_back_are_never_counted_from_the_old_start(
    starts: Sequence[bytes], read: dict[int, bytes]
) -> None:
    """The start is read again; where that fails they are kept without one."""
    shelf = Shelf()
    await run(Sensor(100, 105, 5, 10, starts=starts), shelf, quiet_s=0.01)
    assert [one.data for one in shelf.heard] == [minute(100), minute(105), minute(5), minute(10)]
    assert [dict(one.read) for one in shelf.heard] == [{SESSION: b"first"}] * 2 + [read] * 2


class Stutterer(Sensor):
    """Says a minute more whenever the start of its session could not be read."""

    async def subscribe(self, characteristic: int, heard: Callable[[bytes], None]) -> None:
        self._more = heard
        await super().subscribe(characteristic, heard)

    async def read(self, characteristic: int) -> bytes:
        start = await super().read(characteristic)
        if not start:
            self._more(minute(15))
            raise LinkLost("busy")
        return start


async def test_a_start_that_could_not_be_read_is_asked_for_again() -> None:
    """One busy moment of a sensor that stays for days costs no day."""
    shelf = Shelf()
    await run(Stutterer(100, 5, starts=(b"first", b"", b"second")), shelf, quiet_s=0.01)
    assert [(one.data, dict(one.read)) for one in shelf.heard] == [
        (minute(100), {SESSION: b"first"}),
        (minute(5), {}),
        (minute(15), {SESSION: b"second"}),
    ]


@given(st.sampled_from((GLUCOSE, 0x2AA7, PRESSURE)), st.binary(max_size=64))
def test_any_bytes_have_numbers_or_none(characteristic: int, data: bytes) -> None:
    numbers = numbers_in(characteristic, data)
    assert all(0 <= number <= 0xFFFF for number in numbers)
    assert len(numbers) <= len(data) // 3
