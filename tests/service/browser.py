"""A headless Chromium that looks at a page: how wide it is, and what it looks like."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
    "--force-device-scale-factor=1",
)  # fmt: skip
THEMES = {"dark": 0, "light": 1}  # as Blink numbers them
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
MEASURE = """<script>
const wide = [...document.querySelectorAll("main *")].filter(one => {
  const box = one.getBoundingClientRect();
  return box.width && (box.right > innerWidth + 0.5 || box.left < -0.5);
});
document.documentElement.dataset.found = [
  document.documentElement.scrollWidth, innerWidth, wide.length, getComputedStyle(document.body).backgroundColor,
].join("|");
</script></body>"""


@dataclass(frozen=True)
class Look:
    """What a page is in a window: how wide it and the window are, and how many of its elements stick out."""

    page: int
    window: int
    outside: int
    background: str


@dataclass(frozen=True)
class Picture:
    """Pixels, row by row, three bytes each."""

    width: int
    height: int
    pixels: bytes

    def colours(self, left: float = 0, top: float = 0, right: float = 1, bottom: float = 1) -> set[bytes]:
        """The colours in a part of it, whose sides are shares of its own."""
        found: set[bytes] = set()
        for y in range(int(top * self.height), int(bottom * self.height)):
            row = self.pixels[3 * self.width * y : 3 * self.width * (y + 1)]
            found.update(row[3 * x : 3 * x + 3] for x in range(int(left * self.width), int(right * self.width)))
        return found


class Browser:
    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder

    def look(self, page: str, width: int, theme: str) -> Look:
        """Measures a page that allows no scripts: a copy of it does."""
        copy = self._folder / "measured.html"
        copy.write_text(POLICY.sub("", page).replace("</body>", MEASURE), encoding="utf-8")
        dumped = self._run(copy, width, 1000, theme, "--dump-dom")
        found = re.search(r'data-found="([^"]+)"', dumped)
        assert found, dumped[:500]
        page_width, window, outside, background = found[1].split("|")
        return Look(int(page_width), int(window), int(outside), background)

    def picture(self, page: str, width: int, height: int, theme: str) -> Picture:
        path, shot = self._folder / "page.html", self._folder / f"shot-{width}-{theme}.png"
        path.write_text(page, encoding="utf-8")
        self._run(path, width, height, theme, f"--screenshot={shot}")
        return decoded(shot.read_bytes())

    def _run(self, path: Path, width: int, height: int, theme: str, *what: str) -> str:
        command = [
            self._program, *OPTIONS, f"--user-data-dir={self._folder / 'profile'}", f"--window-size={width},{height}",
            f"--blink-settings=preferredColorScheme={THEMES[theme]}", *what, path.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """The Chromium that `HYPNOGRAM_CHROMIUM` names, or one that is installed; without any, tests are skipped."""
    return Browser(program(), tmp_path_factory.mktemp("browser"))


def program() -> str:
    """The path of the Chromium to run; skips the test where there is none."""
    path = os.environ.get("HYPNOGRAM_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium is installed, and HYPNOGRAM_CHROMIUM names none")
    return path


def decoded(png: bytes) -> Picture:
    """The pixels of a PNG of 8 bits a channel, with or without transparency, not interlaced."""
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", png[16:29])
    assert (depth, interlaced) == (8, 0)
    assert kind in (2, 6)
    data, place = b"", 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            data += png[place + 8 : place + 8 + length]
        place += 12 + length
    size = 3 if kind == 2 else 4
    raw, stride = zlib.decompress(data), width * size
    before, rows = bytes(stride), bytearray()
    for y in range(height):
        start = y * (stride + 1)
        before = _unfiltered(raw[start], raw[start + 1 : start + 1 + stride], before, size)
        rows += before if size == 3 else bytes(byte for x, byte in enumerate(before) if x % 4 != 3)
    return Picture(width, height, bytes(rows))


def _unfiltered(kind: int, row: bytes, above: bytes, size: int) -> bytes:
    """A row of a PNG as it was before it was filtered (RFC 2083, section 6)."""
    if kind == 0:
        return row
    made = bytearray(len(row))
    for x, byte in enumerate(row):
        left = made[x - size] if x >= size else 0
        up, corner = above[x], above[x - size] if x >= size else 0
        nearest = min((left, up, corner), key=lambda one: abs(left + up - corner - one))
        made[x] = byte + (0, left, up, (left + up) // 2, nearest)[kind] & 255
    return bytes(made)
