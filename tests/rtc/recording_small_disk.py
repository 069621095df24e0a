"""A take on a disk that is full for five seconds of it; prints the segments, keeps the film.

`python -m tests.rtc.recording_small_disk DISK FILM`, DISK being small and empty.
"""

import sys
from pathlib import Path

from tests.rtc.recording_source import Camera, Microphone, Studio


def main() -> None:
    """Twenty seconds; from the sixth to the eleventh nothing can be written."""
    disk, film = Path(sys.argv[1]), Path(sys.argv[2])
    studio = Studio(disk / "spool")
    studio.on("camera", Camera())
    studio.on("voice", Microphone())
    studio.run(6)
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
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
