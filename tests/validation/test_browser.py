from __future__ import annotations

import re
import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install chromium or google-chrome"),
]


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_report_fits_and_is_silent(chromium, toy_report, width, scheme):
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))

    page.goto(toy_report.report.as_uri())
    page.wait_for_load_state("networkidle")

    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("[...document.images].every(image => image.getBoundingClientRect().right <= innerWidth)")
    assert page.locator("nav:visible").count() == (1 if width == 1280 else 0)  # on a phone the contents are folded
    if width == 400:
        page.locator(".contents summary").click()
        assert page.locator("nav:visible a").count() == page.locator("main section").count()
    assert page.title() == "<script>document.title = 'owned'</script> & co · validation"
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [toy_report.report.as_uri()]
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_their_ground(chromium, toy_report, scheme):
    """WCAG 2.2 asks for a contrast of 4.5 in running text."""
    page = chromium.new_page(color_scheme=scheme)
    page.goto(toy_report.report.as_uri())

    assert page.evaluate(CONTRAST) >= 4.5
    page.close()


def test_every_box_that_scrolls_can_be_reached_with_the_keyboard(chromium, toy_report):
    page = chromium.new_page(viewport={"width": 400, "height": 800})
    page.goto(toy_report.report.as_uri())

    boxes = "[...document.querySelectorAll('.scroll')]"
    assert page.evaluate(f"{boxes}.some(box => box.scrollWidth > box.clientWidth)")
    assert page.evaluate(f"{boxes}.every(box => box.tabIndex === 0 && box.getAttribute('aria-label'))")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip the contents"
    page.close()


def test_paper_shows_everything(chromium, toy_report):
    page = chromium.new_page()
    page.goto(toy_report.report.as_uri())
    printed = page.pdf(prefer_css_page_size=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", printed))

    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 695, "height": 1020})  # A4 less margins, in CSS pixels
    assert re.findall(rb"/MediaBox\s*\[0 0 (\d+)[\d.]* (\d+)", printed)[0] == (b"594", b"841")
    assert 3 <= pages <= 8
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("[...document.querySelectorAll('.scroll')].every(box => box.scrollHeight <= box.clientHeight)")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(CONTRAST) >= 4.5
    page.close()


CONTRAST = """() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(x => x / 255)
    .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return Math.min(...[...document.querySelectorAll("p, li, a, th, td, h1, h2, caption, figcaption, .badge")]
    .filter(element => element.checkVisibility() && element.textContent.trim())
    .map(element => [light(parts(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => a - b))
    .map(([dark, bright]) => (bright + 0.05) / (dark + 0.05)));
}"""
