"""How a page looks to every reader: axe, light and dark, a narrow phone, doubled text, the keyboard."""

from typing import Literal

from house import ROOT
from playwright.sync_api import Page

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 320, "height": 640}
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def wear(page: Page, scheme: Literal["light", "dark"]) -> None:
    """Put on the light or dark look, and wait until no colour is on its way any more."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.evaluate(
        """async scheme => {
            const next = () => new Promise(done => requestAnimationFrame(done));
            while (!matchMedia(`(prefers-color-scheme: ${scheme})`).matches) await next();
            await next();
            await Promise.all(document.getAnimations().map(a => a.finished.catch(() => null)));
            await next();
        }""",
        scheme,
    )


def violations(page: Page) -> list[str]:
    """What axe finds on the page, one line a finding."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "tags => axe.run({ runOnly: tags }).then(r => r.violations.map("
        "v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join(', ')))",
        TAGS,
    )
    return list(found)


def overflow(page: Page) -> list[str]:
    """What sticks out of the window sideways; empty when nothing can be scrolled that way."""
    found = page.evaluate(
        """() => {
            const room = document.documentElement.clientWidth;
            if (document.documentElement.scrollWidth <= room) return [];
            return [...document.querySelectorAll('body *')]
                .filter(e => e.getBoundingClientRect().right > room + 0.5)
                .map(e => `${e.tagName} ${e.className}: ${e.textContent.trim().slice(0, 40)}`);
        }"""
    )
    return list(found)


def looks_right(page: Page, name: str) -> None:
    """Light and dark, wide and at 320 px, also with text doubled: axe finds nothing, nothing sticks out."""
    for viewport in (WIDE, NARROW):
        page.set_viewport_size(viewport)
        for scheme in SCHEMES:
            wear(page, scheme)
            assert violations(page) == [], (name, viewport, scheme)
            assert overflow(page) == [], (name, viewport, scheme)
    page.evaluate("() => { document.documentElement.style.fontSize = '200%' }")
    assert overflow(page) == [], (name, "text doubled at 320 px")
    page.evaluate("() => { document.documentElement.style.fontSize = '' }")
    page.set_viewport_size(WIDE)


def tab_to(page: Page, selector: str, most: int = 60) -> None:
    """Press Tab until the first element of the selector has focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement === document.querySelector(s)", selector):
            return
    raise AssertionError(f"{selector} is not reached by {most} tabs")
