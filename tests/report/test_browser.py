"""The page in a real browser: headless Chromium, driven by Selenium against Debian's packages.

Skipped, with the reason, where one of them is missing: apt-get install chromium chromium-driver.
"""

import contextlib
import csv
import io
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from report import page, serve
from results import live
from results.store import Store
from tests.helpers.factory import digest, save_synthetic_examples, synthetic_run

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="needs selenium (requirements/test.txt)"
)
exceptions = pytest.importorskip("selenium.common.exceptions")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.extended,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        BROWSER is None or DRIVER is None,
        reason="needs a browser: apt-get install chromium chromium-driver",
    ),
]
HOSTILE = "<img src=x onerror=document.title='BROKEN'></script>"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 25 runs: two networks, two tunings, a failure, and a hostile name."""
    directory = tmp_path_factory.mktemp("browser")
    store = Store(directory / "runs")
    for seed in range(2):
        for framework in ("keras", "torch", "jax"):
            for network in ("c2", "unam"):
                for tuning in ("idiomatic", "tuned"):
                    run, epochs, rows = synthetic_run(
                        framework, network, seed, epochs=3, tuning=tuning
                    )
                    what = (framework, network, tuning)
                    run["cell_id"] = digest(*what)
                    run["run_id"] = digest(*what, seed)
                    run["execution_id"] = digest(*what, seed, "execution")
                    store.append(run, epochs, rows)
    failed = {"status": "error", "reason": f"it broke {HOSTILE}", "log": "Traceback\nthe last line"}
    store.append(synthetic_run(HOSTILE, HOSTILE, seed=9, **failed)[0])
    save_synthetic_examples(store)
    return page.write(store, directory / "out").page


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    downloads = tmp_path_factory.mktemp("downloads")
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{word}")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.downloads = downloads
    yield driver
    driver.quit()


@pytest.fixture
def browser(started: Any, written: Path) -> Any:
    """The page, open and ready; afterwards nothing was complained of and nothing was asked for."""
    started.set_window_size(1280, 1000)
    started.get_log("performance")
    started.get("about:blank")
    started.get(written.as_uri())
    wait(lambda: started.execute_script("return document.documentElement.dataset.ready"))
    assert started.execute_script("return document.documentElement.dataset.ready") == "true"
    yield started
    assert [entry for entry in started.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert started.title != "BROKEN"
    asked = [
        message["params"]["request"]["url"]
        for entry in started.get_log("performance")
        for message in [json.loads(entry["message"])["message"]]
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert [one for one in asked if not one.startswith(("file:", "data:", "blob:", "about:"))] == []


def wait(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """An element, say, that the condition finds, as soon as it finds one."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(exceptions.NoSuchElementException):
            if found := condition():
                return found
        assert time.monotonic() < end, "the page did not come to it"
        time.sleep(0.05)


def scatter(browser: Any) -> Any:
    """The plot of all runs in the middle of the window, every chart drawn, nothing moving."""
    browser.execute_script("for (const one of document.querySelectorAll('figure')) one.make?.()")
    looks: list[Any] = []

    def still() -> bool:
        browser.execute_script(
            "const where = {block: 'center', behavior: 'instant'};"
            "document.querySelector('#scatter').scrollIntoView(where)"
        )
        looks.append(
            browser.execute_script(
                "const all = [document.body, ...document.querySelectorAll('#scatter canvas')];"
                "return all.map(one => JSON.stringify(one.getBoundingClientRect())).join()"
            )
        )
        time.sleep(0.1)
        return looks[-5:] == looks[-1:] * 5

    wait(still)
    return browser.find_element("css selector", "#scatter .plot")


def click(browser: Any, selector: str) -> None:
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def listed(browser: Any) -> list[list[str]]:
    return browser.execute_script(
        "return [...document.querySelectorAll('#runs tbody tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )


def shown(browser: Any) -> str:
    return browser.execute_script("return document.querySelector('#shown').textContent")


def test_filters_and_sorting(browser: Any) -> None:
    assert shown(browser) == "25 of 25 runs shown"
    click(browser, "#facet-framework input[data-value='keras']")
    click(browser, "#facet-tuning input[data-value='tuned']")
    assert shown(browser) == "4 of 25 runs shown"
    browser.find_element("id", "seeds").send_keys("0")
    assert shown(browser) == "2 of 25 runs shown"
    click(browser, "th[data-name='test_accuracy'] button")
    values = [float(row[4].split()[0]) for row in listed(browser)]
    assert values == sorted(values, reverse=True)
    head = browser.find_element("css selector", "th[data-name='test_accuracy']")
    assert head.get_attribute("aria-sort") == "descending"
    click(browser, "#reset")
    assert shown(browser) == "25 of 25 runs shown"
    browser.find_element("id", "words").send_keys("unam")
    assert shown(browser) == "12 of 25 runs shown"


def test_what_is_shown_is_downloaded(browser: Any) -> None:
    click(browser, "#facet-framework input[data-value='torch']")
    for path in browser.downloads.iterdir():
        path.unlink()
    click(browser, "#csv")
    path = browser.downloads / "runs.csv"
    wait(path.exists)
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert len(rows) == 8
    assert {row["framework"] for row in rows} == {"torch"}
    assert all(row["versions"] and row["execution_id"] for row in rows)


def test_hover_tells_values_and_a_click_leads_to_the_run(browser: Any) -> None:
    plot = scatter(browser)
    plot.send_keys("\ue014")  # the right arrow: from run to run by keyboard
    tip = wait(lambda: browser.find_element("css selector", ".tip")).text
    assert "test accuracy 0." in tip
    assert "95 %" in tip
    plot.send_keys("\ue007")
    dialog = wait(lambda: browser.find_element("css selector", "dialog[open]"))
    wait(lambda: "Everything recorded" in dialog.text)
    command = browser.find_element("css selector", "dialog .command").text
    assert command.startswith("python -m benchmarks.run --architectures ")
    assert "test_accuracy" in dialog.text
    wait(lambda: browser.find_elements("css selector", "dialog canvas"))
    assert "#run=" in browser.current_url


def test_the_mouse_finds_the_nearest_mark(browser: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    scatter(browser)
    x, y = browser.execute_script(
        "const plot = Charts.plots.find(one => one.host.id === 'scatter');"
        "const mark = plot.marks[0], box = plot.plot.root.getBoundingClientRect();"
        "return [box.left + mark.x / devicePixelRatio, box.top + mark.y / devicePixelRatio];"
    )
    actions = ActionChains(browser)
    actions.w3c_actions.pointer_action.move_to_location(int(x), int(y))
    actions.perform()
    assert "seed" in wait(lambda: browser.find_element("css selector", ".tip")).text


def test_a_failed_run_shows_its_log_and_hostile_names_are_text(browser: Any) -> None:
    click(browser, "#facet-status input[data-value='error']")
    click(browser, "#runs tbody .link")
    dialog = wait(lambda: browser.find_element("css selector", "dialog[open]"))
    wait(lambda: "the last line" in dialog.text)
    assert HOSTILE in dialog.text
    assert not browser.find_elements("css selector", "dialog img")


def test_two_runs_side_by_side_show_what_differs(browser: Any) -> None:
    browser.execute_script(
        "for (const box of [...document.querySelectorAll('#runs tbody input')].slice(0, 2))"
        " box.click()"
    )
    click(browser, "#compare")
    wait(lambda: browser.find_elements("css selector", "#comparison tbody tr"))
    names = "return [...document.querySelectorAll('#comparison tbody th')].map(t => t.textContent)"
    differing = browser.execute_script(names)
    assert "run_id" in differing
    assert "classes" not in differing
    click(browser, "dialog label input")
    assert "classes" in browser.execute_script(names)


def test_every_chart_is_drawn_and_takes_a_log_scale(browser: Any) -> None:
    browser.execute_script("for (const one of document.querySelectorAll('figure')) one.make?.()")
    charts = "const all = [...document.querySelectorAll('figure .chart')];"
    empty = f"{charts} return all.filter(one => !one.querySelector('canvas')).length"
    assert browser.execute_script(empty) == 0
    click(browser, "figure .tools input")
    assert browser.execute_script(
        "return Charts.plots.filter(one => one.log.x || one.log.y).length"
    )


def test_a_phone_shows_the_accuracy_without_scrolling(started: Any, browser: Any) -> None:
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    started.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        for selector in ("#results table td:nth-child(3)", "#runs td:nth-child(5)"):
            right = browser.execute_script(
                "return document.querySelector(arguments[0]).getBoundingClientRect().right",
                selector,
            )
            assert right <= 390, selector
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        started.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_on_paper_every_chart_and_the_answers_are_whole(browser: Any) -> None:
    """On A4, for whose width a browser lays a page out only after `beforeprint`."""
    sheet = {"width": 718, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    try:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sheet)
        beyond = browser.execute_script(
            "return [...document.querySelectorAll('.plot canvas, #results table, .answers')].map("
            "one => one.getBoundingClientRect()).filter(one => one.width && one.right > innerWidth)"
        )
        assert beyond == []
        assert browser.execute_script("return document.querySelector('.plot canvas').width") > 0
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        browser.execute_script("dispatchEvent(new Event('afterprint'))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_selenium_python", reason="needs axe-selenium-python")
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.execute_script("for (const one of document.querySelectorAll('figure')) one.make?.()")
    browser.set_script_timeout(90)  # a loaded machine
    checked = axe.Axe(browser)
    checked.inject()
    serious = [
        (found["id"], found["nodes"][0]["html"][:200])
        for found in checked.run()["violations"]
        if found["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_a_session_is_shown_as_it_runs(started: Any, tmp_path: Path) -> None:
    rows = [
        {"epoch": epoch, "split": split, "loss": 1 / epoch, "accuracy": 1 - 1 / (epoch + 1)}
        for epoch in (1, 2)
        for split in ("train", "validation")
    ]
    state = {"number": 2, "runs": 3, "label": "torch c2 seed 0", "phase": "train", "epoch": 2}
    state |= {"epochs": 5, "images_per_second": 512.0, "seconds_left": 65, "curves": rows}
    done = {"label": "keras c2", "status": "ok", "reason": None, "accuracy": 0.5, "seconds": 3.0}
    live.tell(tmp_path, "one", state | {"done": [done], "next": ["jax c2 seed 0"]})
    with serve.Server(tmp_path, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            started.get(f"http://127.0.0.1:{server.server_port}/")
            body = wait(lambda: started.find_element("tag name", "body"))
            wait(lambda: "Run 2 of 3: torch c2 seed 0" in body.text)
            assert "epoch 2 of 5, 512 images/s; about 1 min left" in body.text
            assert "jax c2 seed 0" in body.text
            wait(lambda: len(started.find_elements("css selector", "canvas")) == 2)
            live.end(tmp_path, "one")
            wait(lambda: "No session is running" in body.text)
        finally:
            server.shutdown()
            thread.join()
