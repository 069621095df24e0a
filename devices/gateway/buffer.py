"""What devices said, on disk until the server has it.

Bytes are written down as they came, before anybody looks at them: a cuff forgets what was confirmed
to it. Then they become readings, or stay with the reason why not. A reading is in one of four
states, and only a step the gateway has taken changes it:

    here      on this device: not with the server, as far as anybody knows
    sent      went out; the server's word is not in, so it may or may not be stored
    stored    the server has named it as stored
    refused   the server will never take it; `problem` says why

Crash-safe: every change is one transaction that is on the disk when it returns (WAL, synchronous
FULL). What the server may still take is never deleted; a full buffer takes no more instead.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from devices.clock import KEPT, Moment
from devices.gateway.buffer_file import BadBuffer, moment_of, prepare, text
from devices.gateway.kept import Counts, Heard, Known, Message, Setup, State
from devices.measurement import Kind, Measurement, beyond

# Of one device: years of a cuff, about a year of a sensor that tells a value every five minutes.
MOST_WAITING = 100_000
# Stored readings are kept so long, for whoever wants to see what became of them.
KEEP_STORED = timedelta(days=30)
OTHER_USER = "other_user"
# A meter that counts anew from a clock set anew: the number it gives has been another reading's.
NUMBER_USED = "number_used"
# Payloads that are no readings, and readings the server refused: the newest of each device.
MOST_DOUBTS = 500
MOST_REFUSED = 10_000
# Written before each connection, to see that the disk takes it.
ROOM_BYTES = 16 * 1024


class BufferFull(Exception):  # noqa: N818 - a fact
    """So much waits for the server that nothing more is taken; devices keep what they remember."""


class Buffer:
    """The file. Its one connection belongs to one thread; other programs may look at the file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @classmethod
    @contextmanager
    def at(cls, path: Path) -> Iterator["Buffer"]:
        """Open or make it, readable to its owner alone. Raises BadBuffer."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)  # one that was copied here, too
        with closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as db:
            try:
                prepare(db)
            except sqlite3.DatabaseError as error:
                raise BadBuffer(f"{path} cannot be read: {error}") from error
            yield cls(db)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # Devices

    def add_device(self, new: Setup, now: datetime, *, same_person: bool = False) -> int:
        """Add a device, or give one that is there another name, server or token.

        A token belongs to a person. Readings that wait are not sent with another one unless it is
        said to be the `same_person`'s: then, and for a new device, this gives 0; else nothing is
        changed and it gives how many wait.
        """
        with self._changing():
            before = self._db.execute(
                "SELECT id, token, server FROM devices WHERE address = ?", (new.address,)
            ).fetchone()
            if before and before[1:] != (new.token, new.server) and not same_person:
                waiting = self._waits(before[0])
                if waiting:
                    return waiting
            self._db.execute(
                "INSERT INTO devices (address, name, model, zone, user, server, token, added_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (address) DO UPDATE SET "
                "name = excluded.name, model = excluded.model, zone = excluded.zone, "
                "user = excluded.user, server = excluded.server, token = excluded.token, "
                "refused_by_server = ''",
                (*msgspec.structs.astuple(new), text(now)),
            )
            return 0

    def remove_device(self, address: str, *, unsent_too: bool = False) -> int | None:
        """Forget a device, its token and its readings, unless some wait for the server.

        Gives how many wait, None for an unknown device; 0 means that it is forgotten.
        """
        with self._changing():
            known = self._db.execute(
                "SELECT id FROM devices WHERE address = ?", (address,)
            ).fetchone()
            if known is None:
                return None
            waiting = 0 if unsent_too else self._waits(known[0])
            if not waiting:
                self._db.execute("DELETE FROM devices WHERE id = ?", known)
            return waiting

    def _waits(self, device_id: int) -> int:
        """Readings and unread bytes of a device that are not with the server."""
        (waiting,) = self._db.execute(
            "SELECT (SELECT count(*) FROM readings WHERE device_id = ?1 "
            "AND state IN ('here', 'sent')) + (SELECT count(*) FROM messages "
            "WHERE device_id = ?1 AND doubt IS NULL)",
            (device_id,),
        ).fetchone()
        return int(waiting)

    def devices(self) -> list[Known]:
        """The devices in the order they were added."""
        rows = self._db.execute(
            "SELECT id, address, name, model, zone, user, server, token, heard_at, trouble, "
            "refused_by_server FROM devices ORDER BY id"
        ).fetchall()
        return [
            Known(
                id=row[0],
                address=row[1],
                name=row[2],
                model=row[3],
                zone=row[4],
                user=row[5],
                server=row[6],
                token=row[7],
                heard_at=moment_of(row[8]) if row[8] else None,
                trouble=row[9],
                refused_by_server=row[10],
            )
            for row in rows
        ]

    def connected(self, device_id: int, trouble: str, now: datetime) -> None:
        """Note how the last connection went; an empty `trouble` is a good one."""
        with self._changing():
            self._db.execute(
                "UPDATE devices SET trouble = ?, heard_at = iif(? = '', ?, heard_at) WHERE id = ?",
                (trouble, trouble, text(now), device_id),
            )

    def in_trouble(self, device_id: int, trouble: str) -> None:
        """Note what is in the way of a connection."""
        with self._changing():
            self._db.execute("UPDATE devices SET trouble = ? WHERE id = ?", (trouble, device_id))

    def turned_away(self, device_id: int, code: str) -> None:
        """Note that the server refuses the device itself; empty when it takes it again."""
        with self._changing():
            self._db.execute(
                "UPDATE devices SET refused_by_server = ? WHERE id = ?", (code, device_id)
            )

    # Bytes

    def check_room(self, device_id: int) -> None:
        """Before a device is listened to, which then forgets: raises BufferFull, sqlite3.Error.

        Something is written, so that a full disk is found out while the device still remembers.
        """
        with self._changing():
            if self._waits(device_id) >= MOST_WAITING:
                raise BufferFull
            self._db.execute("INSERT OR REPLACE INTO room VALUES (1, zeroblob(?))", (ROOM_BYTES,))

    def keep(self, device_id: int, heard: Sequence[Heard]) -> None:
        """Write down what came; on the disk when this returns. Raises BufferFull."""
        if not heard:
            return
        with self._changing():
            if self._waits(device_id) + len(heard) > MOST_WAITING:
                raise BufferFull
            self._db.executemany(
                "INSERT INTO messages (device_id, characteristic, data, read, received_at) "
                "VALUES (?, ?, ?, ?, ?)",
                [
                    (
                        device_id,
                        one.characteristic,
                        one.data,
                        _packed(one.read),
                        text(one.received_at),
                    )
                    for one in heard
                ],
            )

            self._db.execute(
                "UPDATE devices SET heard_at = ? WHERE id = ?",
                (text(heard[-1].received_at), device_id),
            )

    def unread(self) -> list[Message]:
        """Up to 500 messages nobody has looked at, in the order they came."""
        rows = self._db.execute(
            "SELECT id, device_id, characteristic, data, received_at, read FROM messages "
            "WHERE doubt IS NULL ORDER BY id LIMIT 500"
        ).fetchall()
        return [
            Message(
                row[0],
                row[1],
                Heard(
                    row[2],
                    row[3],
                    moment_of(row[4]),
                    msgspec.msgpack.decode(row[5], type=dict[int, bytes]),
                ),
            )
            for row in rows
        ]

    def settle(
        self, message: Message, readings: Sequence[Measurement], doubts: Sequence[str]
    ) -> int:
        """Put readings in the place of a message, or keep it with why it is none.

        One that is there already (its sequence is) changes nothing; with other values it is a
        doubt. Gives how many were new.
        """
        at, new = text(message.heard.received_at), 0
        with self._changing():
            for one in readings:
                added = self._db.execute(
                    "INSERT INTO readings (device_id, sequence, body, state, changed_at) "
                    "VALUES (?, ?, ?, 'here', ?) ON CONFLICT (device_id, sequence) DO NOTHING",
                    (message.device_id, one.sequence, msgspec.json.encode(one), at),
                ).rowcount
                new += added
                if not added and not self._same_values(message.device_id, one):
                    doubts = [*doubts, NUMBER_USED]
            if doubts:
                # Of somebody else's measurement nothing is kept but that there was one.
                self._db.execute(
                    "UPDATE messages SET doubt = ?1, data = iif(?1 = ?3, x'', data) WHERE id = ?2",
                    (",".join(sorted(set(doubts))), message.id, OTHER_USER),
                )
                self._db.execute(
                    "DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE device_id = ? "
                    "AND doubt IS NOT NULL ORDER BY id DESC LIMIT -1 OFFSET ?)",
                    (message.device_id, MOST_DOUBTS),
                )
            else:
                self._db.execute("DELETE FROM messages WHERE id = ?", (message.id,))
        return new

    def _same_values(self, device_id: int, one: Measurement) -> bool:
        """Whether the reading that has this number says the same; its time may be repaired anew."""
        (body,) = self._db.execute(
            "SELECT body FROM readings WHERE device_id = ? AND sequence = ?",
            (device_id, one.sequence),
        ).fetchone()
        there = msgspec.json.decode(body, type=Measurement)
        return _content(there) == _content(one)

    def progress(self, device_id: int, download: str) -> int | None:
        """The last record of a download that is here for good; None: none yet."""
        row = self._db.execute(
            "SELECT last FROM progress WHERE device_id = ? AND download = ?", (device_id, download)
        ).fetchone()
        return None if row is None else int(row[0])

    def set_progress(self, device_id: int, download: str, last: int | None) -> None:
        """Note how far a download has come; what came before is kept already. None: begin anew."""
        with self._changing():
            if last is None:
                self._db.execute(
                    "DELETE FROM progress WHERE device_id = ? AND download = ?",
                    (device_id, download),
                )
            else:
                self._db.execute(
                    "INSERT INTO progress VALUES (?, ?, ?) "
                    "ON CONFLICT (device_id, download) DO UPDATE SET last = excluded.last",
                    (device_id, download, last),
                )

    def clock_seen(self, device_id: int, shown: datetime, at: datetime) -> None:
        """Note what the device's clock showed when it was looked at; the last ones stay."""
        with self._changing():
            self._db.execute(
                "INSERT OR REPLACE INTO moments VALUES (?, ?, ?)",
                (device_id, at.timestamp(), shown.isoformat()),
            )
            self._db.execute(
                "DELETE FROM moments WHERE device_id = ?1 AND at NOT IN (SELECT at FROM moments "
                "WHERE device_id = ?1 ORDER BY at DESC LIMIT ?2)",
                (device_id, KEPT),
            )

    def moments(self, device_id: int) -> list[Moment]:
        """What the device's clock showed when, oldest first."""
        rows = self._db.execute(
            "SELECT at, shown FROM moments WHERE device_id = ? ORDER BY at", (device_id,)
        ).fetchall()
        return [Moment(at, datetime.fromisoformat(shown), read=True) for at, shown in rows]

    # Readings

    def waiting(self, device_id: int, most: int) -> list[Measurement]:
        """Readings that the server has not named yet, oldest first."""
        rows = self._db.execute(
            "SELECT body FROM readings WHERE device_id = ? AND state IN ('here', 'sent') "
            "ORDER BY id LIMIT ?",
            (device_id, most),
        ).fetchall()
        return [msgspec.json.decode(row[0], type=Measurement) for row in rows]

    def mark(
        self,
        device_id: int,
        readings: Sequence[Measurement],
        state: State,
        now: datetime,
        problem: str = "",
    ) -> None:
        """Note what became of readings. One that is stored stays stored."""
        with self._changing():
            self._db.executemany(
                "UPDATE readings SET state = ?, problem = ?, changed_at = ? "
                "WHERE device_id = ? AND sequence = ? AND state <> 'stored'",
                [(state, problem, text(now), device_id, one.sequence) for one in readings],
            )

    def counts(self, device_id: int) -> Counts:
        """How many readings are in which state."""
        by_state: dict[str, int] = {}
        refused: dict[str, int] = {}
        for state, problem, count in self._db.execute(
            "SELECT state, problem, count(*) FROM readings WHERE device_id = ? GROUP BY 1, 2",
            (device_id,),
        ):
            by_state[state] = by_state.get(state, 0) + count
            if state == State.REFUSED:
                refused[problem] = count
        doubts = self._db.execute(
            "SELECT doubt, count(*) FROM messages WHERE device_id = ? AND doubt IS NOT NULL "
            "GROUP BY 1",
            (device_id,),
        ).fetchall()
        unread, before = self._db.execute(
            "SELECT (SELECT count(*) FROM messages WHERE device_id = devices.id "
            "AND doubt IS NULL), stored_before FROM devices WHERE id = ?",
            (device_id,),
        ).fetchone()
        return Counts(
            here=by_state.get(State.HERE, 0) + unread,
            sent=by_state.get(State.SENT, 0),
            stored=by_state.get(State.STORED, 0) + before,
            refused=refused,
            doubts=dict(doubts),
        )

    def newest_numbers(self, device_id: int, kind: Kind, most: int) -> list[int]:
        """The numbers of the newest readings of a kind, by the device's own clock."""
        rows = self._db.execute(
            "SELECT sequence FROM readings WHERE device_id = ? AND json_extract(body, '$.kind') = ?"
            " ORDER BY sequence DESC LIMIT ?",
            (device_id, kind.value, most),
        ).fetchall()
        return [int(row[0]) for row in rows]

    def doubted(self, device_id: int, characteristic: int) -> list[bytes]:
        """What came of a characteristic and was no reading; the last ones."""
        rows = self._db.execute(
            "SELECT data FROM messages WHERE device_id = ? AND characteristic = ? "
            "AND doubt IS NOT NULL",
            (device_id, characteristic),
        )
        return [row[0] for row in rows.fetchall()]

    def prune(self, now: datetime) -> None:
        """Forget readings stored long ago, whose number stays, and the oldest of many refused."""
        limit = text(now - KEEP_STORED)
        with self._changing():
            self._db.execute(
                "UPDATE devices SET stored_before = stored_before + (SELECT count(*) "
                "FROM readings WHERE device_id = devices.id AND state = 'stored' "
                "AND changed_at < ?)",
                (limit,),
            )
            self._db.execute(
                "DELETE FROM readings WHERE state = 'stored' AND changed_at < ?", (limit,)
            )
            self._db.execute(
                "DELETE FROM readings WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER "
                "(PARTITION BY device_id ORDER BY id DESC) AS place FROM readings "
                "WHERE state = 'refused') WHERE place > ?)",
                (MOST_REFUSED,),
            )


def _content(one: Measurement) -> tuple[object, ...]:
    """What a reading says, without its time."""
    return one.kind, one.unit, one.values, beyond(one.values, one.flags)


def _packed(read: Mapping[int, bytes]) -> bytes:
    return msgspec.msgpack.encode(dict(read))
