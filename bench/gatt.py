"""Payloads of Bluetooth devices: how fast a pressure is read, and what random bytes do.

    python -m bench.gatt [strings]      10,000,000 by default

Half of the strings are random, half are real payloads with some bytes changed, cut or added.
"""

import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from bench.harness import Row, at_least, at_most, report
from devices.gatt import blood_pressure, cgm, glucose, heart_rate, oximeter, thermometer, weight
from devices.gatt.models import ANY
from devices.gatt.payload import STRICT, TOLERANT, BadPayload
from devices.gatt.to_measurement import measurements
from devices.racp import Racp, decode_reply, decode_request

STRINGS = 10_000_000
# Unit, time, pulse, user and status: the longest a cuff sends.
FULL = bytes.fromhex("1E8A0058007800EA07030A071E003C00012700")
SEEDS: dict[Callable[..., object], tuple[bytes, ...]] = {
    blood_pressure.decode: (FULL, bytes.fromhex("15BDF00B009FF03C001200")),
    glucose.decode: (bytes.fromhex("1B0100E307021B0B0A1EFBFF1E00120501"),),
    glucose.decode_context: (bytes.fromhex("5B0700013CD0012C0132010CA040F0"),),
    cgm.decode: (
        bytes.fromhex("0FE3D2E405000214FF02F0E5F38E3F"),
        bytes.fromhex("06000C10050006000C100600"),
    ),
    cgm.decode_session_start: (bytes.fromhex("EA07030A0600000C00"),),
    heart_rate.decode: (bytes.fromhex("1E5532002100"), bytes.fromhex("1F01013201010002 01FFFF")),
    thermometer.decode: (bytes.fromhex("06B00E00FEDC070C050B321B04"),),
    oximeter.decode_spot: (bytes.fromhex("1F62004800EA07030A071E0000042008 0005F0"),),
    oximeter.decode_continuous: (bytes.fromhex("1F6200480061004B0060004600800010 00000CF0"),),
    weight.decode: (bytes.fromhex("0EC832E9070C1F173B3A02D400DB06"),),
}
CONTROL: dict[Callable[[bytes], object], tuple[bytes, ...]] = {
    decode_reply: (b"\x06\x00\x01\x01", b"\x05\x00\x02\x01"),
    decode_request: (b"\x01\x01", b"\x01\x03\x01\x07\x00"),
}
CHARACTERISTICS = (0x2A35, 0x2A18, 0x2AA7, 0x2A37, 0x2A1C, 0x2A5E, 0x2A5F, 0x2A9D)
LONGEST = 32
BLOCK = 1 << 20
# Of so many strings one goes the whole way to a reading, and one to a download under way.
WHOLE_EVERY = 20
NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)


def decode_rows(count: int = 60_000, rounds: int = 20) -> list[Row]:
    decode = blood_pressure.decode
    said = [FULL[:13] + bytes((second,)) + FULL[14:] for second in range(60)]
    messages = said * (count // len(said))
    best = float("inf")
    for _ in range(rounds):
        # Of the processor, not of the clock: a core is what the bar is for.
        started = time.process_time()
        for message in messages:
            reading = decode(message)
            _ = reading.flags
        best = min(best, time.process_time() - started)
    assert reading.systolic == 138
    assert reading.taken_at is not None
    return [at_least("gatt.decode", len(messages) / best, "messages/s a core", bar=1_000_000)]


def strings(seeds: tuple[bytes, ...], count: int, draw: random.Random) -> list[bytes]:
    """Random strings and changed payloads, half and half; random ones often carry known flags."""
    block = draw.randbytes(BLOCK)
    found = []
    spot, size = 0, 0
    for number in range(count):
        spot = (spot + size + 7) % (BLOCK - 64)
        if number % 2:
            size = block[spot] % LONGEST
            found.append(block[spot + 1 : spot + 1 + size])
            continue
        changed = bytearray(seeds[number // 2 % len(seeds)])
        how = block[spot]
        for i in range(1 + how % 3):
            changed[block[spot + 1 + i] % len(changed)] = block[spot + 5 + i]
        if how & 0x80:
            del changed[block[spot + 9] % len(changed) :]
        elif how & 0x40:
            changed += block[spot + 10 : spot + 10 + how % 4]
        found.append(bytes(changed))
        size = 14
    return found


class Fuzz:
    """Counts what strings do: decoded, refused, raised."""

    def __init__(self) -> None:
        self.strings = self.decoded = self.refused = self.raised = 0
        self.first_raised = ""

    def try_all(self, work: Callable[[bytes], object], texts: list[bytes]) -> None:
        self.strings += len(texts)
        for text in texts:
            try:
                work(text)
            except BadPayload:
                self.refused += 1
            except Exception as error:  # noqa: BLE001 - what is looked for
                self.raised += 1
                self.first_raised = self.first_raised or f"{error!r} {text.hex()}"
            else:
                self.decoded += 1


def whole_way(text: bytes) -> None:
    """To readings, from every characteristic; and as the indication of a meter being read."""
    for characteristic in CHARACTERISTICS:
        measurements(characteristic, text, ANY, UTC, NOW, {0x2AAA: text[::-1], 0x2A34: text})
    download = Racp(7)
    download.start()
    download.on_indication(text)
    download.on_measurement(len(text))
    download.on_indication(text[::-1])


def fuzz_rows(count: int = STRINGS, seed: int = 20260310) -> list[Row]:
    draw = random.Random(seed)  # noqa: S311 - the same strings at every run
    fuzz = Fuzz()
    lots = len(SEEDS) * 2 + len(CONTROL)
    rounds = max(1, count // (lots * 50_000))
    each = -(-count // (lots * rounds))
    started = time.perf_counter()
    for number in range(rounds):
        for decode, seeds in SEEDS.items():
            texts = strings(seeds, each, draw)
            fuzz.try_all(decode, texts)
            quirks = STRICT if number % 4 == 3 else TOLERANT
            fuzz.try_all(partial(decode, quirks=quirks), texts)
            fuzz.try_all(whole_way, texts[::WHOLE_EVERY][: each // 100])
        for decode, seeds in CONTROL.items():
            fuzz.try_all(decode, strings(seeds, each, draw))
    took = time.perf_counter() - started
    return [
        at_least("gatt.fuzz_strings", fuzz.strings, "byte strings", bar=count),
        Row("gatt.fuzz_decoded", 100 * fuzz.decoded / fuzz.strings, "% (the rest refused)"),
        Row("gatt.fuzz_time", took, "s"),
        at_most("gatt.fuzz", fuzz.raised, fuzz.first_raised or "exceptions", bar=0),
    ]


def gatt_rows() -> list[Row]:
    return [*decode_rows(), *fuzz_rows()]


def main(arguments: list[str] = sys.argv[1:]) -> int:
    count = int(arguments[0]) if arguments else STRINGS
    return report("gatt", [*decode_rows(), *fuzz_rows(count)])


if __name__ == "__main__":
    sys.exit(main())
