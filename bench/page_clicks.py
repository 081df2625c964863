"""Time from a click on the page to what is shown for it, in Chromium, in front of a service that runs.

make serve
make bench-page ARGS="--photo photo.jpg"

Times are of this machine, server and browser together. The first click is left out: it fills an empty index,
and loads what maps of contribution need.
"""

import shutil
import statistics
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Page, sync_playwright

_OWN = 5
# In the page's own clock, from the event to the frame behind the change that is waited for.
_WATCH = """(name) => {
    const part = (id) => document.getElementById(id);
    const pictures = () => [...document.querySelectorAll("#neighbours img")];
    const times = [];
    const until = (done, then) => (done() ? then() : requestAnimationFrame(() => until(done, then)));
    const shown = () =>
        part("status").textContent.startsWith("Answered in") &&
        part("name").textContent.startsWith(name) && pictures().length > 0;
    const loaded = () => pictures().every((one) => one.complete && one.naturalWidth);
    part("name").textContent = "";
    window.times = new Promise((resolve) => {
        const begin = () => {
            const started = performance.now();
            const take = () => times.push(performance.now() - started);
            until(shown, () => { take(); until(loaded, () => { take(); resolve(times); }); });
        };
        const event = name.startsWith("example-") ? "click" : "change";
        document.addEventListener(event, begin, { once: true, capture: true });
    });
}"""


def main(
    url: Annotated[str, typer.Option(help="Address of the page.")] = "http://localhost:8000",
    photo: Annotated[Path | None, typer.Option(help="An own photograph, which is chosen too.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds over all examples.")] = 2,
) -> None:
    """Print the median and the range of the times, in ms."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(url)
        page.wait_for_load_state("networkidle")
        images = page.locator("#examples img")
        examples = images.evaluate_all("all => all.map((one) => one.getAttribute('src').split('/').pop())")
        _click(page, examples[0])
        _report("example", [_click(page, name) for _ in range(rounds) for name in examples])
        if photo is not None:
            _report(photo.name, [_choose(page, photo) for _ in range(_OWN)])
        browser.close()


def _click(page: Page, name: str) -> list[float]:
    page.evaluate(_WATCH, name)
    page.click(f"#examples button:has(img[src$='{name}'])")
    return _times(page)


def _choose(page: Page, photo: Path) -> list[float]:
    page.evaluate(_WATCH, photo.name)
    page.set_input_files("#photo", photo)
    return _times(page)


def _times(page: Page) -> list[float]:
    times: list[float] = page.evaluate("window.times")
    # The neighbours' own sides come behind them, and are not to slow the next click down.
    page.evaluate("import('/page/shown.js').then(({ shown }) => shown.complete)")
    return times


def _report(what: str, clicks: list[list[float]]) -> None:
    for name, times in zip(("map and neighbours", "their pictures"), zip(*clicks, strict=True), strict=True):
        middle = statistics.median(times)
        typer.echo(
            f"{what}, {name}: {middle:.0f} ms ({min(times):.0f} to {max(times):.0f}), n = {len(times)}"
        )


if __name__ == "__main__":
    typer.run(main)
