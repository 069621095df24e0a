"""A meter's records come down whole, whatever happens to the link."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.gatt.payload import BadPayload
from devices.racp import (
    Failed,
    Finished,
    Ignored,
    Operator,
    Racp,
    Reason,
    Record,
    Response,
    ResponseCode,
    Restarted,
    Write,
    decode_request,
    encode_reply,
)
from devices.racp_meter import Meter

ALL_ONLY = frozenset({Operator.ALL})


def meter(numbers: list[int], **how: object) -> Meter:
    return Meter({number: number.to_bytes(2, "little") for number in numbers}, **how)  # type: ignore[arg-type]


class Download:
    """Both sides joined; `store` is the gateway's disk."""

    def __init__(self, meter: Meter, last: int | None = None, *, count_first: bool = True) -> None:
        self.meter = meter
        self.racp = Racp(last, count_first=count_first)
        self.store: list[int] = []
        self.events: list[object] = []
        self.asked: list[str] = []

    def run(self, *, cut_after: int | None = None, lose: frozenset[int] = frozenset()) -> None:
        """One connection, cut after so many records; notifications in `lose` never arrive."""
        told = 0
        writes = [self.racp.start()]
        while writes:
            data = writes.pop(0)
            self.asked.append(data.hex(" "))
            answer = self.meter.on_write(data)
            for record in answer.records:
                if told == cut_after:
                    self.racp.on_cut()
                    return
                told += 1
                sequence = int.from_bytes(record, "little")
                if sequence in lose:
                    continue
                for event in self.racp.on_measurement(sequence):
                    if isinstance(event, Record) and event.fresh:
                        self.store.append(sequence)
                        self.racp.stored(sequence)
            for event in self.racp.on_indication(answer.indication):
                self.events.append(event)
                if isinstance(event, Write):
                    writes.append(event.data)

    @property
    def last_event(self) -> object:
        return self.events[-1]


def test_a_first_download_counts_and_then_takes_all() -> None:
    download = Download(meter([1, 2, 3]))
    download.run()
    assert download.asked == ["04 01", "01 01"]
    assert download.store == [1, 2, 3]
    assert download.last_event == Finished(3)
    assert download.racp.resume_from == 3


def test_a_later_download_asks_only_for_what_is_new() -> None:
    download = Download(meter([1, 2, 3, 4]), last=2)
    download.run()
    assert download.asked == ["04 03 01 03 00", "01 03 01 03 00"]
    assert download.store == [3, 4]


def test_without_counting_the_first_bytes_ask_for_the_records() -> None:
    assert Racp(count_first=False).start() == b"\x01\x01"
    assert Racp(258, count_first=False).start() == bytes.fromhex("0103010301")


def test_after_a_cut_in_the_middle_the_download_goes_on_behind_the_last_stored() -> None:
    download = Download(meter(list(range(10, 20))))
    download.run(cut_after=4)
    assert download.store == [10, 11, 12, 13]
    # The first to come may not be the oldest: one more download begins at the beginning.
    download.run(cut_after=4)
    assert download.asked[-2:] == ["04 01", "01 01"]
    download.run()
    assert download.asked[-1] == "01 03 01 0e 00"
    assert set(download.store) == set(range(10, 20))
    assert download.last_event == Finished(6)


def test_the_very_first_record_may_be_lost_before_a_cut() -> None:
    download = Download(meter([7, 8, 9, 10]))
    download.run(lose=frozenset({7}), cut_after=3)
    assert (download.store, download.racp.resume_from) == ([8, 9], None)
    download.racp = Racp(first=download.racp.first)  # a gateway that starts again
    download.run(cut_after=2)
    download.run()
    assert set(download.store) == {7, 8, 9, 10}


def test_a_record_that_came_but_was_not_stored_is_asked_for_again() -> None:
    racp = Racp()
    racp.start()
    for number in (1, 2, 3):
        racp.on_measurement(number)
    racp.stored(1)
    racp.stored(3)
    racp.on_cut()
    assert racp.resume_from == 1
    assert racp.start() == bytes.fromhex("0403010200")


def test_nothing_new_ends_after_a_look_at_the_last_record() -> None:
    download = Download(meter([1, 2, 3]), last=3)
    download.run()
    assert download.asked == ["04 03 01 04 00", "01 06"]
    assert download.last_event == Finished(0)
    assert download.store == []


def test_a_meter_that_counts_from_the_beginning_again_does_not_go_unread() -> None:
    download = Download(meter([1, 2, 3]), last=900)
    download.run()
    assert Restarted(3) in download.events
    assert download.store == [1, 2, 3]
    assert download.racp.resume_from == 3


def test_an_empty_meter_is_done_at_once() -> None:
    download = Download(meter([]))
    download.run()
    assert download.last_event == Finished(0)


def test_an_emptied_meter_is_done_too() -> None:
    download = Download(meter([]), last=5)
    download.run()
    assert download.last_event == Finished(0)
    assert download.racp.resume_from == 5


def test_a_notification_lost_on_the_way_is_noticed_and_fetched_again() -> None:
    download = Download(meter([1, 2, 3, 4]))
    download.run(lose=frozenset({4}))
    assert download.last_event == Failed(Reason.RECORDS_LOST, again=True)
    download.run()
    assert set(download.store) == {1, 2, 3, 4}


def test_a_record_lost_in_the_middle_is_fetched_again() -> None:
    download = Download(meter([1, 2, 3, 4]))
    download.run(lose=frozenset({2}))
    assert download.last_event == Failed(Reason.RECORDS_LOST, again=True)
    assert download.racp.resume_from is None
    download.run()
    assert set(download.store) == {1, 2, 3, 4}


def test_the_download_never_goes_on_behind_a_hole() -> None:
    download = Download(meter([1, 2, 3, 4, 5, 6]))
    download.run(cut_after=5, lose=frozenset({3}))
    assert download.store == [1, 2, 4, 5]
    assert download.racp.resume_from == 2
    download.run()
    assert set(download.store) == {1, 2, 3, 4, 5, 6}
    assert download.racp.resume_from == 6


def test_a_hole_that_shows_only_by_later_records_takes_the_download_back() -> None:
    racp = Racp(10)
    racp.start()
    for number in (13, 14):
        racp.on_measurement(number)
        racp.stored(number)
    assert racp.resume_from == 10


def test_a_sensor_counts_in_steps_of_its_interval() -> None:
    racp = Racp(100)
    racp.start()
    for number in (105, 110, 115, 120, 130):
        racp.on_measurement(number)
        racp.stored(number)
    racp.on_cut()
    assert racp.resume_from == 120


def test_the_first_record_behind_the_last_stored_may_be_lost_before_a_cut() -> None:
    download = Download(meter([1, 2, 3, 4, 5, 6]), last=2)
    download.run(lose=frozenset({3}), cut_after=2)
    assert (download.store, download.racp.resume_from) == ([4], 2)
    download.run()
    assert set(download.store) == {3, 4, 5, 6}


def test_records_deleted_at_the_meter_are_behind_us_after_a_whole_download() -> None:
    download = Download(meter([1, 2, 9, 10]))
    download.run()
    assert download.last_event == Finished(4)
    assert download.racp.resume_from == 10


def test_a_meter_that_cannot_count_is_read_all_the_same() -> None:
    download = Download(meter([1, 2, 3], can_count=False), last=1)
    download.run()
    assert download.store == [2, 3]


def test_a_meter_that_only_knows_all_is_read_and_old_records_are_told() -> None:
    download = Download(meter([1, 2, 3, 4], operators=ALL_ONLY), last=2)
    download.run()
    assert download.asked[-1] == "01 01"
    assert download.store == [3, 4]


def test_a_meter_that_tells_the_newest_first_loses_nothing_at_a_cut() -> None:
    racp = Racp()
    racp.start()
    for number in (9, 8, 7):
        racp.on_measurement(number)
        racp.stored(number)
    racp.on_cut()
    assert racp.resume_from is None


def test_a_download_newest_first_that_ended_well_is_behind_us_once_all_is_stored() -> None:
    racp = Racp(count_first=False)
    racp.start()
    for number in (9, 8, 7):
        racp.on_measurement(number)
    assert racp.on_indication(b"\x06\x00\x01\x01") == [Finished(3)]
    for number in (9, 8, 4):  # 4 is of another day
        racp.stored(number)
    assert racp.resume_from is None
    racp.stored(7)
    assert racp.resume_from == 9


def test_a_repeated_record_is_told_from_a_fresh_one() -> None:
    racp = Racp(5)
    racp.start()
    assert racp.on_measurement(6) == [Record(6, fresh=True)]
    assert racp.on_measurement(6) == [Record(6, fresh=False)]
    assert racp.on_measurement(5) == [Record(5, fresh=False)]


def test_behind_the_last_number_there_is_everything_is_asked_for() -> None:
    download = Download(meter([0xFFFE, 0xFFFF]), last=0xFFFF)
    download.run()
    assert "01 01" in download.asked
    assert download.store == []


def test_an_abort_ends_the_download() -> None:
    racp = Racp()
    racp.start()
    assert racp.abort() == b"\x03\x00"
    said = encode_reply(Response(3, ResponseCode.SUCCESS))
    assert racp.on_indication(said) == [Failed(Reason.ABORTED, again=True)]
    assert racp.on_indication(said) == [Ignored("abort_failed")]


@pytest.mark.parametrize(
    ("code", "again", "reason"),
    [
        (ResponseCode.NOT_COMPLETED, True, Reason.NOT_COMPLETED),
        (ResponseCode.OP_UNSUPPORTED, False, Reason.UNSUPPORTED),
    ],
)
def test_a_meter_s_refusal_says_whether_trying_again_helps(
    code: ResponseCode, again: bool, reason: Reason
) -> None:
    racp = Racp(count_first=False)
    racp.start()
    assert racp.on_indication(encode_reply(Response(1, code))) == [Failed(reason, again)]


def test_an_answer_nobody_waits_for_changes_nothing() -> None:
    racp = Racp(3)
    assert racp.on_indication(b"\x05\x00\x09\x00") == [Ignored("unasked")]
    assert racp.on_indication(b"\x06\x00\x01\x01") == [Ignored("unasked")]
    assert racp.on_indication(b"\xff") == [Ignored("too_short")]
    assert racp.resume_from == 3


def test_no_request_of_ours_deletes_and_a_meter_of_ours_refuses_to() -> None:
    with pytest.raises(BadPayload):
        decode_request(b"\x02\x01")
    kept = meter([1])
    assert kept.on_write(b"\x02\x01").indication == bytes((6, 0, 2, 2))
    assert kept.records


@settings(max_examples=100)
@given(
    numbers=st.sets(st.integers(0, 300), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 12), max_size=6),
    count_first=st.booleans(),
    can_count=st.booleans(),
    all_only=st.booleans(),
)
def test_whatever_is_cut_every_record_is_stored(
    numbers: set[int], cuts: list[int], count_first: bool, can_count: bool, all_only: bool
) -> None:
    operators = ALL_ONLY if all_only else frozenset(Operator)
    download = Download(
        meter(sorted(numbers), can_count=can_count, operators=operators), count_first=count_first
    )
    for cut in cuts:
        download.run(cut_after=cut)
        # A gateway that starts again knows only where to go on.
        download.racp = Racp(download.racp.resume_from, count_first=count_first)
    download.run()
    assert set(download.store) == numbers
    assert download.racp.resume_from == max(numbers)


@settings(max_examples=100)
@given(
    count=st.integers(1, 30),
    losses=st.lists(
        # Four lost at equal distances would look like a sensor's interval.
        st.tuples(st.sets(st.integers(2, 30), max_size=3), st.none() | st.integers(0, 12)),
        max_size=5,
    ),
)
def test_whatever_is_lost_and_cut_a_meter_that_counts_is_read_whole(
    count: int, losses: list[tuple[set[int], int | None]]
) -> None:
    download = Download(meter(list(range(1, count + 1))))
    for lost, cut in losses:
        download.run(cut_after=cut, lose=frozenset(lost))
        download.racp = Racp(download.racp.resume_from)
    download.run()
    assert set(download.store) == set(range(1, count + 1))
