"""The Models tab without a browser: cards, evidence that is checked, comparisons that are scikit-learn's, promotion."""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from made import MODEL_IN_USE, made_checkpoint, made_point
from mammo_core.checkpoint import TrainingRecord, ValidationScores
from mammo_core.errors import InputError
from mammo_core.files import sha256_of
from mammo_core.library import Library, ModelEntry
from mammo_core.model_files import PHANTOM_MODEL, find_model
from mammo_gui import registry
from mammo_gui.evidence import evidence_of
from mammo_gui.registry import Choice, Registry, Screen
from mammo_gui.views.comparison import comparison_html
from mammo_gui.views.model_card import card_html
from mammo_gui.views.model_evidence import evidence_html, report_html
from mammo_gui.views.models import models_html
from test_library_points import add_study

N = 240
LABELS = np.random.default_rng(0).random(N) < 0.3


def validation(seed: int, strength: float, *, count: int = N) -> ValidationScores:
    random = np.random.default_rng(seed)
    scores = np.clip(0.3 + 0.12 * random.standard_normal(N) + strength * LABELS, 0.01, 0.99)
    return ValidationScores(
        unit="breast",
        patients=tuple(f"P{i // 2:03}" for i in range(count)),
        labels=tuple(LABELS[:count].tolist()),
        scores=tuple(np.round(scores, 4).tolist())[:count],
        groups={"laterality": ("R", "L") * (count // 2)},
    )


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "library") as opened:
        opened.set_reader("Dr Test")
        yield opened


def added(library: Library, name: str, **changes: object) -> ModelEntry:
    path = library.folder.parent / f"{name}.safetensors"
    made_checkpoint(path, **({"name": name, "operating_point": made_point(0.4)} | changes))
    return library.models.add(path, origin="imported")


@pytest.fixture
def pair(library: Library) -> tuple[ModelEntry, ModelEntry]:
    return (
        added(library, "better", validation=validation(1, 0.2)),
        added(library, "worse", validation=validation(2, 0.05, count=N - 40)),
    )


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def compared(library: Library, pair: tuple[ModelEntry, ModelEntry], **choice: object) -> Screen:
    return Registry(library).screen(Choice(model=pair[0].sha256, against=pair[1].sha256, **choice))


def test_differences_are_those_of_scikit_learn_on_the_shared_cases(
    library: Library, pair: tuple[ModelEntry, ModelEntry]
) -> None:
    html = comparison_html(compared(library, pair, recall_rate=0.2))
    shown = [float(value) for value in re.findall(r'data-value="([^"]+)"', html)]
    labels = LABELS[: N - 40]
    scores = [np.array(validation(*what).scores[: N - 40]) for what in ((1, 0.2), (2, 0.05))]
    aucs = [sk.roc_auc_score(labels, each) for each in scores]
    averages = [sk.average_precision_score(labels, each) for each in scores]
    flagged = []
    for each in scores:
        # The lowest threshold that flags no more than a fifth of all cases.
        candidates = [value for value in np.unique(each) if (each >= value).mean() <= 0.2]
        flagged.append(each >= min(candidates))
    sensitivities = [sk.recall_score(labels, each) for each in flagged]
    specificities = [sk.recall_score(~labels, ~each) for each in flagged]
    wanted = [a - b for a, b in (aucs, averages, sensitivities, specificities)]
    assert shown == pytest.approx(wanted, abs=1e-9)
    assert "200 breasts of 100 patients that both have scored" in text_of(html)


def test_models_of_data_prepared_apart_are_warned_about(library: Library) -> None:
    def record(data: str) -> TrainingRecord:
        return TrainingRecord(recipe="", split_sha256="0" * 64, data_sha256=data * 64, seconds=60, epochs=1)

    one = added(library, "one", validation=validation(1, 0.2), training=record("a"))
    same = added(library, "same", validation=validation(2, 0.2), training=record("a"))
    other = added(library, "other", validation=validation(3, 0.2), training=record("b"))
    assert compared(library, (one, same)).comparison.warning == ""
    assert "prepared apart" in compared(library, (one, other)).comparison.warning


def test_what_cannot_be_compared_is_said(library: Library, pair: tuple[ModelEntry, ModelEntry]) -> None:
    none = added(library, "none")
    html = comparison_html(compared(library, (pair[0], none)))
    assert f"{none.title}: holds no validation scores" in text_of(html)
    strangers = ValidationScores(**(validation(1, 0.1).model_dump() | {"patients": tuple(f"X{i}" for i in range(N))}))
    stranger = added(library, "stranger", validation=strangers)
    assert "none is shared" in compared(library, (pair[0], stranger)).comparison.problem
    with pytest.raises(InputError, match="recall rate: 0 % is not more than 0"):
        registry.at_recall_rate(Choice(), 0.0)
    with pytest.raises(InputError, match="model eeeeeeeeeeee: is not in the library"):
        Registry(library).screen(Choice(model="e" * 64))


def test_own_cases_are_compared_when_both_models_have_read_them(
    library: Library, pair: tuple[ModelEntry, ModelEntry]
) -> None:
    truth = {number: number % 3 == 0 for number in range(1, 9)}
    for number, cancer in truth.items():
        study = add_study(library, number, 0.2 + 0.07 * number, model=pair[0].sha256)
        library.outcomes.record(study, "L", cancer, source="by hand")
    screen = compared(library, pair, source="own")
    assert screen.comparison.unread == 8
    html = comparison_html(screen)
    assert "8 exams with a known outcome were not read by both models yet" in html
    assert 'data-action="read"' in html
    # The other reads them in another order: cases are matched, not counted off.
    for number in reversed(truth):
        add_study(library, number, 0.9 - 0.05 * number, model=pair[1].sha256)
    found = compared(library, pair, source="own").comparison.found
    labels = list(truth.values())
    one = sk.roc_auc_score(labels, [0.2 + 0.07 * number for number in truth])
    other = sk.roc_auc_score(labels, [0.9 - 0.05 * number for number in truth])
    assert found.figures[0].above.value == pytest.approx(one - other)


def test_a_promotion_keeps_the_comparison_with_the_one_in_use(
    library: Library, pair: tuple[ModelEntry, ModelEntry]
) -> None:
    library.models.promote(pair[1].sha256, "The first", {})
    Registry(library).promote(Choice(model=pair[0].sha256, recall_rate=0.2), "It finds more")
    promotion = library.models.promotions()[0]
    assert promotion.sha256 == pair[0].sha256
    assert promotion.detail["compared with"].startswith("worse (")
    assert promotion.detail["cases"].startswith("200 breasts of 100 patients")
    assert re.fullmatch(r"0\.\d+ against 0\.\d+: \+0\.\d+ \([+-]0\.\d+ to [+-]0\.\d+\)", promotion.detail["ROC-AUC"])
    html = models_html(Registry(library).screen(Choice()), "")
    assert "Go back to worse" in html
    assert "It finds more" in html
    assert "Sensitivity at a recall rate of at most 20.0%:" in text_of(html)


def test_the_card_says_everything_and_escapes_it(library: Library) -> None:
    entry = added(library, "made", validation=validation(1, 0.2))
    known = Registry(library).screen(Choice(model=entry.sha256)).shown
    header = known.header
    card = header.card.model_copy(update={"data_terms": "<b>free</b>", "limits": ("Knows <nothing>.",)})
    html = card_html(registry.Known(entry, header.model_copy(update={"card": card}), 1, known.auc))
    told = text_of(html)
    assert "<b>free</b>" in told
    assert "<b>free" not in html
    for words in (
        "Intended use Research: a second opinion",
        "Limits Knows <nothing>.",
        "Data None.",
        "Views CC, MLO",
        "Manufacturers Vendor A",
        "resnet10t, averaged over the picture, one logit",
        "fitted into 128 x 96 pixels",
        "Calibration none: its score is no probability",
        "240 breasts of 120 patients",
        "sensitivity 80.0% (70.0% to 90.0%)",
        f"SHA-256 {entry.sha256}",
        "Synthetic phantoms only",
    ):
        assert words in told, words
    auc = sk.roc_auc_score(LABELS, validation(1, 0.2).scores)
    assert f"ROC-AUC {auc:.3f} (" in told


def test_the_bundled_model_shows_its_phases_and_its_evidence(library: Library) -> None:
    demo = sha256_of(find_model(PHANTOM_MODEL))
    screen = Registry(library).screen(Choice(model=demo))
    told = text_of(card_html(screen.shown))
    assert "crops all all layers 10" in told
    assert "Synthetic pictures made by this software" in told
    assert screen.evidence.problems == ()
    assert len(screen.evidence.epochs) == 14
    assert screen.evidence.evaluation is not None
    html = evidence_html(screen.evidence)
    auc = screen.evidence.evaluation.levels[0].figures[0].own
    assert f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})" in html
    assert html.count("<polyline") == 5, "two losses, two areas, chance"
    assert f'src="/mammo/report/{demo}#gallery"' in report_html(screen.shown, screen.evidence)


def evaluation(sha256: str) -> dict[str, object]:
    between = {"value": 0.7, "low": None, "high": 0.8}
    level = {"unit": "breast", "how": "mean", "n": 9, "positives": 3, "patients": 5, "prevalence": 1 / 3}
    subject = {"model_sha256": sha256, "data_source": "<i>x", "part": "test", "images": 18, "breasts": 9, "patients": 5}
    figures = [{"name": "roc_auc", "title": "ROC-AUC", "own": between, "stated": None}]
    return {"schema": 1, "subject": subject, "warnings": ["<w>"], "levels": [level | {"figures": figures}]}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("log.jsonl", "{", "log.jsonl: line 1 is not what a run writes"),
        ("log.jsonl", '{"event": "epoch", "epoch": "<b>"}', "log.jsonl: line 1 is not what a run writes"),
        ("evaluation.json", "[]", "evaluation.json: field as a whole:"),
        ("evaluation.json", json.dumps(evaluation("f" * 64)), "evaluation.json: is of another model (ffffffff)"),
    ],
)
def test_evidence_that_does_not_fit_is_named_and_left_out(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "evaluation.html").write_text("<script>", encoding="utf-8")
    found = evidence_of(tmp_path, "e" * 64)
    assert found.problems[0].startswith(words)
    assert (found.epochs, found.evaluation, found.report) == ((), None, False)
    html = evidence_html(found)
    assert "mammo evaluate" in html
    assert "a run's folder brings them along" in unescape(html)


def test_an_evaluation_is_shown_escaped(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation("e" * 64)), encoding="utf-8")
    html = evidence_html(evidence_of(tmp_path, "e" * 64))
    assert "On <i>x, its test part: 18 images of 9 breasts of 5 patients." in unescape(html)
    assert "<i>x" not in html
    assert "<w>" not in html
    assert "<td>0.700</td>" in html, "no interval is made up where one end is missing"


def test_the_tab_is_there_when_the_model_in_use_is_gone(library: Library) -> None:
    entry = added(library, "made")
    library.models.promote(entry.sha256, "why", {})
    entry.path.unlink()
    screen = Registry(library).screen(Choice())
    assert screen.shown.entry.sha256 == MODEL_IN_USE
    html = models_html(screen, "")
    assert f"The model in use ({entry.sha256[:8]}) is gone or damaged" in html
    assert "Read with this model" in comparison_html(screen), "another can be put to use"


def test_a_model_whose_file_is_damaged_is_told_and_the_others_are_shown(library: Library) -> None:
    entry = added(library, "made")
    entry.path.write_bytes(b"no checkpoint")
    screen = Registry(library).screen(Choice())
    assert [each.entry.origin for each in screen.known] == ["bundled", "bundled"]
    assert screen.known[0].entry.sha256 == MODEL_IN_USE
    assert screen.unusable[0].startswith(f"{entry.title}: checkpoint.safetensors:")
