"""The dashboard and the report in a real browser: Chromium without a window."""

import os
import shutil
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from time import sleep

import pytest
from optuna_dashboard import save_note

from app.cli import main
from app.dashboard import serve
from app.pareto import completed_rows, pareto_front
from app.report.data import ReportData
from app.report.files import page as report_page
from app.report.notes import study_note
from tests.app.report.conftest import ATTACK, data, result  # noqa: F401  (a fixture)
from tests.app.test_dashboard import stored

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)
QUIET = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-proxy-server"),
    *(("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()),
)
PATIENCE = 60_000  # milliseconds: a busy machine starts slowly

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None, reason=f"no browser is installed: none of {', '.join(BROWSERS)} in PATH"
    ),
]


@pytest.fixture(scope="module")
def runs(searched_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of a study of twenty trials."""
    runs = tmp_path_factory.mktemp("chromium") / "runs"
    shutil.copytree(searched_runs, runs)
    assert main(["--study", "small", "--runs", str(runs), "--trials=20"]) == 0
    return runs


@pytest.fixture(scope="module")
def address(runs: Path) -> str:
    """Where our dashboard command serves them, for as long as the tests run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    Thread(target=serve, args=(runs, None, port), daemon=True).start()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(600):
        with suppress(OSError):
            direct.open(f"http://127.0.0.1:{port}/api/studies").close()
            break
        sleep(0.1)
    return f"http://127.0.0.1:{port}/dashboard"


@pytest.fixture(scope="module")
def page() -> Iterator["sync_api.Page"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


def test_from_the_list_of_studies_to_a_trial_with_its_picture(
    page: "sync_api.Page", address: str, runs: Path
) -> None:
    page.goto(address)
    page.get_by_text("1. small").click()
    page.wait_for_selector(".js-plotly-plot .scatterlayer .point")
    front_plot = page.locator(".js-plotly-plot").first
    assert front_plot.locator(".scatterlayer .point").count() == len(completed_rows(stored(runs)))

    best = pareto_front(completed_rows(stored(runs)))[-1]
    page.goto(f"{address}/studies/1/trials?numbers={best.trial}")
    picture = page.locator("img[src^='/artifacts/']").first
    picture.scroll_into_view_if_needed()
    page.wait_for_function(
        "() => [...document.querySelectorAll(\"img[src^='/artifacts/']\")]"
        ".some(image => image.complete && image.naturalWidth > 100)"
    )
    page.get_by_text("On the Pareto front after 20 trials").wait_for()
    assert best.arch in page.inner_text("body")


def test_the_study_has_its_description(page: "sync_api.Page", address: str) -> None:
    page.goto(f"{address}/studies/1/note")
    page.get_by_text("20 completed trials").wait_for()


@pytest.mark.parametrize("width", [1100, 400])
def test_the_report_is_whole_and_legible_without_a_network(
    page: "sync_api.Page", runs: Path, width: int
) -> None:
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((runs / "small" / "report.html").as_uri())
    page.wait_for_selector(".js-plotly-plot .scatterlayer .point")
    assert page.locator(".js-plotly-plot svg.main-svg").first.bounding_box()["width"] <= width
    assert page.locator(".js-plotly-plot").count() == 4
    assert page.get_by_text("chance: ln 10 = 2.30").is_visible()
    best = pareto_front(completed_rows(stored(runs)))[-1]
    network = page.locator(f"#trial-{best.trial}")
    assert best.arch in network.inner_text()
    assert network.locator("svg rect").count() == 3 and network.locator("svg").is_visible()
    # wide tables and drawings scroll in boxes of their own
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert errors == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)


def test_names_run_nothing_and_trained_networks_fit_a_narrow_window(
    page: "sync_api.Page",
    address: str,
    runs: Path,
    data: ReportData,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Names of classes, data sets and machines may be scripts."""
    opened: list[str] = []
    page.on("dialog", lambda dialog: (opened.append(dialog.message), dialog.dismiss()))
    image = "<img src=x onerror=alert(2)>"
    config = data.config.model_copy(update={"dataset": f"{image} `{ATTACK}` {image}"})
    trained = replace(
        result("resnet18", 0.8, is_baseline=True),
        class_accuracy={image: 0.5, 60 * "x": None, ATTACK: 1.0},
    )
    evil = replace(data, config=config, results=[*data.results, trained])
    (tmp_path / "report.html").write_text(report_page(evil), encoding="utf-8")
    page.set_viewport_size({"width": 400, "height": 900})
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_selector(".js-plotly-plot .scatterlayer .point")
    page.get_by_text("accuracy by class").click()
    assert image in page.inner_text("details")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    save_note(stored(runs), study_note(evil))
    page.goto(f"{address}/studies/1/note")
    page.get_by_text("Trained from scratch").first.wait_for()
    assert image in page.inner_text("body")
    assert opened == []
