"""The product at one end of a bad line, real browsers at both: people on the product's own pages."""

import json
import math
import stat
import struct
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from playwright.sync_api import Browser, Page, WebSocket, sync_playwright

from tests.netlab.lab import ROOT, End, Lab
from tests.netlab.noted import SAMPLE_RATE_HZ

sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from conftest import FAKE_MEDIA, QUIET
from house import chromium_path

PEEK = Path(__file__).with_name("peek.js")
ONE_WAY_MS = 20


@dataclass
class FarHouse:
    """What the pages' helpers ask of a house; it runs at the other end."""

    url: str
    world: dict[str, Any]

    def person(self, person_id: str) -> dict[str, Any]:
        """The demo person with this id."""
        return next(one for one in self.world["persons"] if one["id"] == person_id)


class Stage:
    """A line, the house at "b", a browser at each end."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.browsers: dict[End, Browser] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.lab)
            self.lab.change(delay_ms=ONE_WAY_MS)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="yn-")))
            self._house = stack.enter_context(self._program("b", "far_house"))
            told = json.loads(self._said(self._house))
            self.house = FarHouse(told["url"], told["world"])
            # A page without TLS is given camera and microphone on its own machine only.
            trusted = f"--unsafely-treat-insecure-origin-as-secure={told['url']}"
            driver = stack.enter_context(sync_playwright())
            voice = _voice(folder / "voice.wav")
            for end in ("a", "b"):
                chromium = folder / f"chromium-{end}"
                command = " ".join(self.lab.inside(end, [chromium_path()]))
                chromium.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
                chromium.chmod(stat.S_IRWXU)
                self.browsers[end] = driver.chromium.launch(
                    executable_path=chromium, args=[*QUIET, *FAKE_MEDIA, voice, trusted]
                )
                stack.callback(self.browsers[end].close)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @contextmanager
    def _program(self, end: End, name: str) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-m", f"tests.netlab.{name}"]
        program = subprocess.Popen(
            self.lab.inside(end, command),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield program
        finally:
            assert program.stdin
            program.stdin.close()
            program.wait(60)

    def _said(self, program: subprocess.Popen[str]) -> str:
        assert program.stdout
        line = program.stdout.readline()
        assert line, "a program at an end of the line has ended"
        return line

    def kill(self, child: str) -> float:
        """`kill -9` of one of the house's processes; when."""
        assert self._house.stdin
        self._house.stdin.write(f"kill {child}\n")
        self._house.stdin.flush()
        self._said(self._house)
        return time.time()


def _voice(file: Path) -> str:
    """Somebody who never stops speaking: a tone that swells and moves, so no filter takes it for noise."""
    samples = bytearray()
    phase = 0.0
    for n in range(10 * SAMPLE_RATE_HZ):
        at_s = n / SAMPLE_RATE_HZ
        phase += 2 * math.pi * (400 + 200 * math.sin(2 * math.pi * 1.3 * at_s)) / SAMPLE_RATE_HZ
        loud = 0.55 + 0.45 * math.sin(2 * math.pi * 4 * at_s)
        samples += struct.pack("<h", int(12_000 * loud * math.sin(phase)))
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
        out.writeframes(samples)
    return f"--use-file-for-fake-audio-capture={file}"


@dataclass
class Watched:
    """A page that notes ten times a second what its connections decode and what its sockets say."""

    page: Page
    said: list[tuple[float, str]] = field(default_factory=list)  # by the page
    heard: list[tuple[float, str]] = field(default_factory=list)  # from the server

    @classmethod
    def of(cls, page: Page) -> Self:
        """Before the page is opened."""
        watched = cls(page)
        page.add_init_script(path=PEEK)

        def listen(socket: WebSocket) -> None:
            socket.on("framesent", lambda text: watched._note(watched.said, text))
            socket.on("framereceived", lambda text: watched._note(watched.heard, text))

        page.on("websocket", listen)
        return watched

    def _note(self, into: list[tuple[float, str]], text: str | bytes) -> None:
        if isinstance(text, str):
            into.append((time.time(), text))

    def wait(self, seconds: float) -> None:
        """Let time pass; what is said meanwhile is noted."""
        self.page.wait_for_timeout(seconds * 1000)

    def messages(self, said: list[tuple[float, str]], kind: str, since: float) -> list[float]:
        """When a message of this type went over a socket."""
        return [at for at, text in said if at >= since and json.loads(text).get("type") == kind]

    def looks(self, since: float, until: float = math.inf) -> list[dict[str, Any]]:
        """What was noted, from an instant on."""
        return [
            {**look, "at": look["at"] / 1000}
            for look in self.page.evaluate(
                "since => seen.filter(one => one.at >= since)", since * 1000
            )
            if look["at"] / 1000 <= until
        ]

    def made(self) -> int:
        """How many connections the page has made since it was opened."""
        return int(self.page.evaluate("seen.at(-1)?.made ?? 0"))
