"""What every page has to be, in whichever size and colours: readable, within the screen, and usable by keyboard."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from playwright.sync_api import Page

SIZES: Final = {1280: 900, 360: 740}
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
LEAST_CONTRAST: Final = 4.5
"""Of text and what is behind it (WCAG 2.2, success criterion 1.4.3)."""

LEAST_TARGET: Final = 24
"""Height of what is to be touched, in pixels (WCAG 2.2, success criterion 2.5.8)."""

FOLDER: Final = os.environ.get("JWTAUTH_SCREENSHOTS")
"""Where pictures of the pages go, if they are wanted."""

_MEASURE: Final = """
() => {
  const moving = [...document.querySelectorAll("*")].filter(
    (one) => getComputedStyle(one).transitionDuration !== "0s" || getComputedStyle(one).animationName !== "none"
  );
  document.getAnimations().forEach((one) => one.finish());
  const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return pen.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (colour) => {
    const parts = [...rgba(colour)].slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (rgba(colour)[3] > 0) return colour;
    }
    return "white";
  };
  const contrast = (element) => {
    const [high, low] = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const visible = (element) => element.checkVisibility();
  const texts = [...document.body.querySelectorAll("*")].filter(
    (one) => visible(one) && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
  );
  const controls = [...document.querySelectorAll("button, a[href], input:not([type=hidden])")].filter(visible);
  const unmarked = controls.filter((one) => {
    one.focus({focusVisible: true});
    return getComputedStyle(one).outlineStyle === "none";
  });
  document.activeElement.blur();
  const fields = [...document.querySelectorAll("input:not([type=hidden])")].filter(visible);
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  return {
    overflow: document.documentElement.scrollWidth - window.innerWidth,
    paper: luminance(behind(document.body)),
    texts: texts.map((one) => [one.innerText, contrast(one)]),
    controls: controls.filter((one) => one.tagName !== "A")
      .map((one) => [one.outerHTML, one.getBoundingClientRect().height]),
    unmarked: unmarked.map((one) => one.outerHTML),
    moving: moving.map((one) => one.outerHTML),
    unnamed: fields.filter((one) => one.labels.length === 0).map((one) => one.outerHTML),
    headings: document.querySelectorAll("h1").length,
    twice: ids.filter((id, at) => ids.indexOf(id) !== at),
  };
}
"""


def faults(page: Page, name: str) -> list[str]:
    """What is wrong with the page in any size and colour scheme; takes its picture where pictures are wanted."""
    found = []
    papers = {}
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for width, height in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            seen: dict[str, Any] = page.evaluate(_MEASURE)
            papers[scheme] = seen["paper"]
            found += [f"{width} px, {scheme}: {fault}" for fault in _faults(seen)]
            _photograph(page, f"{name}-{width}-{scheme}.png")
    if not papers["dark"] < 0.2 < 0.8 < papers["light"]:
        found.append(f"what is behind it has the luminance {papers}")
    return found


def _faults(seen: dict[str, Any]) -> Iterator[str]:
    if seen["overflow"] > 0:
        yield f"scrolls sideways by {seen['overflow']} px"
    if seen["headings"] != 1:
        yield f"{seen['headings']} first headings"
    yield from (f"contrast {contrast:.1f}: {text}" for text, contrast in seen["texts"] if contrast < LEAST_CONTRAST)
    yield from (f"{height} px high: {control}" for control, height in seen["controls"] if height < LEAST_TARGET)
    yield from (f"focus is invisible: {control}" for control in seen["unmarked"])
    yield from (f"moves although the person wants no motion: {control}" for control in seen["moving"])
    yield from (f"no label: {field}" for field in seen["unnamed"])
    yield from (f"two elements have the id {name}" for name in seen["twice"])


def _photograph(page: Page, name: str) -> None:
    if FOLDER:
        page.screenshot(path=Path(FOLDER) / name.replace(" ", "-"), full_page=True)
