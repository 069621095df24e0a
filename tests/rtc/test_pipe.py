"""A lesson over two workers: what its home numbers is what a branch's viewers get."""

from collections.abc import AsyncIterator

import pytest

from tests.rtc.lesson_class import EVERYTHING
from tests.rtc.raw_client import RawTransport
from tests.rtc.two_workers import School, open_school


@pytest.fixture
async def school() -> AsyncIterator[School]:
    """Two workers."""
    async with open_school() as opened:
        yield opened


def packets(transport: RawTransport | None) -> dict[int, list[bytes]]:
    """What a viewer has got, by SSRC."""
    assert transport is not None
    return {ssrc: each.packets for ssrc, each in transport.received.items() if each.packets}


async def test_a_branch_gets_the_same_bytes(school: School) -> None:
    """A pupil in the other worker gets every packet of the teacher as one at home does."""
    room = await school.open_class("p1", "p2", "p3")
    for _ in range(5):
        await room.teach()
    for name in ("p1", "p2", "p3"):
        for kind in EVERYTHING:
            await room.hears(name, "teacher", kind, 5)
    here, there, too = (packets(room.pages[name].subscribe) for name in ("p1", "p2", "p3"))
    assert here == there == too
    assert [len(each) for each in here.values()] == [5, 5, 5]
    home, branch = school.rooms
    assert (home.sitting, branch.sitting) == (["teacher", "p1", "p3"], ["p2"])
