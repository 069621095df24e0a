"""The device program, from its command line to a real socket and a real HTTP server."""

import asyncio
import itertools
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from device_peer import Ward, desk, ward

import devices
from devices.ecg.stream import EcgStream
from devices.ecg_files.wfdb import read_record
from devices.frames import MISSING, decode
from devices.recorder import EcgRecorder
from devices.simulate import Faults, main, play, stream_header

SAMPLE = Path(devices.__file__).parent / "samples" / "100_2min"
RECORD = read_record(SAMPLE)
FAST = 2000.0

pytestmark = pytest.mark.timeout(60)


async def played(
    peer: Ward, faults: str = "", frames: int = 60, seed: int = 1, speed: float = FAST
) -> EcgRecorder:
    device = EcgRecorder(
        peer.url,
        "t",
        stream_header(RECORD, 0, UUID(int=3)),
        RECORD.samples[:, 0],
        started_at_us=1_770_000_000_000_000,
    )
    async with device:
        await play(device, faults=Faults.parse(faults), frames=frames, speed=speed, seed=seed)
    return device


def arrived(peer: Ward) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.concatenate([decode(peer.stored[n]).samples for n in sorted(peer.stored)])


async def test_the_whole_recording_arrives_sample_for_sample() -> None:
    async with ward() as peer:
        await played(peer, frames=600)
        assert arrived(peer).tolist() == RECORD.samples[:, 0].tolist()


async def test_frames_keep_the_pace_of_the_recording() -> None:
    """Ten frames of 200 ms at ten times the pace take a fifth of a second."""
    clock = asyncio.get_running_loop()
    async with ward() as peer:
        started = clock.time()
        await played(peer, frames=10, speed=10)
        assert clock.time() - started >= 0.2


@pytest.mark.parametrize("faults", ["repeat", "shuffle", "drop=3@4", "repeat,shuffle,drop=2@3"])
async def test_with_every_fault_of_the_link_the_samples_arrive_whole(faults: str) -> None:
    async with ward() as peer:
        await played(peer, faults)
        assert arrived(peer).tolist() == RECORD.samples[: 60 * 72, 0].tolist()


async def test_repeat_sends_every_fifth_frame_twice() -> None:
    async with ward() as peer:
        await played(peer, "repeat", frames=12)
        twice = [n for n, times in itertools.groupby(peer.received) if len(list(times)) == 2]
    assert twice == [0, 5, 10]


async def test_shuffle_is_out_of_order_and_the_same_for_one_seed() -> None:
    orders = []
    for seed in (1, 1, 2):
        async with ward() as peer:
            await played(peer, "shuffle", frames=20, seed=seed)
            orders.append(peer.received)
    assert orders[0] == orders[1]
    assert orders[0] != sorted(orders[0])
    assert orders[2] != orders[0]


async def test_a_dropped_link_is_taken_up_again() -> None:
    async with ward() as peer:
        device = await played(peer, "drop=2@2")
    assert device.connections == 2


async def test_a_pulled_electrode_shows_as_missing_samples() -> None:
    async with ward() as peer:
        await played(peer, "electrode=1@2", frames=20)
        off = [n for n in range(20) if set(decode(peer.stored[n]).samples.tolist()) == {MISSING}]
    assert off == [10, 11, 12, 13, 14]


async def test_what_arrives_gives_the_rate_of_the_recording() -> None:
    async with ward() as peer:
        await played(peer, frames=100)
        stream = EcgStream(stream_header(RECORD, 0, UUID(int=3)))
        stream.push(arrived(peer))
    assert stream.vitals().heart_rate_bpm == pytest.approx(74, abs=2)


@pytest.mark.parametrize("text", ["fire", "drop=x", "electrode=1@never"])
def test_a_fault_nobody_knows_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no such fault|could not convert"):
        Faults.parse(text)


async def run_program(*arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "devices.simulate",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=SAMPLE.parents[2],
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_the_program_plays_ecg_and_pressures_and_ends_with_the_recording() -> None:
    async with ward() as peer:
        http = peer.url.replace("ws", "http", 1).removesuffix("/ws/device")
        code, output = await run_program(
            *("--server", http, "--token", "t", "--bp", "none", "--speed", "500")
        )
    assert (code, peer.contiguous) == (0, 599), output
    assert "acknowledged 600 frames" in output


async def test_the_program_sends_as_many_readings_as_asked() -> None:
    with desk() as peer:
        code, output = await run_program(
            *("--server", peer.url, "--token", "t", "--ecg", "none", "--readings", "6"),
            *("--kinds", "glucose,spo2", "--every", "0.01"),
        )
        readings = [body["readings"][0] for body in peer.bodies]
    assert code == 0, output
    assert [reading["kind"] for reading in readings] == ["blood_pressure", "glucose", "spo2"] * 2
    numbers = [reading["sequence"] for reading in readings]
    assert numbers == list(range(numbers[0], numbers[0] + 6))


async def test_a_refused_device_is_told_in_one_sentence() -> None:
    async with ward() as peer:
        peer.refuse = ("not_signed_in", 4401)
        http = peer.url.replace("ws", "http", 1).removesuffix("/ws/device")
        code, output = await run_program("--server", http, "--token", "bad", "--bp", "none")
    assert (code, output) == (1, "the server refuses this device: not_signed_in\n")


def test_a_missing_recording_is_told_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--server", "http://127.0.0.1:1", "--token", "t", "--bp", "none"]
    assert main([*where, "--ecg", "nowhere/at/all"]) == 1
    assert capsys.readouterr().err.startswith("cannot play: ")


def test_help_explains_the_faults() -> None:
    output = subprocess.run(
        [sys.executable, "-m", "devices.simulate", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=SAMPLE.parents[2],
    ).stdout
    assert "electrode=3@40" in output
    assert "--loop" in output
