"""What is shown and what is taken from the page: pure functions, literal values."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from made import MODEL_IN_USE, made_header, made_point
from mammo_core.errors import InputError
from mammo_core.intake import Refusal
from mammo_core.library import AiResult, BreastCall, BreastResult, Call, HeatRecord, Library, ModelRecord, ViewResult
from mammo_core.mammogram import Hanging, Mammogram, Spacing, VoiLut, Window
from mammo_core.projection import VIEWS
from mammo_gui import forms
from mammo_gui.desk import Selection, compared, opened, screen
from mammo_gui.markup import Markup, element, join
from mammo_gui.views.payload import payload
from mammo_gui.views.words import date_words, score_words
from mammo_gui.worker import Activity

TURNED = Hanging(transpose=True, flip_horizontal=False, flip_vertical=False, source="test")
SHA = [hashlib.sha256(bytes([number])).hexdigest() for number in range(3)]


@pytest.fixture
def library(tmp_path: Path):
    with Library(tmp_path / "library") as made:
        made.set_reader("Dr Test")
        yield made


def add(library: Library, number: int = 0, **changes: object) -> int:
    header = made_header(2, 3, **({"sha256": SHA[number]} | changes))
    mammogram = Mammogram(header, np.arange(6, dtype=np.uint16).reshape(2, 3))
    file = library.folder.parent / f"{number}"
    file.write_bytes(bytes([number]))
    return library.add_image(mammogram, file, phantom=False)


def read_by_ai(library: Library, study_id: int, score: float = 0.75, domain: str = "phantom") -> None:
    study = library.study(study_id)
    heats = []
    for number, image in enumerate(study.images, start=1):
        data = bytes([number])
        record = HeatRecord("gradcam", hashlib.sha256(data).hexdigest(), 1, 1, float(number))
        heats.append((image.sha256, record, data))
    views = tuple(ViewResult(image.sha256, "L", "CC", score, (), (), ()) for image in study.images)
    model = ModelRecord("secret-model", "1", MODEL_IN_USE, domain, made_point(0.5), ("Never saw <b>masses</b>.",))
    breasts = (BreastResult("L", score, score >= 0.5),)
    result = AiResult(model, score, score >= 0.5, breasts, views, ("Knows phantoms only.",), ("gradcam",))
    assert library.record_ai(study, result, heats)


def test_everything_that_is_not_markup_is_escaped() -> None:
    made = element("p", "<b>", element("i", '"&'), title="'\"<", data_study=3, hidden=True, open=False)
    assert made == '<p title="&#x27;&quot;&lt;" data-study="3" hidden>&lt;b&gt;<i>&quot;&amp;</i></p>'
    assert isinstance(made, Markup)
    assert join("<", None, Markup("<br>")) == "&lt;<br>"


@pytest.mark.parametrize(
    ("score", "threshold", "written"),
    [
        (None, 0.5, "–"),
        (0.123, None, "0.123"),
        (0.75, 0.5, "0.750"),
        (0.4996, 0.5, "0.4996"),
        (0.496, 0.5, "0.496"),
        (0.5, 0.5, "0.500"),
    ],
)
def test_a_score_shows_on_which_side_of_the_threshold_it_is(score, threshold, written) -> None:
    assert score_words(score, threshold) == written


def test_dates() -> None:
    assert [date_words(date) for date in ("20240102", "", "2024")] == ["2024-01-02", "no date", "2024"]


def test_payload_of_a_turned_image_swaps_its_spacing(library) -> None:
    spacing = Spacing(0.1, 0.2, "test")
    vois = (Window(5.0, 10.0, "SIGMOID", ""), VoiLut.of(7, (1, 2, 3), 12, "table"))
    study = add(library, hanging=TURNED, spacing=spacing, vois=vois, photometric="MONOCHROME1", padding=(0, 4))
    (image,) = payload(library.study(study), None, "gradcam")["images"]
    assert (image["rows"], image["columns"]) == (3, 2)
    assert image["spacing"] == {"row": 0.2, "column": 0.1, "source": "test"}
    assert image["vois"] == [
        {"name": "Window 1", "kind": "window", "center": 5.0, "width": 10.0, "function": "SIGMOID"},
        {"name": "table", "kind": "lut", "first": 7, "bits": 12, "url": f"/mammo/lut/{SHA[0]}/1"},
    ]
    assert (image["monochrome1"], image["padding"], image["chestWall"]) == (True, [0, 4], "left")
    assert (image["score"], image["heat"]) == (None, None)


def test_payload_normalises_heat_over_the_exam(library) -> None:
    study = add(library)
    add(library, 1, view="MLO")
    read_by_ai(library, study)
    made = payload(library.study(study), None, "gradcam")
    assert sorted(image["heat"]["peak"] for image in made["images"]) == [1.0, 2.0]
    assert made["heatPeak"] == 2.0
    assert made["nonce"] == payload(library.study(study), None, "gradcam")["nonce"]


def test_nothing_of_the_ai_is_in_a_hidden_screen(library) -> None:
    study = add(library)
    read_by_ai(library, study)
    library.set_blind(True)
    drawn = screen(library, Activity(), Selection(study=study))
    everything = json.dumps([drawn.viewer, drawn.worklist, drawn.result, drawn.call])
    for secret in ("secret-model", "0.75", "heat/", "at or above", "Knows phantoms only", "Never saw"):
        assert secret not in everything
    library.record_read(study, Call(None, BreastCall(recall=False)))
    drawn = screen(library, Activity(), Selection(study=study))
    everything = json.dumps([drawn.viewer, drawn.worklist, drawn.result, drawn.call])
    for told in ("secret-model", "0.75", "heat/", "at or above the threshold 0.500", "Knows phantoms only"):
        assert told in everything
    assert "<li>Never saw &lt;b&gt;masses&lt;/b&gt;.</li>" in drawn.result, "what its card says against it"


def test_below_the_threshold_is_said_in_neutral_words(library) -> None:
    study = add(library)
    read_by_ai(library, study, score=0.25)
    shown = screen(library, Activity(), Selection(study=study)).result
    assert "below the threshold 0.500" in shown
    for word in ("normal", "benign", "malignant", "negative"):
        assert word not in shown.lower()


def test_text_of_headers_is_escaped_everywhere(library) -> None:
    hostile = "<script>alert('x')</script>"
    changes = {"patient_id": hostile, "manufacturer": hostile, "file": hostile, "warnings": (hostile,), "view": None}
    study = add(library, **changes)
    drawn = screen(library, Activity(), Selection(study=study))
    for part in (drawn.worklist, drawn.result, drawn.call, drawn.progress):
        assert "<script" not in part
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in drawn.result


def test_unknown_views_are_numbered_as_they_are_asked_for(library) -> None:
    study = add(library, view=None)
    add(library, 1, view=None)
    drawn = screen(library, Activity(), Selection(study=study))
    assert [image["label"] for image in drawn.viewer["images"]] == ["L? 1", "L? 2"]
    assert "<b>L? 1</b>" in drawn.result
    assert "<b>L? 2</b>" in drawn.result


def test_only_a_prior_of_the_study_is_put_beside_it(library) -> None:
    now = add(library, study_uid="1.1", study_date="20240101")
    then = add(library, 1, study_uid="1.2", study_date="20220101")
    other = add(library, 2, study_uid="1.3", study_date="20220101", patient_id="p2")
    selection = opened(library, Selection(), now)
    beside = compared(library, selection, then)
    drawn = screen(library, Activity(), beside)
    assert [image["prior"] for image in drawn.viewer["images"]] == [False, True]
    assert compared(library, beside, 0).prior is None
    with pytest.raises(InputError, match="not an earlier study"):
        compared(library, selection, other)
    assert opened(library, beside, 99) == Selection(removed=True)
    assert opened(library, beside, None) == Selection()


def test_an_exam_that_another_page_removed_is_said_to_be_gone(library) -> None:
    study = add(library)
    before = screen(library, Activity(), Selection(study=study))
    assert before.selection == Selection(study=study)
    library.remove(study)
    after = screen(library, Activity(), before.selection)
    assert after.selection == Selection(removed=True)
    assert "This exam was removed." in after.result
    assert after.viewer["study"] == ""
    assert "data-draft" not in after.call


def test_a_hidden_ai_asks_for_every_breast_and_a_recorded_form_is_named(library) -> None:
    study = add(library)
    assert "call every breast" not in screen(library, Activity(), Selection(study=study)).call
    library.set_blind(True)
    drawn = screen(library, Activity(), Selection(study=study), recorded="form-1")
    assert "call every breast that has images" in drawn.call
    assert 'data-recorded="form-1"' in drawn.call


def test_a_long_list_of_refused_files_is_cut_with_a_count(library) -> None:
    refused = tuple(Refusal(f"file {number}", "is not DICOM") for number in range(3000))
    shown = screen(library, Activity(refused=refused), Selection()).progress
    assert shown.count("<li>") == 51
    assert "3,000 files were not added" in shown
    assert "and 2,950 more" in shown


def test_an_empty_library_says_that_exams_can_be_dropped_also_while_the_demo_is_made(library) -> None:
    for activity in (Activity(), Activity(doing="Making demo exams")):
        assert "Drop an exam anywhere on this page" in screen(library, activity, Selection()).progress


def test_the_score_comes_before_questions_and_the_model(library) -> None:
    study = add(library, view=None)
    read_by_ai(library, study)
    shown = screen(library, Activity(), Selection(study=study)).result
    places = [shown.index(word) for word in ("exam-score", "Please answer", "secret-model")]
    assert places == sorted(places)
    assert all(f'<option value="{view}"' in shown for view in VIEWS)


def test_the_call_form() -> None:
    fields = {"right_recall": "no", "right_suspicion": "2", "left_recall": "yes", "note": "  Seen. ", "agreement": ""}
    assert forms.call_of(fields) == Call(BreastCall(recall=False, suspicion=2), BreastCall(recall=True), "", "Seen.")


@pytest.mark.parametrize(
    "fields",
    [
        {"right_recall": "maybe"},
        {"right_suspicion": "3"},
        {"left_recall": "yes", "left_suspicion": "٣"},
        {"left_recall": "yes", "agreement": "both"},
    ],
)
def test_a_made_up_call_form_is_refused(fields) -> None:
    with pytest.raises(InputError):
        forms.call_of(fields)


def test_the_assignment_form() -> None:
    assert forms.correction_of({"sha256": SHA[0], "laterality": "R", "view": "MLO"}) == (SHA[0], "R", "MLO")
    for fields in ({"laterality": "B", "view": "CC"}, {"laterality": "R", "view": "<b>"}):
        with pytest.raises(InputError):
            forms.correction_of(fields)
