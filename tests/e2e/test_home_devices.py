"""A cuff at home: added in three steps, measured, the line cut, and not a reading lost.

The browser's Bluetooth is replaced by one that holds a cuff; the page, its store and the server are
the real ones, and so are the bytes.
"""

from typing import Any

import pytest
from house import House, wait_for
from looks import looks_right
from playwright.sync_api import Browser, Page, expect
from room import Guest

from people.demo import demo_id

pytestmark = pytest.mark.browser

# A cuff as Web Bluetooth shows one: `cuff(systolic)` measures, and tells it as Omron's do.
CUFF = """
(() => {
    const name = short => `0000${short.toString(16)}-0000-1000-8000-00805f9b34fb`;
    const pressure = Object.assign(new EventTarget(), {
        uuid: name(0x2a35),
        async startNotifications() { this.listening = true; },
    });
    const service = { getCharacteristics: async () => [pressure] };
    const device = Object.assign(new EventTarget(), { id: 'cuff-1', name: 'Kitchen cuff' });
    device.gatt = {
        connected: true,
        connect: async () => device.gatt,
        disconnect: () => device.dispatchEvent(new Event('gattserverdisconnected')),
        getPrimaryService: async uuid => {
            if (uuid === 0x1810) return service;
            throw new DOMException('no such service', 'NotFoundError');
        },
    };
    Object.defineProperty(navigator, 'bluetooth', { value: {
        requestDevice: async () => device,
        getDevices: async () => [device],
    } });
    window.cuff = systolic => {
        if (!pressure.listening) throw new Error('nobody listens');
        const view = new DataView(new ArrayBuffer(18));
        const now = new Date();
        view.setUint8(0, 0x16);
        [systolic, 80, 95].forEach((value, at) => view.setUint16(1 + 2 * at, value, true));
        view.setUint16(7, now.getFullYear(), true);
        [now.getMonth() + 1, now.getDate(), now.getHours(), now.getMinutes(), now.getSeconds()]
            .forEach((value, at) => view.setUint8(9 + at, value));
        view.setUint16(14, 64, true);
        pressure.value = view;
        pressure.dispatchEvent(new Event('characteristicvaluechanged'));
    };
})();
"""


def measure(page: Page, *systolic: int) -> None:
    """The cuff measures these, one after the other."""
    for value in systolic:
        page.evaluate("value => window.cuff(value)", value)


def stored(page: Page, person_id: str) -> dict[int, dict[str, Any]]:
    """What the server has of the cuff, by systolic pressure."""
    record = page.evaluate(
        "id => fetch(`/api/v1/records/${id}`).then(answer => answer.json())", person_id
    )
    mine = [one for one in record["readings"] if (one["device"] or {}).get("name") == "Кухня"]
    found = {int(one["values"]["systolic"]): one for one in mine}
    assert len(found) == len(mine), "a reading is stored twice"
    return found


def test_a_cuff_is_added_in_three_steps_and_loses_nothing_while_the_line_is_away(
    browser: Browser, house: House
) -> None:
    """Counts are exact, the gap is filled, what had to wait is marked late, a reload loses nothing."""
    with Guest(browser, house, str(demo_id("patient.timur"))) as patient:
        page, person_id = patient.page, patient.person["id"]
        page.add_init_script(CUFF)
        patient.sign_in()
        patient.speak("tt")
        page.goto(f"{house.url}/#/devices")
        page.locator("main button[aria-expanded]").click()
        expect(page.get_by_test_id("add-reading")).to_be_visible(timeout=15_000)
        page.locator("main button[aria-expanded]").click()
        page.locator("main .ways button").first.click()
        adding = page.get_by_test_id("add-device")
        expect(adding).to_have_attribute("data-step", "1")
        looks_right(page, "kinds of devices")
        adding.locator("[data-kind=cuff]").click()
        adding.locator("button").first.click()
        expect(adding).to_have_attribute("data-step", "3")
        page.wait_for_function("() => { try { cuff(121); return true } catch { return false } }")
        expect(page.get_by_test_id("heard")).to_contain_text("121/80")
        expect(adding.locator("input[name=name]")).to_have_value("Kitchen cuff")
        adding.locator("input[name=name]").fill("Кухня")
        adding.locator("button[type=submit]").click()
        counts = page.get_by_test_id("device").locator("dl")
        expect(counts).to_have_attribute("data-stored", "1", timeout=15_000)

        measure(page, 122, 123)
        expect(counts).to_have_attribute("data-stored", "3", timeout=15_000)
        patient.context.set_offline(True)
        measure(page, 124, 125, 125, 126)
        expect(counts).to_have_attribute("data-here", "3")
        expect(page.locator("main [role=status]").first).to_be_visible()
        looks_right(page, "a device without a line")
        expect(counts).to_have_attribute("data-stored", "3")
        patient.context.set_offline(False)
        expect(counts).to_have_attribute("data-stored", "6", timeout=15_000)
        expect(counts).to_have_attribute("data-here", "0")

        # The answer is lost: what went out may be stored or not, and is here still after a reload.
        page.route("**/api/v1/readings", lambda route: route.abort())
        measure(page, 127)
        expect(counts).to_have_attribute("data-sent", "1")
        page.reload()
        expect(counts).to_have_attribute("data-sent", "1", timeout=15_000)
        page.unroute("**/api/v1/readings")
        expect(counts).to_have_attribute("data-stored", "7", timeout=15_000)
        expect(page.get_by_test_id("device")).to_have_attribute("data-phase", "listening")
        measure(page, 128)
        expect(counts).to_have_attribute("data-stored", "8", timeout=15_000)

        found = wait_for("the last reading in the record", lambda: stored(page, person_id))
        assert sorted(found) == list(range(121, 129))
        late = sorted(value for value, one in found.items() if "late" in one["flags"])
        assert late == [124, 125, 126, 127]
        assert patient.errors == []
