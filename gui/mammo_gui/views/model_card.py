"""A model's card as HTML: what it is for, what it learnt from and how, what it does not know (Mitchell et al. 2019)."""

import tomllib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mammo_core.operating_point import OperatingPoint, Rate
from mammo_core.phases import Phase
from mammo_gui.markup import Markup, element, join
from mammo_gui.registry import Known
from mammo_gui.views.words import score_words

if TYPE_CHECKING:
    from mammo_core.checkpoint import CheckpointHeader, TrainingRecord

Rows = Sequence[tuple[str, str | Markup | None]]

_TRAINED: dict[str | int, str] = {"all": "all layers", 1: "the head"}
"""What a phase trains, where it has a name."""


def card_html(known: Known) -> Markup:
    """The whole card."""
    entry, header = known.entry, known.header
    card = header.card
    loud = None
    if header.training_domain == "phantom":
        loud = element("p", "Synthetic phantoms only: says nothing about a real breast.", class_="loud")
    return join(
        element(
            "header",
            element("h2", f"{entry.name} {header.version}"),
            element("span", entry.use, class_="status done") if entry.use else None,
            element("p", card.summary),
            loud,
        ),
        element(
            "div",
            _part("What it is for", (("Intended use", card.intended_use), ("Limits", _listed(card.limits)))),
            _part(
                "What it learnt from",
                (
                    ("Data", card.training_data),
                    ("Terms of the data", card.data_terms),
                    ("Views", ", ".join(card.views) or "not stated"),
                    ("Manufacturers", ", ".join(card.manufacturers) or "not stated"),
                    *_origin(header.training),
                ),
            ),
            _part("What it looks at", _inputs(header)),
            _part("Its figures", (*_figures(known), ("Results", _listed(card.results)))),
            class_="card",
        ),
        _phases(header.training),
        element("p", element("b", "SHA-256 "), element("code", entry.sha256), class_="dim"),
        element("p", element("b", "Made by "), element("code", card.reproduce), class_="dim"),
    )


def _part(title: str, rows: Rows) -> Markup:
    pairs = [join(element("dt", name), element("dd", value)) for name, value in rows if value]
    return element("section", element("h3", title), element("dl", *pairs))


def _listed(texts: Sequence[str]) -> Markup | None:
    return element("ul", *(element("li", text) for text in texts)) if texts else None


def _inputs(header: "CheckpointHeader") -> Rows:
    inputs = header.inputs
    normalised = ", ".join(f"({mean:g}, {std:g})" for mean, std in zip(inputs.mean, inputs.std, strict=True))
    shown = (
        f"breast with a margin of {inputs.margin:.0%}, the file's first VOI, bright is dense, chest wall to the left, "
        f"fitted into {inputs.height} x {inputs.width} pixels; mean and deviation {normalised}"
    )
    calibration = header.calibration
    calibrated = "none: its score is no probability"
    if calibration is not None:
        calibrated = (
            f"per {calibration.unit} on {calibration.source}; probabilities hold where "
            f"{calibration.stated_prevalence:.1%} are positive"
        )
    return (
        ("Network", header.architecture.in_words),
        ("Preprocessing", shown),
        ("Calibration", calibrated),
    )


def _figures(known: Known) -> Rows:
    found: list[tuple[str, str | Markup | None]] = []
    validation = known.header.validation
    if validation is not None:
        positives = sum(validation.labels)
        cases = f"{len(validation.scores)} {validation.unit}s of {len(set(validation.patients))} patients, "
        found.append(("Validation", f"{cases}{positives} positive ({positives / len(validation.scores):.1%})"))
    if known.auc is not None:
        auc = known.auc
        found.append(("ROC-AUC", f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f}), on validation"))
    point = known.header.operating_point
    if point is not None:
        found.append(("Own threshold", _point(point)))
    return found


def _point(point: OperatingPoint) -> str:
    def rate(name: str, found: Rate) -> str:
        return f"{name} {found.value:.1%} ({found.low:.1%} to {found.high:.1%})"

    rates = f"{rate('sensitivity', point.sensitivity)}, {rate('specificity', point.specificity)}"
    return f"{score_words(point.threshold)}: {rates} per {point.unit}. {point.source}"


def _origin(training: "TrainingRecord | None") -> Rows:
    if training is None:
        return ()
    return (
        ("Trained", training.spent_in_words),
        ("Data set", element("code", training.data_sha256[:16])),
        ("Split", element("code", training.split_sha256[:16])),
    )


def _phases(training: "TrainingRecord | None") -> Markup | None:
    """The phases of the recipe stored with the model; nothing where there is none, or one of another version."""
    if training is None:
        return None
    try:
        phases = [Phase.model_validate(each) for each in tomllib.loads(training.recipe).get("phases", [])]
    except (tomllib.TOMLDecodeError, ValidationError, TypeError, AttributeError):
        return None
    rows = [
        element(
            "tr",
            element("th", phase.name),
            element("td", _subset(phase)),
            element("td", _TRAINED.get(phase.trained, f"last {phase.trained} groups")),
            element("td", str(phase.epochs)),
            element("td", f"{phase.learning_rate:g}"),
            element("td", phase.about, class_="about"),
        )
        for phase in phases
    ]
    head = element("tr", *(element("th", name) for name in ("phase", "images", "trained", "epochs", "rate", "why")))
    table = element("table", element("thead", head), element("tbody", *rows), class_="phases")
    return element("section", element("h3", "Phases"), table)


def _subset(phase: Phase) -> str:
    kind = phase.subset.kind.replace("_", " ")
    return kind if phase.subset.images is None else f"{kind}, {phase.subset.images}"
