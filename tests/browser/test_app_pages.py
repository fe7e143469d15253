"""What a reader must not lose: typed calls, their place in the worklist, and knowing what is on screen."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from app_page import drop, exam, expect_end_of_server, open_app, view

from app_server import AppServer, app_server
from made import made_checkpoint, made_point
from mammo_core.library import Library
from mammo_core.library.adding import add
from mammo_core.sandbox import DecodeSandbox

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from conftest import PageLog

pytestmark = pytest.mark.browser

EXAMS = 16
TITLE = "(name) => document.querySelector('#result h2')?.textContent === name"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app on a library of more exams than a screen shows."""
    folder = tmp_path_factory.mktemp("pages")
    files = folder / "files"
    files.mkdir()
    for number in range(EXAMS):
        date = f"2020{12 - number // 2:02}{28 - number:02}"
        view(files / f"{number}.dcm", "LCC", patient=f"P{number:02}", study=f"1.2.{number}", StudyDate=date)
    made_checkpoint(folder / "model.safetensors", operating_point=made_point(0.5))
    with Library(folder / "library") as library, DecodeSandbox() as sandbox:
        library.set_demo_made()
        add(library, [files], sandbox, progress=lambda _: None)
    with app_server(folder / "library", model=folder / "model.safetensors") as started:
        yield started


@pytest.fixture
def read(server: AppServer, page: "Page") -> "Page":
    """The app with its worklist on screen, every exam read by the AI, and no bar that could still move a row."""
    open_app(page, server)
    page.wait_for_function(f"document.querySelectorAll('#worklist .status.done').length >= {EXAMS - 3}", timeout=90_000)
    page.wait_for_function("!document.querySelector('#progress .running')", timeout=90_000)
    return page


def pick(page: "Page", patient: str) -> None:
    """Open an exam and wait for all of it: its name and the form for a call are redrawn one after the other."""
    row = page.locator("#worklist tr", has_text=patient)
    study = row.get_attribute("data-study")
    row.click()
    page.wait_for_function(TITLE, arg=patient)
    page.wait_for_selector(f'#call form[data-study="{study}"]')


def test_a_clicked_row_stays_where_it_is_and_the_arrow_keys_go_on_from_it(read: "Page") -> None:
    row = read.locator("#worklist tr", has_text="P14")
    row.scroll_into_view_if_needed()
    top = "() => document.querySelector('#worklist .rows').scrollTop"
    before = read.evaluate(top)
    assert before > 0
    row.click()
    read.wait_for_function(TITLE, arg="P14")
    read.wait_for_timeout(1500)
    assert read.evaluate(top) == before
    read.keyboard.press("ArrowUp")
    read.wait_for_function(TITLE, arg="P13")
    assert read.locator("#worklist tr[aria-selected=true] .patient").inner_text() == "P13"
    read.go_back()
    read.wait_for_function(TITLE, arg="P14")


def wait_typed(page: "Page", text: str) -> None:
    """Wait until the call form holds this text: it is filled after the exam's name is on screen."""
    page.wait_for_function("(text) => document.querySelector('#call textarea')?.value === text", arg=text)


def test_a_typed_call_outlives_other_exams_other_windows_and_a_reload(
    read: "Page", server: AppServer, page_log: "PageLog"
) -> None:
    page_log.expect_error("Blocked attempt to show a 'beforeunload'")
    pick(read, "P00")
    read.locator("#call").get_by_text("Recall", exact=True).nth(1).click()
    read.fill("#call textarea", "spiculated")
    pick(read, "P01")
    wait_typed(read, "")
    pick(read, "P00")
    wait_typed(read, "spiculated")
    other = read.context.new_page()
    open_app(other, server, read.url.removeprefix(server.url))
    other.wait_for_selector("#call textarea")
    wait_typed(other, "")
    other.locator("#call").get_by_text("No recall").nth(1).click()
    other.click("#call button.primary")
    read.wait_for_selector("#call .history li")
    wait_typed(read, "spiculated")
    other.close()
    read.once("dialog", lambda dialog: dialog.accept())
    read.reload()
    read.wait_for_selector("#call textarea")
    wait_typed(read, "spiculated")
    read.click("#call button.primary")
    read.wait_for_function("document.querySelectorAll('#call .history li').length === 2")
    wait_typed(read, "")
    with server.opened() as library:
        reads = next(library.study(line.id) for line in library.worklist() if line.patient_id == "P00").reads
    assert [record.call.note for record in reads] == ["", "spiculated"]


def unanswered(page: "Page") -> list["Route"]:
    """Hold back every answer of the app from now on: the requests for them, which grow as the page makes them."""
    held: list[Route] = []
    page.route("**/queue/data?*", lambda route: held.append(route))
    return held


def test_a_page_is_left_in_the_middle_of_a_question_without_a_complaint(read: "Page", server: AppServer) -> None:
    held = unanswered(read)
    with read.expect_request("**/queue/data?*"):
        read.locator("#worklist tr", has_text="P06").click()
    # What a page does before it is left is done by hand as well: leaving may be too quick to see what it complains of.
    read.evaluate("() => window.dispatchEvent(new Event('beforeunload', { cancelable: true }))")
    read.wait_for_timeout(200)
    read.goto("about:blank")
    for route in held:
        route.abort()
    read.unroute_all(behavior="ignoreErrors")
    open_app(read, server)
    pick(read, "P07")


def test_a_page_that_was_not_left_after_all_gets_its_answers(read: "Page", page_log: "PageLog") -> None:
    pick(read, "P08")
    read.fill("#call textarea", "not yet")
    held = unanswered(read)
    with read.expect_request("**/queue/data?*"):
        read.locator("#worklist tr", has_text="P09").click()
    with read.expect_event("dialog") as asked:
        read.once("dialog", lambda dialog: dialog.dismiss())
        read.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    for route in held:
        route.continue_()
    read.unroute_all(behavior="ignoreErrors")
    read.wait_for_function(TITLE, arg="P09")
    pick(read, "P08")
    assert read.input_value("#call textarea") == "not yet"
    read.fill("#call textarea", "")


def test_an_exam_removed_in_another_window_is_said_to_be_removed(read: "Page", server: AppServer) -> None:
    pick(read, "P02")
    with server.opened() as library:
        library.remove(next(line.id for line in library.worklist() if line.patient_id == "P02"))
    read.get_by_text("This exam was removed.").wait_for()
    assert read.locator("#worklist tr", has_text="P02").count() == 0
    assert read.locator("#call textarea").count() == 0
    read.wait_for_function("!new URL(location.href).searchParams.has('study')")
    pick(read, "P03")


def test_what_cannot_be_done_is_said_beside_the_score_and_not_over_it(read: "Page") -> None:
    pick(read, "P04")
    read.click("#call button.primary")
    read.wait_for_selector("#notice:not([hidden])")
    assert "choose recall or no recall" in read.inner_text("#notice")
    notice, score = (read.locator(place).bounding_box() for place in ("#notice", "#exam-score"))
    assert notice is not None
    assert score is not None
    assert notice["x"] + notice["width"] < score["x"]
    assert notice["y"] > score["y"]


def test_a_dropped_exam_is_opened_unless_a_call_is_being_typed(
    read: "Page", tmp_path: Path, page_log: "PageLog"
) -> None:
    page_log.expect_error("Blocked attempt to show a 'beforeunload'")
    pick(read, "P05")
    long = view(tmp_path / ("x" * 200 + ".dcm"), "RCC", patient="Dropped", study="1.2.300")
    drop(read, [long])
    read.wait_for_function(TITLE, arg="Dropped", timeout=60_000)
    pick(read, "P05")
    read.fill("#call textarea", "typing")
    drop(read, exam(tmp_path / "other", patient="Other", study="1.2.400"))
    read.locator("#worklist tr", has_text="Other").wait_for(timeout=60_000)
    read.wait_for_timeout(1500)
    assert read.inner_text("#result h2") == "P05"
    read.locator("#worklist .heads button", has_text="Added").click()
    assert read.locator("#worklist .patient").first.inner_text() == "Other"


def test_an_exam_is_not_marked_as_open_before_it_is_and_an_app_that_ended_is_said_to_be_gone(
    tmp_path: Path, page: "Page", page_log: "PageLog"
) -> None:
    expect_end_of_server(page_log)
    files = [view(tmp_path / f"{n}.dcm", "LCC", patient=f"P0{n}", study=f"1.2.{n}") for n in range(2)]
    with Library(tmp_path / "library") as library, DecodeSandbox() as sandbox:
        library.set_demo_made()
        add(library, files, sandbox, progress=lambda _: None)
    with app_server(tmp_path / "library") as server:
        open_app(page, server)
        pick(page, "P00")
        listening = next(
            process
            for process in psutil.Process().children()
            for socket in process.net_connections("tcp")
            if socket.status == psutil.CONN_LISTEN and server.url.endswith(f":{socket.laddr.port}")
        )
        listening.kill()
        listening.wait()
        # The page may know already, and let nothing be clicked.
        page.locator("#worklist tr", has_text="P01").click(force=True)
        page.wait_for_selector("body.gone #gone")
        assert "start it again" in page.inner_text("#gone")
        assert page.locator("#worklist tr[aria-selected=true] .patient").inner_text() == "P00"
        assert page.locator("#worklist tr[aria-busy=true]").count() == 0
        assert page.evaluate("getComputedStyle(document.querySelector('#desk')).pointerEvents") == "none"
