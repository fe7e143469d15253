"""The second opinion beside the viewer: scores, threshold, model, warnings, and what the model saw."""

from collections.abc import Sequence

from mammo_core.library import AiRecord, BreastResult, ImageRecord, ModelRecord, StudyRecord, as_study
from mammo_core.projection import VIEWS
from mammo_gui.markup import Markup, element, join
from mammo_gui.views.facts import facts_of
from mammo_gui.views.hung import hung_images, labels
from mammo_gui.views.words import (
    SIDES,
    date_words,
    moment_words,
    patient_words,
    percent_words,
    score_words,
)

METHODS = {"gradcam": "Grad-CAM", "hirescam": "HiResCAM", "layercam": "LayerCAM"}


def result_html(
    study: StudyRecord | None,
    priors: Sequence[StudyRecord],
    prior_id: int | None,
    method: str,
    waiting: str,
    *,
    removed: bool = False,
) -> Markup:
    """The whole panel, what decides first. ``waiting`` says what the AI is doing where there is no result yet.

    Without a study, ``removed`` says that there was one.
    """
    if study is None:
        open_one = "Open an exam from the worklist, or drop one anywhere on this page."
        return element("p", f"This exam was removed. {open_one}" if removed else open_one, class_="empty")
    return join(
        _head(study),
        _opinion(study, waiting),
        _questions(study),
        _warnings(study),
        _priors(study, priors, prior_id),
        _about_model(study, method),
        _saw(study),
    )


def _head(study: StudyRecord) -> Markup:
    return element(
        "header",
        element("h2", patient_words(study), title=patient_words(study)),
        element(
            "div",
            element("span", date_words(study.date), class_="date"),
            element("span", "PHANTOM", class_="phantom") if study.phantom else None,
            element(
                "button",
                "Remove",
                class_="quiet",
                data_action="remove",
                data_study=study.id,
                data_confirm="Remove this exam, its AI results and its reads? This cannot be undone.",
            ),
        ),
        class_="exam-head",
    )


def _opinion(study: StudyRecord, waiting: str) -> Markup:
    if study.ai_hidden:
        text = "Blind mode: the second opinion is shown when your own call is recorded."
        return element(
            "section", element("h3", "Second opinion"), element("p", text, class_="hidden"), class_="opinion"
        )
    if study.ai is None:
        text = study.failure and f"The AI could not read this exam: {study.failure}"
        return element(
            "section",
            element("h3", "Second opinion"),
            element("p", text or waiting, class_="failed" if text else "waiting"),
            class_="opinion",
        )
    result = study.ai.result
    point = result.model.operating_point
    threshold = None if point is None else point.threshold
    return element(
        "section",
        element("h3", "Second opinion"),
        *_model_warnings(study, study.ai),
        element(
            "div",
            element("strong", score_words(result.score, threshold), class_="exam-score", id="exam-score"),
            element("span", _verdict(result.score, result.flagged, threshold), class_="verdict"),
            class_=f"exam {'flagged' if result.flagged else ''}",
        ),
        *(_bar(breast, threshold) for breast in result.breasts),
        _view_scores(study, study.ai, threshold),
        class_="opinion",
    )


def _about_model(study: StudyRecord, method: str) -> Markup | None:
    """Which model spoke, where its threshold comes from, and the choice of its heatmap."""
    if study.ai is None or study.ai_hidden:
        return None
    model = study.ai.result.model
    return element(
        "section",
        element("h3", "Model"),
        _method(study, study.ai, method),
        _limits(model),
        _model(model, study.ai.made_at),
        class_="about-model",
    )


def _model_warnings(study: StudyRecord, ai: AiRecord) -> list[Markup]:
    """What the model says against itself, such as that it knows phantoms only: beside its score, not below it."""
    about_study = set(as_study(study).warnings)
    return [
        element("p", warning, class_="loud", role="alert")
        for warning in ai.result.warnings
        if warning not in about_study
    ]


def _verdict(score: float | None, flagged: bool | None, threshold: float | None) -> str:
    if score is None:
        return "no view could be scored"
    if threshold is None:
        return "this model has no operating point"
    written = score_words(threshold, score)
    return f"at or above the threshold {written}" if flagged else f"below the threshold {written}"


def _bar(breast: BreastResult, threshold: float | None) -> Markup:
    mark = element("i", class_="mark", style=f"left:{100 * threshold:.2f}%") if threshold is not None else None
    share = 100 * min(max(breast.score, 0.0), 1.0)
    return element(
        "div",
        element("span", SIDES.get(breast.laterality, "Side not known"), class_="side"),
        element("span", element("b", style=f"width:{share:.2f}%"), mark, class_="track"),
        element("span", score_words(breast.score, threshold), class_="number"),
        class_=f"bar {'flagged' if breast.flagged else ''}",
    )


def _view_scores(study: StudyRecord, ai: AiRecord, threshold: float | None) -> Markup:
    cells, named = [], labels(study)
    for image in hung_images(study):
        view = ai.view(image.sha256)
        score = None if view is None else view.score
        missing = "not scored" if score is None else None
        cells.append(
            element(
                "span",
                element("em", named[image.sha256]),
                missing or score_words(score, threshold),
                title="; ".join(view.warnings) if view is not None and view.warnings else None,
            )
        )
    return element("div", *cells, class_="view-scores")


def _method(study: StudyRecord, ai: AiRecord, method: str) -> Markup | None:
    offered = ai.result.methods
    if not offered:
        return None
    options = [element("option", METHODS.get(name, name), value=name, selected=name == method) for name in offered]
    select = element("select", *options, name="method", data_action="method", data_study=study.id)
    return element("label", element("span", "Heatmap"), select, class_="field")


def _limits(model: ModelRecord) -> Markup | None:
    """What the model's card says against it, where its score and heat are looked at."""
    if not model.limits:
        return None
    listed = element("ul", *(element("li", limit) for limit in model.limits))
    return element("details", element("summary", "Limits"), listed, class_="limits")


def _model(model: ModelRecord, made_at: str) -> Markup:
    point = model.operating_point
    lines = [("Model", f"{model.name} {model.version}"), ("SHA-256", model.sha256[:12])]
    if point is not None:
        lines += [
            ("Threshold", f"{score_words(point.threshold)}: {point.rule}"),
            ("Sensitivity", _rate(point.sensitivity.value, point.sensitivity.low, point.sensitivity.high)),
            ("Specificity", _rate(point.specificity.value, point.specificity.low, point.specificity.high)),
            ("Measured on", f"{point.source} ({point.n} {point.unit}s, {point.positives} positive)"),
        ]
    lines += [("Trained on", model.training_domain), ("Read", moment_words(made_at))]
    pairs = [join(element("dt", name), element("dd", value)) for name, value in lines]
    return element("dl", *pairs, class_="model")


def _rate(value: float, low: float, high: float) -> str:
    return f"{percent_words(value)} (95 % CI {percent_words(low)} to {percent_words(high)})"


def _warnings(study: StudyRecord) -> Markup | None:
    named = labels(study)
    told = list(as_study(study).warnings)
    for image in hung_images(study):
        told += [f"{named[image.sha256]}: {warning}" for warning in _image_warnings(study, image)]
    unique = list(dict.fromkeys(told))
    if not unique:
        return None
    items = [element("li", warning) for warning in unique]
    return element("section", element("h3", "Attention"), element("ul", *items), class_="attention")


def _image_warnings(study: StudyRecord, image: ImageRecord) -> list[str]:
    view = None if study.ai is None or study.ai_hidden else study.ai.view(image.sha256)
    return [*image.header.warnings, *(() if view is None else view.warnings)]


def _priors(study: StudyRecord, priors: Sequence[StudyRecord], prior_id: int | None) -> Markup | None:
    if not priors:
        return None
    buttons = [
        element(
            "button",
            date_words(prior.date),
            data_action="compare",
            data_study=study.id,
            data_prior=prior.id,
            aria_pressed="true" if prior.id == prior_id else "false",
        )
        for prior in priors
    ]
    if prior_id is not None:
        buttons.append(element("button", "Without prior", data_action="compare", data_study=study.id, data_prior="0"))
    return element("section", element("h3", "Priors"), element("div", *buttons, class_="buttons"), class_="priors")


def _questions(study: StudyRecord) -> Markup | None:
    asked = [image for image in hung_images(study) if image.sha256 in study.unresolved]
    if not asked:
        return None
    text = "Side or view is missing or contradictory. Look at the picture and say which it is."
    named = labels(study)
    forms = [_assignment_form(study.id, image, named[image.sha256]) for image in asked]
    return element("section", element("h3", "Please answer"), element("p", text), *forms, class_="questions")


def _assignment_form(study_id: int, image: ImageRecord, label: str) -> Markup:
    """Dropdowns for the side and view of one image, and a button."""
    header = image.header
    name = header.file.replace("\\", "/").rsplit("/", 1)[-1]
    sides = [("", "side?"), ("R", "Right"), ("L", "Left")]
    views = [("", "view?"), *((view, view) for view in VIEWS)]
    return element(
        "form",
        element("span", element("b", label), f" {name}", class_="file", title=header.file),
        _select("laterality", sides, header.laterality or ""),
        _select("view", views, header.view or ""),
        element("input", type="hidden", name="sha256", value=image.sha256),
        element("button", "Confirm", type="submit"),
        data_action="correct",
        data_study=study_id,
        class_="assign",
    )


def _select(name: str, options: Sequence[tuple[str, str]], chosen: str) -> Markup:
    listed = [element("option", text, value=value, selected=value == chosen) for value, text in options]
    return element("select", *listed, name=name, required=True, aria_label=name)


def _saw(study: StudyRecord) -> Markup:
    blocks, named = [], labels(study)
    for image in hung_images(study):
        view = study.ai.view(image.sha256) if study.ai is not None and not study.ai_hidden else None
        pairs = [join(element("dt", name), element("dd", value)) for name, value in facts_of(image, view)]
        blocks.append(
            element(
                "details",
                element("summary", named[image.sha256]),
                element("dl", *pairs),
                _assignment_form(study.id, image, named[image.sha256]),
            )
        )
    return element("section", element("h3", "What the model saw"), *blocks, class_="saw")
