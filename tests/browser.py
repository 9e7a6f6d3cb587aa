"""A real headless Chromium, one for all tests of a process, and axe-core, which looks for what shuts people out."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, sync_playwright

AXE = "axe-core@4.14.1"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
CACHE = Path(__file__).parent.parent / ".cache" / AXE
SIZES = {"phone": (360, 740), "laptop": (1366, 768), "paper": (688, 1000)}


@dataclass
class Opened:
    """A page in the browser, and what it tried that a report must not."""

    page: Page
    asked_for: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def dismiss(self, dialog: Dialog) -> None:
        """Note a dialog, and close it."""
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def unfold(self) -> None:
        """Open everything that is folded."""
        self.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")


Open = Callable[..., Opened]
Scheme = Literal["light", "dark"]
Media = Literal["screen", "print"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "the tests of the HTML report need Chromium: apt-get install chromium"
    without_sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=without_sandbox)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open a page: `open_page(html, size="phone", scheme="dark", media="print", scripts=False)`."""
    contexts: list[BrowserContext] = []

    def open_it(
        html: str, size: str = "laptop", scheme: Scheme = "light", media: Media = "screen", *, scripts: bool = True
    ) -> Opened:
        width, height = SIZES[size]
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            java_script_enabled=scripts,
        )
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.page.emulate_media(media=media, color_scheme=scheme)
        opened.page.on("request", lambda request: opened.asked_for.append(request.url))
        opened.page.on("dialog", opened.dismiss)
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        file = tmp_path / f"report-{len(contexts)}.html"
        file.write_text(html, encoding="utf-8")
        opened.page.goto(file.as_uri())
        return opened

    yield open_it
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], list[str]]:
    """What axe-core finds wrong with a page: rule, words and the first element, one line each."""
    script = _axe_core().read_text(encoding="utf-8")

    def violations(page: Page) -> list[str]:
        page.evaluate(script)
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        return [f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:300]}" for each in found["violations"]]

    return violations


def _axe_core() -> Path:
    """The script, as the npm registry has it: fetched once with npm, and held to its digest."""
    script = CACHE / "axe.min.js"
    if not script.is_file():
        CACHE.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE.parent) as name:
            folder = Path(name)
            command = ["npm", "pack", AXE, "--loglevel=error", "--pack-destination", name]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=300)
            (package,) = folder.glob("*.tgz")
            with tarfile.open(package) as archive:
                member = archive.extractfile("package/axe.min.js")
                assert member is not None
                (folder / "axe.min.js").write_bytes(member.read())
            CACHE.mkdir(exist_ok=True)
            (folder / "axe.min.js").replace(script)
    assert hashlib.sha256(script.read_bytes()).hexdigest() == AXE_SHA256, f"{script} is not {AXE}"
    return script
