"""The gateway's buffer: what was heard lasts, states are honest, nothing unsent is ever deleted."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from devices.gateway import buffer as buffers
from devices.gateway.buffer import Buffer, BufferFull
from devices.gateway.buffer_file import BadBuffer, alone
from devices.gateway.kept import Heard, Setup, State
from devices.measurement import Kind, Measurement

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
CUFF = Setup(
    address="F0:00:00:00:00:01",
    name="cuff",
    model="",
    zone="Europe/Moscow",
    server="http://127.0.0.1:1",
    token="t",
)

pytestmark = pytest.mark.timeout(30)


def pressure(sequence: int, systolic: float = 128) -> Measurement:
    values = {"systolic": systolic, "diastolic": 82.0}
    return Measurement(
        kind=Kind.BLOOD_PRESSURE, sequence=sequence, taken_at=NOW, unit="mmHg", values=values
    )


def heard(number: int, at: datetime = NOW) -> Heard:
    return Heard(0x2A35, number.to_bytes(4, "little"), at, {0x2A49: b"\x01"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "buffer.sqlite"


@pytest.fixture
def buffer(path: Path) -> Iterator[Buffer]:
    with Buffer.at(path) as one:
        one.add_device(CUFF, NOW)
        yield one


def take(buffer: Buffer, *readings: Measurement, at: datetime = NOW) -> int:
    """Keep a payload and put these readings in its place; how many were new."""
    (known, *_) = buffer.devices()
    buffer.keep(known.id, [heard(0, at)])
    (message,) = buffer.unread()
    return buffer.settle(message, readings, [])


def counted(buffer: Buffer) -> tuple[int, int, int]:
    counts = buffer.counts(buffer.devices()[0].id)
    return counts.here, counts.sent, counts.stored


def test_what_was_kept_is_there_after_the_program_was_killed(path: Path) -> None:
    """Killed in the middle of writing, whenever that is: all that `keep` returned for is there."""
    program = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
        "from devices.gateway.buffer import Buffer, Heard\n"
        "with Buffer.at(Path(sys.argv[1])) as buffer:\n"
        "    for n in range(10**9):\n"
        "        buffer.keep(1, [Heard(0x2A35, n.to_bytes(4, 'little'), datetime.now(UTC))])\n"
        "        print(n, flush=True)\n"
    )
    with Buffer.at(path) as buffer:
        buffer.add_device(CUFF, NOW)
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    with writer.stdout:
        for _ in range(40):
            writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        promised = 40 + len(writer.stdout.read().split())
    writer.wait()
    with Buffer.at(path) as buffer:
        there = [int.from_bytes(one.heard.data, "little") for one in buffer.unread()]
    assert there[:promised] == list(range(promised))
    assert len(there) - promised in (0, 1)  # written, and killed before it could say so


def test_bytes_come_back_as_they_were_heard(buffer: Buffer) -> None:
    at = NOW.replace(microsecond=123456)
    buffer.keep(1, [heard(7, at)])
    (message,) = buffer.unread()
    assert message.heard == heard(7, at)


def test_a_reading_is_here_then_sent_then_stored(buffer: Buffer) -> None:
    take(buffer, pressure(1), pressure(2))
    assert counted(buffer) == (2, 0, 0)
    buffer.mark(1, [pressure(1)], State.SENT, NOW)
    assert counted(buffer) == (1, 1, 0)
    buffer.mark(1, [pressure(1)], State.STORED, NOW)
    assert counted(buffer) == (1, 0, 1)
    assert buffer.waiting(1, 10) == [pressure(2)]


def test_bytes_nobody_has_looked_at_count_as_here(buffer: Buffer) -> None:
    buffer.keep(1, [heard(1), heard(2)])
    assert counted(buffer) == (2, 0, 0)


def test_what_was_sent_without_a_word_goes_again(buffer: Buffer) -> None:
    """Also after a restart: sent is not stored."""
    take(buffer, pressure(1))
    buffer.mark(1, [pressure(1)], State.SENT, NOW)
    assert buffer.waiting(1, 10) == [pressure(1)]


def test_a_late_word_takes_nothing_from_what_is_stored(buffer: Buffer) -> None:
    take(buffer, pressure(1))
    for state in (State.STORED, State.HERE, State.REFUSED):
        buffer.mark(1, [pressure(1)], state, NOW)
    assert counted(buffer) == (0, 0, 1)


def test_a_record_downloaded_twice_is_one_reading(buffer: Buffer) -> None:
    assert take(buffer, pressure(1), pressure(2)) == 2
    assert take(buffer, pressure(1), pressure(2), pressure(3)) == 1
    assert counted(buffer) == (3, 0, 0)


def test_another_reading_under_a_used_number_is_a_doubt_and_not_silence(buffer: Buffer) -> None:
    take(buffer, pressure(1), pressure(2))
    assert take(buffer, pressure(1), pressure(2, systolic=150), pressure(3)) == 1
    assert buffer.counts(1).doubts == {"number_used": 1}
    assert buffer.waiting(1, 10) == [pressure(1), pressure(2), pressure(3)]


def test_a_payload_that_is_no_reading_stays_with_the_reason(buffer: Buffer) -> None:
    buffer.keep(1, [heard(1)])
    (message,) = buffer.unread()
    buffer.settle(message, [], ["control_solution"])
    assert buffer.unread() == []
    assert buffer.counts(1).doubts == {"control_solution": 1}
    assert counted(buffer) == (0, 0, 0)


def test_doubts_do_not_grow_for_ever(buffer: Buffer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "MOST_DOUBTS", 3)
    for number in range(5):
        buffer.keep(1, [heard(number)])
        (message,) = buffer.unread()
        buffer.settle(message, [], ["too_short"])
    assert buffer.counts(1).doubts == {"too_short": 3}


def test_a_full_buffer_takes_nothing_more_and_loses_nothing(
    buffer: Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffers, "MOST_WAITING", 3)
    take(buffer, pressure(1))
    buffer.keep(1, [heard(2), heard(3)])
    with pytest.raises(BufferFull):
        buffer.keep(1, [heard(4)])
    assert counted(buffer) == (3, 0, 0)
    buffer.mark(1, [pressure(1)], State.STORED, NOW)
    buffer.keep(1, [heard(4)])


def test_stored_readings_go_after_a_month_and_their_number_stays(buffer: Buffer) -> None:
    take(buffer, pressure(1), pressure(2), pressure(3))
    buffer.mark(1, [pressure(1)], State.STORED, NOW)
    buffer.mark(1, [pressure(2)], State.REFUSED, NOW, "from_future")
    buffer.prune(NOW + timedelta(days=31))
    assert counted(buffer) == (1, 0, 1)
    assert buffer.counts(1).refused == {"from_future": 1}
    buffer.prune(NOW + timedelta(days=62))
    assert counted(buffer) == (1, 0, 1)


def test_refused_readings_do_not_grow_for_ever(
    buffer: Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffers, "MOST_REFUSED", 2)
    readings = [pressure(n) for n in range(4)]
    take(buffer, *readings)
    buffer.mark(1, readings[:3], State.REFUSED, NOW, "too_old")
    buffer.prune(NOW)
    assert buffer.counts(1).refused == {"too_old": 2}
    assert buffer.waiting(1, 10) == readings[3:]


def test_of_somebody_elses_measurement_nothing_is_kept_but_that_there_was_one(
    buffer: Buffer, path: Path
) -> None:
    buffer.keep(1, [Heard(0x2A35, b"somebody else", NOW)])
    (message,) = buffer.unread()
    buffer.settle(message, [], ["other_user"])
    assert buffer.counts(1).doubts == {"other_user": 1}
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT data FROM messages").fetchall() == [(b"",)]
    db.close()


def test_the_last_looks_at_a_clock_stay(buffer: Buffer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "KEPT", 2)
    shown = NOW.replace(tzinfo=None)
    for minutes in (3, 1, 2):
        moved = timedelta(minutes=minutes)
        buffer.clock_seen(1, shown + moved, NOW + moved)
    assert [moment.device for moment in buffer.moments(1)] == [
        shown + timedelta(minutes=2),
        shown + timedelta(minutes=3),
    ]


def test_a_device_whose_readings_wait_is_not_forgotten(buffer: Buffer) -> None:
    take(buffer, pressure(1))
    buffer.keep(1, [heard(2)])
    assert buffer.remove_device(CUFF.address) == 2
    assert [known.address for known in buffer.devices()] == [CUFF.address]
    buffer.settle(buffer.unread()[0], [], ["too_short"])
    buffer.mark(1, [pressure(1)], State.STORED, NOW)
    assert buffer.remove_device(CUFF.address) == 0
    assert buffer.devices() == []
    assert buffer.remove_device(CUFF.address) is None


def test_of_a_forgotten_device_nothing_stays(buffer: Buffer, path: Path) -> None:
    take(buffer, pressure(1))
    buffer.mark(1, [pressure(1)], State.STORED, NOW)
    buffer.keep(1, [heard(2)])
    buffer.settle(buffer.unread()[0], [], ["too_short"])
    buffer.set_progress(1, "glucose", 7)
    buffer.clock_seen(1, NOW.replace(tzinfo=None), NOW)
    assert buffer.remove_device(CUFF.address) == 0
    with sqlite3.connect(path) as db:
        for table in ("devices", "messages", "readings", "progress", "moments"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608
    db.close()


def test_a_device_added_again_keeps_its_readings_and_gets_the_new_token(buffer: Buffer) -> None:
    take(buffer, pressure(1))
    buffer.turned_away(1, "not_signed_in")
    assert buffer.add_device(msgspec.structs.replace(CUFF, token="new"), NOW, same_person=True) == 0
    (known,) = buffer.devices()
    assert (known.token, known.refused_by_server, counted(buffer)) == ("new", "", (1, 0, 0))


@pytest.mark.parametrize("other", [{"token": "of another"}, {"server": "http://127.0.0.1:2"}])
def test_readings_that_wait_do_not_go_to_another_person(
    buffer: Buffer, other: dict[str, str]
) -> None:
    """A token is a person's: they would stand in that person's record."""
    take(buffer, pressure(1))
    new = msgspec.structs.replace(CUFF, name="new", **other)
    assert buffer.add_device(new, NOW) == 1
    assert (buffer.devices()[0].token, buffer.devices()[0].name) == ("t", "cuff")
    assert buffer.add_device(msgspec.structs.replace(CUFF, name="new"), NOW) == 0
    buffer.mark(1, [pressure(1)], State.STORED, NOW)
    assert buffer.add_device(new, NOW) == 0
    assert msgspec.structs.asdict(buffer.devices()[0]).items() >= other.items()


def test_no_device_gets_the_number_of_a_forgotten_one(buffer: Buffer) -> None:
    """A gateway that runs may still hear the one before."""
    assert buffer.remove_device(CUFF.address) == 0
    buffer.add_device(msgspec.structs.replace(CUFF, address="F0:00:00:00:00:02"), NOW)
    with pytest.raises(sqlite3.IntegrityError):
        buffer.keep(1, [heard(1)])


def test_a_token_that_is_forgotten_is_not_in_the_file(path: Path) -> None:
    for round_ in range(2):
        with Buffer.at(path) as buffer:
            buffer.add_device(msgspec.structs.replace(CUFF, token="a secret token"), NOW)
        assert (b"a secret token" in path.read_bytes(), round_) == (True, round_)
        with Buffer.at(path) as buffer:
            assert buffer.remove_device(CUFF.address) == 0
        assert b"a secret token" not in path.read_bytes()


def test_a_full_disk_is_found_out_before_a_device_is_listened_to(buffer: Buffer) -> None:
    db = buffer._db
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        buffer.check_room(1)
    db.execute("PRAGMA max_page_count = 1000000")
    buffer.check_room(1)
    buffer.keep(1, [heard(1)])


def test_progress_is_kept_a_download(buffer: Buffer) -> None:
    assert buffer.progress(1, "glucose") is None
    buffer.set_progress(1, "glucose", 7)
    buffer.set_progress(1, "cgm e407", 900)
    buffer.set_progress(1, "glucose", 3)
    assert (buffer.progress(1, "glucose"), buffer.progress(1, "cgm e407")) == (3, 900)
    buffer.set_progress(1, "glucose", None)
    assert (buffer.progress(1, "glucose"), buffer.progress(1, "cgm e407")) == (None, 900)


def test_only_its_owner_may_read_the_buffer(buffer: Buffer, path: Path) -> None:
    """It holds tokens and measured values."""
    assert buffer.devices()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for beside in path.parent.glob("buffer.sqlite-*"):
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    path.chmod(0o644)  # copied from elsewhere
    with Buffer.at(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_buffer_is_told_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all, but not empty either" * 100)
    before = path.read_bytes()
    with pytest.raises(BadBuffer, match="cannot be read"), Buffer.at(path):
        pass
    assert path.read_bytes() == before


def test_a_newer_buffer_is_left_alone(path: Path, buffer: Buffer) -> None:
    assert buffer.devices()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(BadBuffer, match="newer"), Buffer.at(path):
        pass


def test_one_gateway_runs_in_a_folder(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(BadBuffer, match="already"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass
