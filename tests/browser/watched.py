"""A browser that watches itself: every page that is looked at must be faultless.

:meth:`WatchedPage.look` checks what holds for all pages: no error on the console, no request to
another host and none that failed, no barrier that axe-core finds (WCAG 2.2 AA), nothing wider than
the window, and every string in the language asked for.  With a folder for screenshots it also
takes one.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, Response, Route, expect, sync_playwright

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# What passes is not reported: to carry it out of the browser takes longer than to find it.
_AXE: dict[str, list[str]] = {"runOnly": _RULES, "resultTypes": ["violations"]}
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESK = {"width": 1366, "height": 768}
PHONE = {"width": 390, "height": 844}
_LOCAL = ("127.0.0.1", "localhost")
_PATIENCE_MS = 120_000
_FOLDED_BELOW_PIXELS = 992  # Bootstrap's breakpoint lg


@dataclass
class WatchedPage:
    """One tab and the faults seen in it so far."""

    page: Page
    shots: Path | None
    looked: set[tuple[str, str]] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    expected_status: set[int] = field(default_factory=lambda: {200, 303, 304})

    def __post_init__(self) -> None:
        self.page.on("console", lambda m: self._note(m.type == "error", f"console: {m.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        self.page.on("request", self._on_request)
        self.page.on("response", self._on_response)
        self.page.on("requestfailed", self._on_failure)

    def look(self, name: str) -> None:
        """Check the page that is shown; ``name`` is the screenshot's."""
        self.page.wait_for_load_state("load")
        self._expect_no_barriers(name)
        wide = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, f"{name}: the page is {wide} pixels wider than the window"
        language = self._expect_language(name)
        self.looked.add((urlsplit(self.page.url).path, language))
        assert self.faults == [], f"{name}: {self.faults}"
        if self.shots is not None:
            self._shoot(name)

    def in_both_languages(self, name: str) -> None:
        """Look at the page in English and in Chinese, where it stays."""
        for own_name, code in (("English", "en"), ("中文", "zh")):
            self.switch_to(own_name, code)
            self.look(f"{name}.{code}")

    def switch_to(self, own_name: str, code: str) -> None:
        """Read on in another language."""
        self.open_navigation()
        self.page.get_by_role("link", name=own_name, exact=True).click()
        # The page in the other language, and not still the one that is left.
        expect(self.page.locator(f"html[lang^={code}]")).to_be_attached()

    def on_a_phone(self, name: str) -> None:
        """Look at the page on a telephone's width."""
        self.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        self.look(f"{name}.phone")
        self.page.set_viewport_size(DESK)  # type: ignore[arg-type]

    @contextmanager
    def while_it_waits(self, address: str) -> Iterator[None]:
        """Let the page go on waiting: its script gets no answer before the block ends.

        Args:
            address: what it asks for, as a glob.
        """
        held: list[Route] = []
        waits = True

        def hold(route: Route) -> None:
            if waits:
                held.append(route)
            else:
                route.continue_()

        self.page.route(address, hold)
        try:
            yield
        finally:
            waits = False
            for route in held:
                route.continue_()

    def in_print(self, name: str) -> None:
        """Look at the page as it is printed: without navigation, with all that is folded away."""
        self.page.emulate_media(media="print")
        expect(self.page.locator(".site-header")).to_be_hidden()
        hidden = self.page.evaluate(
            "[...document.querySelectorAll('main details table, main details dl')].filter(e =>"
            " !e.closest('form, details:has(form)') &&"
            " !e.checkVisibility({contentVisibilityAuto: true})).length"
        )
        assert hidden == 0, f"{name}: {hidden} tables are not printed"
        if self.shots is not None:
            self._shoot(f"{name}.print")
        self.page.emulate_media(media="screen")

    def open_navigation(self) -> None:
        """On a narrow window the navigation is folded."""
        size = self.page.viewport_size
        button = self.page.locator(".navbar-toggler")
        narrow = size is not None and size["width"] < _FOLDED_BELOW_PIXELS
        if narrow and button.get_attribute("aria-expanded") == "false":
            button.click()

    def _expect_no_barriers(self, name: str) -> None:
        found = Axe().run(self.page, options=_AXE).response["violations"]
        told = [
            f"{one['id']}: {one['help']} at {node['target']}"
            for one in found
            for node in one["nodes"][:3]
        ]
        assert told == [], f"{name}: {told}"

    def _expect_language(self, name: str) -> str:
        language = str(self.page.locator("html").get_attribute("lang"))
        text = self.page.evaluate(
            "[...document.querySelectorAll('h1, h2, button, label, .nav-link, .lead')]"
            ".map(e => e.innerText).join('\\n')"
        )
        if language == "en":
            assert not re.search("[一-鿿]{4,}", _without_data(text)), f"{name}: {text}"
        else:
            assert re.search("[一-鿿]", text), f"{name}: {text}"
        return language[:2]

    def _shoot(self, name: str) -> None:
        assert self.shots is not None
        self.shots.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self.shots / f"{name}.png", full_page=True, animations="disabled")

    def _note(self, is_fault: bool, text: str) -> None:
        if is_fault and not (
            "status of" in text and any(str(s) in text for s in self.expected_status - {200})
        ):
            self.faults.append(text)

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname not in _LOCAL:
            self.faults.append(f"request to another host: {parts.hostname}")

    def _on_response(self, response: Response) -> None:
        if response.status not in self.expected_status:
            self.faults.append(f"status {response.status} for {urlsplit(response.url).path}")

    def _on_failure(self, request: Request) -> None:
        # A page that is left while its script asks for progress ends the request; so do downloads.
        if request.failure not in ("net::ERR_ABORTED",):
            self.faults.append(f"failed: {urlsplit(request.url).path} {request.failure}")


@dataclass
class WatchedBrowser:
    """Opens tabs, each with cookies of its own.

    Attributes:
        looked: path and language of every page that was looked at.
    """

    browser: Browser
    shots: Path | None
    looked: set[tuple[str, str]] = field(default_factory=set)

    def unseen(self, patterns: Iterable[str]) -> list[tuple[str, str]]:
        """Pages, as patterns of their paths, that were not looked at in each language."""
        return [
            (pattern, language)
            for pattern in patterns
            for language in ("zh", "en")
            if not any(
                language == seen and re.fullmatch(pattern, path) for path, seen in self.looked
            )
        ]

    @contextmanager
    def tab(self) -> Iterator[WatchedPage]:
        """A new tab in a new session."""
        context = self.browser.new_context(viewport=DESK, accept_downloads=True)  # type: ignore[arg-type]
        try:
            context.set_default_timeout(_PATIENCE_MS)
            yield WatchedPage(context.new_page(), self.shots, self.looked)
        finally:
            context.close()


@contextmanager
def watched_browser(executable: str, shots: Path | None) -> Iterator[WatchedBrowser]:
    """Start Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_FLAGS)
        try:
            yield WatchedBrowser(browser, shots)
        finally:
            browser.close()


def _without_data(text: str) -> str:
    """The text without what offices and people are called, which is data and not language."""
    return re.sub(r"[一-鿿]+（(?:示例|演示)）|中文|童桥", "", text)
