"""A patient's home devices, played: a recorded ECG and blood pressures sent to a server.

    python -m devices.simulate --server http://127.0.0.1:8000 --token TOKEN

The same seed gives the same values and faults. Faults, separated by commas:

    drop=5@20        cut the link for 5 s, 20 s into the recording
    electrode=3@40   an electrode is off for 3 s, 40 s into the recording
    repeat           every fifth frame is sent twice
    shuffle          frames leave in the wrong order, within groups of four
    cuff=0.1         a tenth of the pressures is taken with a loose cuff; likewise failed (no
                     result), control (control solution), strip, finger, sensor
    clock=3600       the clocks of the devices are an hour fast

The last faults are of `--days`: so many days of a home's readings, each device speaking its own
bytes, which are decoded as a gateway would; what is no reading is printed as refused.

As a library: `EcgRecorder` and `ReadingSender` send exactly what a test tells them to.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from uuid import UUID

from devices import household
from devices.ecg_files import BadFile, EcgRecording
from devices.ecg_files.wfdb import read_record
from devices.frames import StreamHeader
from devices.gatt.to_measurement import Refusal
from devices.life import Person
from devices.measurement import Kind, Measurement
from devices.reading_sender import ReadingSender, at, from_csv, generated
from devices.recorder import FRAME_S, DeviceRefused, EcgRecorder, device_socket

__all__ = [
    "DeviceRefused",
    "EcgRecorder",
    "Faults",
    "ReadingSender",
    "device_socket",
    "main",
    "play",
    "stream_header",
]

SAMPLE = Path(__file__).parent / "samples" / "100_2min"
REPEAT_EVERY = 5
SHUFFLE_GROUP = 4
_FAULT_NAMES = ("drop", "electrode", "repeat", "shuffle")


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, in frames: (first, last) of the link and of the electrode."""

    drops: tuple[tuple[int, int], ...] = ()
    electrode: tuple[tuple[int, int], ...] = ()
    repeat: bool = False
    shuffle: bool = False

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """Faults of the command line, as the module says; ValueError names a wrong one."""
        spans: dict[str, list[tuple[int, int]]] = {"drop": [], "electrode": []}
        plain: set[str] = set()
        for word in filter(None, (part.strip() for part in text.split(","))):
            name, _, when = word.partition("=")
            if name not in _FAULT_NAMES:
                raise ValueError(f"no such fault: {name} (there are {', '.join(_FAULT_NAMES)})")
            if name in spans:
                length, _, start = (when or "3").partition("@")
                first = round(float(start or "10") / FRAME_S)
                spans[name].append((first, first + max(1, round(float(length) / FRAME_S)) - 1))
            else:
                plain.add(name)
        return cls(
            tuple(spans["drop"]), tuple(spans["electrode"]), "repeat" in plain, "shuffle" in plain
        )


def parted(text: str) -> tuple[Faults, household.Faults]:
    """Faults of the recording and of the home, from one list; ValueError names a wrong one."""
    words = [word.strip() for word in text.split(",")]
    frames = [word for word in words if word.partition("=")[0] in _FAULT_NAMES]
    home = household.Faults.parse(",".join(word for word in words if word not in frames))
    return Faults.parse(",".join(frames)), home


def lived(
    kinds: Iterable[Kind], days: int, seed: int, faults: household.Faults, now: datetime
) -> tuple[list[Measurement], list[Refusal]]:
    """The last days of a home up to now, oldest first, and what its devices said in vain."""
    zone = now.astimezone().tzinfo or UTC
    home = household.Home(Person(seed=f"simulated {seed}"), zone, faults)
    today = now.astimezone(zone).date()
    span = [today - timedelta(days=back) for back in range(days, -1, -1)]
    found = list(household.readings(home, kinds, span))
    readings = [one for one in found if isinstance(one, Measurement) and one.taken_at <= now]
    refused = [one for one in found if isinstance(one, Refusal)]
    return sorted(readings, key=lambda one: one.taken_at), refused


def stream_header(record: EcgRecording, lead: int, stream: UUID) -> StreamHeader:
    """How to read the samples of one lead of a recording."""
    row = record.leads[lead]
    return StreamHeader(
        stream=stream,
        rate_hz=record.rate_hz,
        gain_per_mv=row.gain_per_mv,
        baseline=row.baseline,
        lead=row.name[:16],
    )


async def play(
    recorder: EcgRecorder,
    *,
    faults: Faults,
    frames: int | None,
    speed: float = 1.0,
    seed: int = 0,
) -> None:
    """Send `frames` frames (None: for ever) at the recording's own pace times `speed`.

    Begins when the server has answered, returns when it has acknowledged them all.
    """
    await recorder.linked()
    for first, last in faults.electrode:
        recorder.pull_electrode(first, last)
    clock = asyncio.get_running_loop()
    started = clock.time()
    for sequence, order in _orders(faults, frames, random.Random(seed)):  # noqa: S311 - demo faults
        await asyncio.sleep(started + (sequence + 1) * FRAME_S / speed - clock.time())
        if any(first <= sequence <= last for first, last in faults.drops):
            await recorder.drop_link()
        else:
            recorder.restore_link()
        await recorder.offer(order)
        if recorder.refused is not None:
            raise recorder.refused
    recorder.restore_link()
    await recorder.wait_acknowledged(recorder.offered)


def _orders(
    faults: Faults, frames: int | None, draw: random.Random
) -> Iterator[tuple[int, list[int]]]:
    """For each moment (number of the frame just recorded) the frames to send, faults included."""
    group: list[int] = []
    sequence = 0
    while frames is None or sequence < frames:
        group.append(sequence)
        ended = frames is not None and sequence == frames - 1
        if not faults.shuffle or len(group) == SHUFFLE_GROUP or ended:
            if faults.shuffle:
                draw.shuffle(group)
            if faults.repeat:
                group = list(chain.from_iterable(_twice(n) for n in group))
            yield sequence, group
            group = []
        else:
            yield sequence, []
        sequence += 1


def _twice(sequence: int) -> list[int]:
    return [sequence] * (2 if sequence % REPEAT_EVERY == 0 else 1)


async def send_readings(
    sender: ReadingSender, readings: Iterator[Measurement], *, every_s: float, count: int | None
) -> None:
    """A reading every `every_s` seconds, the first at once; each is sent until acknowledged."""
    for sent, reading in enumerate(readings, 1):
        sender.queue(at(reading, datetime.now(UTC)))
        await sender.flush()
        _print_refused(sender)
        if count is not None and sent >= count:
            return
        await asyncio.sleep(every_s)


def _print_refused(sender: ReadingSender) -> None:
    for refused, problem in sender.refused:
        print(f"refused: {refused.kind} {refused.values}: {problem}", file=sys.stderr)  # noqa: T201
    sender.refused.clear()


def _interleaved(sources: Sequence[Iterator[Measurement]], first: int) -> Iterator[Measurement]:
    """One reading of each source in turn, numbered in one row; ends with the shortest."""
    sequence = first
    for together in zip(*sources, strict=False):
        for reading in together:
            yield Measurement(
                kind=reading.kind,
                sequence=sequence,
                taken_at=reading.taken_at,
                unit=reading.unit,
                values=reading.values,
            )
            sequence += 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m devices.simulate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--server", required=True, help="address of the server, http://... or https://...")
    add("--token", required=True, help="device token of the recorder")
    add("--bp-token", help="device token of the cuff (default: the recorder's)")
    add("--ecg", default=str(SAMPLE), help="WFDB record to play, or 'none' (default: the sample)")
    add("--lead", default="MLII", help="lead to play (default: MLII, else the first)")
    add("--stream", type=UUID, help="id of the stream (default: from token and time)")
    add("--bp", default="generated", help="'generated', 'none', or a CSV of readings")
    add("--kinds", default="", help="other generated readings: glucose,spo2,...")
    add("--days", type=int, default=0, help="first so many days of a home, of --kinds or pressures")
    add("--every", type=float, default=30.0, help="seconds between readings (default: 30)")
    add("--readings", type=int, help="stop after so many readings (default: with the ECG)")
    add("--faults", default="", help="drop=5@20,electrode=3@40,cuff=0.1,clock=3600,...")
    add("--loop", action="store_true", help="play the recording over and over")
    add("--speed", type=float, default=1.0, help="times real time (default: 1)")
    add("--seed", type=int, default=1, help="same seed, same values and faults")
    return parser


async def _run(options: argparse.Namespace) -> None:
    tasks: list[Awaitable[None]] = []
    if options.ecg != "none":
        tasks.append(_run_ecg(options))
    if options.bp != "none" or options.kinds or options.days:
        tasks.append(_run_readings(options))
    running = [asyncio.ensure_future(task) for task in tasks]
    try:
        # The recording sets the length of the demonstration; without one the readings do.
        done, _ = await asyncio.wait(
            running, return_when=asyncio.FIRST_EXCEPTION if options.readings else "FIRST_COMPLETED"
        )
        for task in done:
            task.result()
    finally:
        for task in running:
            task.cancel()


async def _run_ecg(options: argparse.Namespace) -> None:
    record = read_record(Path(options.ecg))
    lead = record.lead(options.lead)
    now_us = time.time_ns() // 1000
    length_us = round(len(record.samples) / record.rate_hz * 1e6)
    # Played faster than life, the recording is dated back, so that no frame is from the future.
    dated_back_us = max(0, round(length_us * (1 - 1 / options.speed)))
    stream = options.stream or UUID(int=random.Random(f"{options.token} {now_us}").getrandbits(128))  # noqa: S311
    recorder = EcgRecorder(
        device_socket(options.server),
        options.token,
        stream_header(record, lead, stream),
        record.samples[:, lead],
        started_at_us=now_us - dated_back_us,
        loop=options.loop,
        seed=options.seed,
    )
    async with recorder:
        await recorder.linked()
        recorder.begin_at(time.time_ns() // 1000 - dated_back_us)
        frames = None if options.loop else recorder.frames
        await play(
            recorder,
            faults=parted(options.faults)[0],
            frames=frames,
            speed=options.speed,
            seed=options.seed,
        )
    for frame, code in recorder.set_aside.items():
        print(f"refused: frame {frame}: {code}; a gap stands in its place", file=sys.stderr)  # noqa: T201
    print(f"acknowledged {recorder.acknowledged + 1} frames of stream {stream}")  # noqa: T201


async def _run_readings(options: argparse.Namespace) -> None:
    first = time.time_ns() // 1_000_000  # rises from run to run, as the number in a device does
    sources: list[Iterator[Measurement]] = []
    if options.bp == "generated":
        sources.append(generated(Kind.BLOOD_PRESSURE, options.seed, first))
    elif options.bp != "none":
        sources.append(from_csv(Path(options.bp), first))
    kinds = filter(None, options.kinds.split(","))
    sources.extend(generated(Kind(kind), options.seed, first) for kind in kinds)
    sender = ReadingSender(options.server, options.bp_token or options.token)
    try:
        if options.days:
            await _send_days(sender, options)
        await send_readings(
            sender,
            _interleaved(sources, first),
            every_s=options.every / options.speed,
            count=options.readings,
        )
    finally:
        await sender.aclose()


async def _send_days(sender: ReadingSender, options: argparse.Namespace) -> None:
    kinds = [Kind(kind) for kind in filter(None, options.kinds.split(","))]
    readings, refused = lived(
        kinds or [Kind.BLOOD_PRESSURE],
        options.days,
        options.seed,
        parted(options.faults)[1],
        datetime.now(UTC),
    )
    for one in refused:
        print(f"refused: characteristic {one.characteristic:04X}: {one.reason}", file=sys.stderr)  # noqa: T201
    sender.queue(*readings)
    await sender.flush()
    taken = len(readings) - len(sender.refused)
    _print_refused(sender)
    print(f"stored {taken} readings of {options.days} days")  # noqa: T201


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the devices; 0 at the end of the recording, 1 with one sentence when it cannot go on."""
    options = _arguments().parse_args(arguments)
    try:
        asyncio.run(_run(options))
    except KeyboardInterrupt:
        return 0
    except DeviceRefused as refused:
        print(f"the server refuses this device: {refused.code}", file=sys.stderr)  # noqa: T201
    except (BadFile, OSError, ValueError) as error:
        print(f"cannot play: {error}", file=sys.stderr)  # noqa: T201
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
