"""Who speaks: smoothed, with a lead for whoever has the word, and never without a grant."""

from collections.abc import Mapping
from itertools import pairwise

import pytest

from rtc.messages import FLOOR, Member, Speaking
from rtc.speaker import PAUSE_S, SILENCE, TELL_EVERY_S, Loudness, Speaker
from tests.rtc.lesson_class import open_class
from tests.rtc.media_house import MediaHouse, both
from tests.rtc.raw_client import RawTransport, Source

LOOK_S = 0.1
VOICE, LOW, NOISE = 30, 45, 90  # -dBov


def packet(level: int) -> memoryview:
    """A voice packet that tells its level."""
    return memoryview(Source("audio").next(level=level))


class Table:
    """Voices around one table, heard ten times a second."""

    def __init__(self, *names: str) -> None:
        self.voices: dict[str, Loudness] = {name: Loudness() for name in names}
        self.speaker = Speaker()
        self.now = 100.0
        self.told: list[tuple[float, str | None]] = []

    def pass_time(self, seconds: float, levels: Mapping[str, int]) -> None:
        """Lets everybody send what he sends for so long; who is not named sends nothing."""
        for _ in range(round(seconds / LOOK_S)):
            for name, level in levels.items():
                for _ in range(5):
                    self.voices[name].heard(packet(level), self.now)
            if self.speaker.look(self.voices, self.now):
                self.told.append((self.now, self.speaker.member))
            self.now += LOOK_S


def test_whoever_is_clearly_louder_has_the_word() -> None:
    """A low voice has it in silence, and loses it to one that is six decibels louder."""
    table = Table("a", "b")
    table.pass_time(1, {"a": LOW, "b": NOISE})
    assert table.speaker.member == "a"
    table.pass_time(1, {"a": LOW, "b": LOW - 4})
    assert table.speaker.member == "a"
    table.pass_time(1, {"a": LOW, "b": VOICE})
    assert table.speaker.member == "b"


def test_a_click_and_a_rooms_noise_are_nobodys_word() -> None:
    """A tenth of a second at full level is no speech, nor is noise for as long as it likes."""
    table = Table("a", "b")
    table.pass_time(0.1, {"a": 0})
    table.pass_time(3, {"a": NOISE, "b": NOISE - 5})
    assert table.told == []


def test_a_breath_keeps_the_word_and_a_pause_ends_it() -> None:
    """Somebody who sends nothing while he is silent has the word a moment longer, not for ever."""
    table = Table("a")
    table.pass_time(1, {"a": VOICE})
    table.pass_time(PAUSE_S - 0.3, {})
    assert table.speaker.member == "a"
    table.pass_time(1.5, {})
    assert table.speaker.member is None


def test_it_is_told_three_times_a_second_at_most() -> None:
    """Two who shout in turns make no flicker; what is told differs from what was told before."""
    table = Table("a", "b")
    for _ in range(15):
        table.pass_time(0.1, {"a": 0, "b": SILENCE})
        table.pass_time(0.3, {"a": SILENCE, "b": 0})
    gaps = [after[0] - before[0] for before, after in pairwise(table.told)]
    assert all(gap >= TELL_EVERY_S - 0.01 for gap in gaps)
    names = [name for _, name in table.told]
    assert all(name != before for before, name in pairwise(names))


def test_one_who_may_no_longer_be_heard_loses_the_word_at_once() -> None:
    """That is told without a pause."""
    table = Table("a")
    table.pass_time(0.8, {"a": VOICE})
    assert table.speaker.member == "a"
    del table.voices["a"]
    table.pass_time(LOOK_S, {})
    assert table.told[-1][1] is None


@pytest.mark.parametrize("cut", range(12, 21))
def test_a_cut_packet_says_nothing(cut: int) -> None:
    """No length of a broken header raises, and what is not there is no loudness."""
    voice = Loudness()
    whole = bytes(packet(0))
    voice.heard(memoryview(whole[:cut]), 1.0)
    assert round(voice.loud) == (6 if cut > 17 else 0)


def told(house: MediaHouse) -> list[str | None]:
    """Who was told to speak, one after the other."""
    return [each.member for each in house.heard if isinstance(each, Speaking)]


def speak(publish: RawTransport, voice: Source) -> None:
    """Half a second of a clear voice, at once."""
    for _ in range(40):
        publish.send_rtp(voice.next(level=VOICE))


async def test_a_visit_hears_who_speaks_until_the_grant_ends(house: MediaHouse) -> None:
    """Without a grant he is nobody, however loud he says he is."""
    house.state(both("amina"), both("timur"))
    publish, voice = await house.join("amina").publishing(), Source("audio")
    house.join("timur")
    await house.until(lambda: house.presence("amina") == (True, True, True))
    speak(publish, voice)
    await house.until(lambda: told(house) == ["amina"])
    house.state(Member("amina", ["video"], subscribe=True), both("timur"))
    at_once_s = PAUSE_S - 0.1  # after a pause anybody has lost it
    await house.until(lambda: told(house) == ["amina", None], at_once_s)
    before = (await house.stats()).dropped_no_grant
    speak(publish, voice)
    await house.stats_until(lambda stats: stats.dropped_no_grant >= before + 40)
    assert told(house) == ["amina", None]


async def test_a_lesson_hears_the_pupil_by_his_name(house: MediaHouse) -> None:
    """Not the slot he is heard through, whose last voice is nobody else's."""
    room = await open_class(house, "p1", "p2")
    await room.floor("p1")
    speak(await room.pages["p1"].publishing(), Source("audio"))
    await house.until(lambda: told(house) == ["p1"])
    assert FLOOR not in told(house)
    await room.floor("p2")
    await house.until(lambda: told(house) == ["p1", None])
