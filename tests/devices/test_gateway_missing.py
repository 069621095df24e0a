"""Records of a meter that never came are told, whatever the order the others came in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from devices.gateway.buffer import Buffer
from devices.gateway.kept import Heard, Setup
from devices.gateway.missing import missing
from devices.gateway.status import lines, state_of
from devices.gatt.glucose import Glucose, encode
from devices.measurement import Kind, Measurement
from devices.order import Gap, number

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)


def stored_as(sequence: int, hours: int = 0) -> int:
    return number(sequence, NOW + timedelta(hours=hours + sequence), {})


@given(st.permutations([1, 2, 3, 5, 9, 10, 10, 2]))
def test_the_holes_are_the_same_in_any_order(sequences: list[int]) -> None:
    assert missing(map(stored_as, sequences)) == (Gap(4, 4), Gap(6, 8))


def test_a_meter_that_began_again_at_one_has_the_holes_of_its_new_series() -> None:
    before = [stored_as(sequence) for sequence in (7, 9, 300)]
    anew = [stored_as(sequence, 1000) for sequence in (1, 2, 4)]
    assert missing([*anew, *before]) == (Gap(3, 3),)


def test_readings_without_a_number_of_the_devices_have_no_holes() -> None:
    assert missing([number(None, NOW, {"systolic": 120.0}), number(None, None, {})]) == ()


def test_the_status_tells_them_and_no_control_solution(tmp_path: Path) -> None:
    new = Setup(address="F0", name="Meter", model="", zone="UTC", server="https://a", token="t")
    with Buffer.at(tmp_path / "buffer.sqlite") as buffer:
        buffer.add_device(new, NOW)
        for sequence in (1, 2, 5, 7):
            buffer.keep(1, [Heard(0x2A18, b"", NOW)])
            (message,) = buffer.unread()
            reading = Measurement(
                kind=Kind.GLUCOSE,
                sequence=stored_as(sequence),
                taken_at=NOW,
                values={"glucose": 5.5},
                unit="mmol/L",
            )
            buffer.settle(message, [reading], [])
        at = (NOW + timedelta(hours=6)).replace(tzinfo=None)
        control = Glucose(sequence=6, base_time=at, sample=10, place=1)
        for data in (encode(control), encode(control)[:5]):
            buffer.keep(1, [Heard(0x2A18, data, NOW)])
            (message,) = buffer.unread()
            buffer.settle(message, [], ["control_solution"])
        [state] = state_of(buffer)
        assert state.missing == (Gap(3, 4),)
        assert lines([state])[-1] == "Meter: records that never came: 3-4"
