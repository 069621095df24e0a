"""A recording follows the camera's layers, and its stream goes on as one."""

import struct
from itertools import pairwise

import pytest

from rtc.layer import SENDING_S
from rtc.messages import Codec
from rtc.tap import LARGER_AFTER_S
from tests.rtc.test_lesson_taps import Listener
from tests.rtc.test_simulcast import Scene, Stream, streams


class Film:
    """A scene with a tap: what it has heard, by layer, and its numbers."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.now, self.tap = scene, 100.0, Listener()
        scene.track.tap = self.tap

    def play(self, *sent: tuple[Stream, bool], after_s: float = 0.03) -> None:
        """A frame of each stream, key or not, and the clock of the room."""
        self.now += after_s
        for stream, key in sent:
            for packet in stream.frame(key=key):
                self.scene.deliver(packet, self.now)
        assert self.scene.track.recorded is not None
        self.scene.track.recorded.follow(self.now)

    @property
    def rids(self) -> str:
        """The layers of the packets heard, in order, each run once."""
        names = [each[-3:-2].decode() for each in self.tap.packets]
        return "".join(b for a, b in zip(["", *names], names, strict=False) if a != b)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_a_tap_follows_the_largest_layer_that_arrives(codec: Codec) -> None:
    """A smaller one at once when its own stops, with a key frame; the larger again after a while."""
    with Scene(codec) as scene:
        film, (q, f) = Film(scene), streams(codec)
        film.play((q, True), (f, True))
        film.play((q, False), after_s=SENDING_S + 0.1)
        film.play((q, False))
        assert film.rids == "f"
        assert scene.layer("q").key_request(film.now)  # type: ignore[union-attr]
        film.play((q, True))
        film.play((q, False), (f, True))
        film.play((q, False), (f, True))
        assert film.rids == "fq"
        film.play((q, False), (f, False), after_s=LARGER_AFTER_S)
        film.play((q, False), (f, True))
        assert film.rids == "fqf"
        film.play((q, True), after_s=SENDING_S + 0.1)
        film.play((q, True))
        assert film.rids == "fqfq"
        numbers = [struct.unpack_from("!H", each, 2)[0] for each in film.tap.packets]
        assert {(b - a) & 0xFFFF for a, b in pairwise(numbers)} == {1}
        assert film.tap.restarts >= 3


def test_a_tap_that_fails_does_not_stop_the_others() -> None:
    """Whatever it stumbles over, the viewer gets his packets."""
    with Scene("vp8") as scene:
        film, (_, f) = Film(scene), streams("vp8")
        film.tap.packet = lambda *_: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        film.tap.restarted = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        film.play((f, True))
        assert len(scene.seen) == len(f.frame(key=False))
