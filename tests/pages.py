"""What a page is held to: it runs nothing, fetches nothing and looks right; in a browser, too."""

import html
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

SCRIPT = "<script>document.title='ran'</script>"
IMAGE = '"><img src=x onerror="document.title=\'ran\'">'
QUIET = "--disable-background-networking"
VOID = {"meta", "br", "img", "link", "input", "hr"}
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium or Chrome here: apt-get install chromium"
)


class Page(HTMLParser):
    """Reads a page: its elements, its text, and whether each element is closed in turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def drawings(page: str) -> list[str]:
    return re.findall(r"<svg .*?</svg>", page, re.DOTALL)


def check_safe(page: str) -> None:
    """Strings from the data are text, and nothing is asked for from elsewhere."""
    read = Page(page)
    tags = {tag for tag, _ in read.elements}
    assert not tags & {"script", "img", "iframe", "object", "embed", "link", "base", "form"}
    assert not [name for _, found in read.elements for name in found if name.startswith("on")]
    assert SCRIPT in read.text and IMAGE in read.text
    for words in ("@import", "url("):
        assert words not in page
    for _, found in read.elements:
        assert "src" not in found
        for name, value in found.items():
            if name.endswith("href"):
                assert value is not None and value.startswith("#")
    addresses = set(re.findall(r"\w+://[^\"\s<]*", page))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    for drawing in drawings(page):
        assert "ran" not in Page(drawing).text
        assert "currentColor" in drawing and "var(--faint)" in drawing
        assert not re.search(r"#[0-9a-f]{6}\b", re.sub(r'href="#\w+"', "", drawing))


def check_form(page: str) -> None:
    """Each element is closed in turn, and no two have an id."""
    read = Page(page)
    assert read.open == []
    ids = [found["id"] for _, found in read.elements if "id" in found]
    assert len(ids) == len(set(ids))


def browse(*arguments: str | Path, folder: Path) -> str:
    """Start a browser without a window; return the page as it stands after loading, if asked."""
    assert BROWSER is not None
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", QUIET, profile, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    return done.stdout


def check_runs_nothing(page: str, folder: Path, title: str, drawn: int) -> Page:
    """A browser shows the page without its own ban on scripts, and none of the data is run."""
    path = folder / "report.html"
    path.write_text(without_policy(page), encoding="utf-8")
    shown = Page(browse("--dump-dom", path.as_uri(), folder=folder))
    assert title in shown.text  # and not "ran"
    tags = [tag for tag, _ in shown.elements]
    assert tags.count("svg") == drawn and "script" not in tags and "img" not in tags
    return shown


def without_policy(page: str) -> str:
    """Take the page's own ban on scripts away, so that nothing but the escaping is in the way."""
    bare = re.sub(r"<meta http-equiv=[^>]*>", "", page)
    assert bare != page
    return bare


def check_fits(page: str, folder: Path, width: int) -> None:
    """A window has at least 500 pixels, so the page is measured in a frame."""
    measuring = f"""<!DOCTYPE html><iframe srcdoc="{html.escape(page)}"
      style="width: {width}px; height: 900px; border: 0"></iframe><script>
      const frame = document.querySelector("iframe");
      frame.onload = () => {{
        const root = frame.contentDocument.documentElement;
        root.querySelectorAll("details").forEach(details => details.open = true);
        const svg = frame.contentDocument.querySelector("svg").getBoundingClientRect();
        document.title = [frame.contentWindow.innerWidth, root.scrollWidth, svg.width].join(" ");
      }};
    </script>"""
    path = folder / "frame.html"
    path.write_text(measuring, encoding="utf-8")
    dom = browse("--virtual-time-budget=5000", "--dump-dom", path.as_uri(), folder=folder)
    found = re.search(r"<title>([\d. ]+)</title>", dom)
    assert found is not None
    window, whole, drawing = map(float, found[1].split())
    assert window == width and whole <= width and 250 < drawing <= width, found[1]


def check_colours(page: str, folder: Path, is_dark: bool) -> None:
    """The drawings' letters have the page's colour, which its ground is told apart from."""
    asking = """<script>
      const color = (name, key) => getComputedStyle(document.querySelector(name))[key];
      document.title = color("body", "backgroundColor") + "; " + color("body", "color")
        + "; " + color("svg text", "fill");
    </script></body>"""
    path = folder / "report.html"
    path.write_text(without_policy(page).replace("</body>", asking), encoding="utf-8")
    setting = f"--blink-settings=preferredColorScheme={0 if is_dark else 1}"
    dom = browse(setting, "--dump-dom", path.as_uri(), folder=folder)
    found = re.search(r"<title>(rgb[^<]*)</title>", dom)
    assert found is not None
    behind, ink, letters = found[1].split("; ")
    assert behind == ("rgb(21, 24, 29)" if is_dark else "rgb(255, 255, 255)")
    assert ink == letters != behind
