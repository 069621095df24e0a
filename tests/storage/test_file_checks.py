"""A zoo of hostile files, each with its verdict; good ones are kept, pictures without what they tell."""

import io
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import PIL.Image
import pytest
from file_zoo import GOOD, ZOO, Hostile, bomb, photo, picture

from storage import limited_child
from storage.file_checks import BadFile, DiskFull, Fault, Kind, judge
from storage.file_checks.child import check
from storage.file_checks.faults import NO_ROOM
from storage.file_checks.kinds import REWRITTEN

judging = sys.modules[judge.__module__]
# What a child has to give up, tried by a program in its place; each line is one that got through.
TRIES = """
import os, socket, sys
from pathlib import Path
from storage.confine import Limits, confine
file, folder, secret = map(Path, sys.argv[1:4])
confine(Limits(cpu_s=5, memory_bytes=1 << 30, file_bytes=1 << 20), reads=[file], writes=folder)
(folder / "ready").touch()
got = []
for name, act in (
    ("network", lambda: socket.socket()),
    ("program", lambda: os.execv("/bin/true", ["true"])),
    ("parent", lambda: os.kill(os.getppid(), 0)),
    ("secret", lambda: secret.read_bytes()),
    ("outside", lambda: (secret.parent / "new").touch()),
    ("memory", lambda: bytearray(2 << 30)),
    ("file size", lambda: (folder / "large").write_bytes(bytes(2 << 20))),
):
    try:
        act()
    except (OSError, MemoryError):
        continue
    got.append(name)
file.read_bytes()
(folder / "got").write_text(",".join(got))
"""


def laid(tmp_path: Path, data: bytes) -> tuple[Path, Path]:
    """The file of an upload, and the empty folder for what is made of it."""
    file, folder = tmp_path / "body", tmp_path / "made"
    file.write_bytes(data)
    folder.mkdir()
    return file, folder


@pytest.mark.parametrize("hostile", ZOO.values(), ids=ZOO.keys())
def test_every_hostile_file_has_its_verdict(tmp_path: Path, hostile: Hostile) -> None:
    """By its own code; what no parser need see is told by the name and the size."""
    file, folder = laid(tmp_path, hostile.make())
    try:
        check(file, folder, judging._before(file, hostile.name))
    except BadFile as refused:
        found = refused.fault.code
    except Exception:  # noqa: BLE001 - as the child does with whatever a parser raises
        found = Fault.BROKEN.code
    else:
        found = "kept"
    assert found == hostile.code
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("name", "make"), GOOD.values(), ids=GOOD.keys())
def test_what_people_hand_in_is_kept(tmp_path: Path, name: str, make: Callable[[], bytes]) -> None:
    """By its content's kind; pictures and sounds are written anew, all else stays as it came."""
    file, folder = laid(tmp_path, make())
    verdict = check(file, folder, judging._before(file, name))
    judged = judging._judged(verdict, file, folder)
    assert (judged.kept == file) is not (judged.kind in REWRITTEN)
    assert judged.size == judged.kept.stat().st_size > 0
    assert file.read_bytes() == make()


def test_a_photo_is_turned_and_tells_nothing_but_its_pixels(tmp_path: Path) -> None:
    """Neither where nor by what it was made."""
    file, folder = laid(tmp_path, photo())
    check(file, folder, Kind.JPEG)
    for made, size in (("kept", (48, 64)), ("preview", (48, 64))):
        data = (folder / made).read_bytes()
        assert b"anary" not in data
        assert b"Exif" not in data
        with PIL.Image.open(io.BytesIO(data)) as image:
            assert image.size == size
            top, bottom = (image.convert("RGB").getpixel((24, y)) for y in (5, 60))
        assert top == pytest.approx((254, 0, 0), abs=12), "its left side is up now"
        assert bottom == pytest.approx((255, 255, 255), abs=12)


@pytest.mark.parametrize("sound", ["a cough", "a voice", "a voice of a messenger"])
def test_a_sound_is_the_same_bit_for_bit_and_tells_nothing_else(tmp_path: Path, sound: str) -> None:
    """Neither its title nor where it was made."""
    name, make = GOOD[sound]
    file, folder = laid(tmp_path, make())
    assert b"canary" in file.read_bytes()
    check(file, folder, judging._before(file, name))
    assert b"canary" not in (folder / "kept").read_bytes()
    heard = []
    for path in (file, folder / "kept"):
        with av.open(str(path)) as opened:
            heard.append([bytes(packet) for packet in opened.demux() if packet.size])
    assert heard[0] == heard[1] != []


def test_a_large_picture_is_scaled_down(tmp_path: Path) -> None:
    """To what a screen can use, whatever a camera makes."""
    file, folder = laid(tmp_path, picture("PNG", (7000, 100)))
    check(file, folder, Kind.PNG)
    for made, width in (("kept", 6000), ("preview", 1200)):
        with PIL.Image.open(folder / made) as image:
            assert image.width == width


async def test_the_whole_way_through_the_child(tmp_path: Path) -> None:
    """A good file, a bad one, and a bomb in a process that is gone afterwards."""
    file, folder = laid(tmp_path, photo())
    judged = await judge(file, "a.jpg", folder)
    assert (judged.kind, judged.preview) == (Kind.JPEG, folder / "preview")
    for name, data, code in (
        ("a.docx", bomb(), "file_unpacks_too_large"),
        ("a.png", ZOO["a picture's head alone"].make(), "file_broken"),
    ):
        (tmp_path / name).mkdir()
        bad, made = laid(tmp_path / name, data)
        with pytest.raises(BadFile) as refused:
            await judge(bad, name, made)
        assert refused.value.fault.code == code


async def test_a_file_for_which_the_house_has_no_time_is_not_broken(tmp_path: Path) -> None:
    """The child is killed when its time is up; of the processor it had less than it may use."""
    file, folder = laid(tmp_path, photo())
    with pytest.raises(limited_child.ChildLate):
        await judge(file, "a.jpg", folder, wall_s=0)
    assert judging.LIMITS.cpu_s * 2 <= judging.WALL_S


async def test_a_child_is_nice_before_it_confines_itself(tmp_path: Path) -> None:
    """Loading what parses is half of its work, and others wait meanwhile."""
    waits = "import os\nwhile os.nice(0) < 10: pass"
    assert await limited_child._ended("timeit", ("-n1", "-r1", waits), tmp_path, 5) == 0


def test_a_child_has_given_up_network_programs_and_foreign_files(tmp_path: Path) -> None:
    """What a captured parser could do besides writing into its own folder."""
    file, folder = laid(tmp_path, b"x")
    (tmp_path / "secret").write_text("canary")
    (folder / "tries.py").write_text(TRIES)
    paths = (str(file), str(folder), str(tmp_path / "secret"))
    code = "import sys; exec(open(sys.argv.pop(1)).read())"
    child = [sys.executable, "-I", "-c", code, str(folder / "tries.py"), *paths]
    ended = subprocess.run(child, capture_output=True, check=False, timeout=60, env={})
    assert ended.returncode == 0, ended.stderr.decode()
    assert (folder / "got").read_text() == ""


@pytest.mark.parametrize("trick", ["link", "not a picture", "other kind", "no verdict", "rubbish"])
def test_what_a_captured_child_leaves_is_not_trusted(tmp_path: Path, trick: str) -> None:
    """A link to somebody's secret would be sealed and shown."""
    file, folder = laid(tmp_path, photo())
    kept, verdict = folder / "kept", folder / "verdict"
    verdict.write_text('{"kind": "jpeg", "rewritten": true, "preview": false}')
    kept.write_bytes(b"\xff\xd8\xffcanary")
    if trick == "link":
        (tmp_path / "secret").write_bytes(kept.read_bytes())
        kept.unlink()
        kept.symlink_to(tmp_path / "secret")
    elif trick == "not a picture":
        kept.write_bytes(b"<script>")
    elif trick == "other kind":
        verdict.write_text('{"kind": "jpeg", "rewritten": false, "preview": false}')
    elif trick == "no verdict":
        verdict.unlink()
    else:
        verdict.write_text("rubbish")
    with pytest.raises(BadFile):
        judging._taken(file, folder, 0)


@pytest.mark.parametrize("code", [-signal.SIGKILL, -signal.SIGSEGV, 1, 2, 99])
def test_a_child_that_breaks_says_the_file_is_broken(tmp_path: Path, code: int) -> None:
    """It had opened the file: its limits held, and it did not come to an end."""
    with pytest.raises(BadFile) as refused:
        judging._taken(tmp_path / "body", tmp_path, code)
    assert refused.value.fault is Fault.BROKEN


def test_a_full_disk_is_not_the_files_fault(tmp_path: Path) -> None:
    """Whoever handed it in is told to come back."""
    with pytest.raises(DiskFull):
        judging._taken(tmp_path / "body", tmp_path, NO_ROOM)


async def test_a_child_that_does_not_start_is_our_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that a good file is broken."""
    limited_child.end_servers()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(limited_child.ChildAway):
        await judge(*(laid(tmp_path, photo())[0], "a.jpg", tmp_path / "made"))
