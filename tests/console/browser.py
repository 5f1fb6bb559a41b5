"""Debian's Chromium, headless, as people of several roles use it."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.stack.servers import Absent

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, NARROW = (1280, 900), (390, 844)
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Raises Absent."""
    if not os.access(CHROMIUM, os.X_OK):
        raise Absent("no Chromium: apt-get install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True)
class Desk:
    """A browser before the pages at `url`; pictures are left in `pictures`."""

    browser: Browser
    url: str
    pictures: Path

    @contextmanager
    def sits(
        self,
        person: str,
        *,
        size: tuple[int, int] = WIDE,
        scripts: bool = True,
        scheme: Literal["light", "dark"] = "light",
        wrong: Callable[[str], object] | None = None,
    ) -> Iterator[Page]:
        """A page of `person`, signed in, with nothing left over from others. wrong: told of what the page's own scripts complain
        about; without it the test fails by them."""
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            java_script_enabled=scripts,
            color_scheme=scheme,
            extra_http_headers={"X-Stand-In-Person": person},
            base_url=self.url,
            locale="en-GB",
        )
        context.set_default_timeout(10_000)
        trouble: list[str] = []
        page = context.new_page()
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on(
            "console",
            lambda line: trouble.append(line.text) if line.type == "error" and "status of 4" not in line.text else None,
        )
        try:
            yield page
        finally:
            context.close()
        if wrong is not None:
            for line in trouble:
                wrong(line)
        else:
            assert not trouble, trouble

    def picture(self, page: Page, name: str) -> None:
        self.pictures.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(self.pictures / f"{re.sub('[^a-z0-9-]', '-', name)}.png"), full_page=True)


def barriers(page: Page) -> list[str]:
    """What WCAG 2.2 AA forbids on this page, by axe; a line each."""
    found: Any = Axe().run(page, options={"runOnly": {"type": "tag", "values": list(RULES)}})
    return [
        f"{one['id']}: {one['help']} at {'; '.join(node['target'][0] for node in one['nodes'][:5])}"
        for one in found.response["violations"]
    ]


def overflows(page: Page) -> int:
    """By how many pixels the page is wider than its window: people would have to scroll sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
