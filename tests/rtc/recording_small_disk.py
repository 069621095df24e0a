"""A take on a disk that is full for five seconds of it; prints the segments, keeps the film.

`python -m tests.rtc.recording_small_disk DISK FILM [LEAST_FREE]`, DISK being small and empty.
"""

import os
import sys
from pathlib import Path

from rtc.recording import take_folder
from tests.rtc.recording_source import Camera, Microphone, Studio


def main() -> None:
    """Twenty seconds; from the sixth to the eleventh less is free than the spool has to leave."""
    disk, film = Path(sys.argv[1]), Path(sys.argv[2])
    least_free = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    take_folder.LEAST_FREE_BYTES = least_free
    studio = Studio(disk / "spool")
    studio.on("camera", Camera())
    studio.on("voice", Microphone())
    studio.run(6)
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize >= least_free:
                file.write(bytes(4096))
        except OSError:
            assert not least_free
        print("full", flush=True)
    studio.run(5)
    ballast.unlink()
    studio.run(9)
    studio.close()
    for start, duration, lost, _ in studio.segments:
        print(start, duration, lost)
    film.write_bytes(b"".join(path.read_bytes() for *_, path in studio.segments))


if __name__ == "__main__":
    main()
