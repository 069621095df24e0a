"""The started product, real browsers and the table of journeys for the end-to-end tests.

Everything runs on loopback in a network namespace of its own (`make e2e` makes it), so no packet
leaves the machine and the ports are ours alone.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House, chromium_path
from playwright.sync_api import Browser, Playwright, sync_playwright

FAKE_MEDIA = [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--allow-loopback-in-peer-connection",
]
# A class of several pages decodes the same picture many times on one machine: it moves more slowly.
CLASS_CAMERA = [
    "--use-fake-device-for-media-stream=fps=10" if "fake-device" in each else each
    for each in FAKE_MEDIA
]
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch(playwright: Playwright, *extra: str) -> Browser:
    """Start Debian's chromium with our quiet flags and the given ones."""
    return playwright.chromium.launch(executable_path=chromium_path(), args=[*QUIET, *extra])


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """One driver for the whole run."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A chromium with a fake camera and microphone."""
    browser = launch(playwright, *FAKE_MEDIA)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def classroom(playwright: Playwright) -> Iterator[Browser]:
    """A chromium for a whole class."""
    browser = launch(playwright, *CLASS_CAMERA)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """The product as an operator starts it, with the demo clinics and schools."""
    house = House.seeded()
    house.start()
    yield house
    house.stop()
    house.remove()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--journeys", action="store_true", help="print and judge the table of journeys"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "journey(*ids): proves these steps of journeys.toml")
    config.addinivalue_line("markers", "last: runs behind the others, for time that has to pass")
    config.stash[PROVEN] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for real time to pass does so while the other tests are at work."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


PROVEN = pytest.StashKey[dict[str, bool]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if call.when == "call" or not report.passed:
        proven = item.config.stash[PROVEN]
        for mark in item.iter_markers("journey"):
            for step in mark.args:
                proven[step] = proven.get(step, True) and report.passed
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With --journeys: a step marked built that no passing test proves fails the run."""
    if not session.config.getoption("--journeys"):
        return
    steps = tomllib.loads((Path(__file__).parent / "journeys.toml").read_text())
    proven = session.config.stash[PROVEN]
    print()
    unproven = []
    for step, facts in steps.items():
        state = {None: "-", True: "passed", False: "FAILED"}[proven.get(step)]
        if facts["built"] and not proven.get(step):
            state = "MISSING" if proven.get(step) is None else state
            unproven.append(step)
        rest = f" (open: {facts['open']})" if "open" in facts else ""
        print(f"{step:6} {state:8} {facts['title']}{rest}")
    unknown = sorted(set(proven) - set(steps))
    if unproven or unknown:
        print(f"journeys: not proven {unproven}, unknown ids {unknown}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
