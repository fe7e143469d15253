"""The Models tab's left column as HTML: the models, bringing one in, and which was in use when."""

from collections.abc import Sequence

from mammo_core.intervals import Estimate
from mammo_core.library import ModelEntry, Promotion
from mammo_core.library.models import EVIDENCE
from mammo_gui.markup import Markup, element, join
from mammo_gui.registry import Known, Screen
from mammo_gui.views.words import moment_words

ORIGINS = {
    "bundled": "came with mammo-gui",
    "trained": "trained here",
    "imported": "imported",
    "session": "given by --model, this time only",
}


def models_html(screen: Screen, problem: str) -> Markup:
    """The whole column."""
    return join(
        element("section", element("h3", "Models"), _list(screen.known, screen.shown)),
        *(element("p", text, class_="loud") for text in screen.unusable),
        element("p", problem, class_="failed", role="alert", id="models-problem") if problem else None,
        element("section", element("h3", "Bring a model in"), _import()),
        element("section", element("h3", "In use"), _history(screen.promotions, screen.back_to)),
    )


def interval_words(found: Estimate) -> str:
    """A figure between 0 and 1 with its interval."""
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _list(known: Sequence[Known], shown: Known) -> Markup:
    return element("ul", *(_line(each, each == shown) for each in known), class_="models", id="models-list")


def _line(known: Known, chosen: bool) -> Markup:
    entry = known.entry
    auc = "no validation scores" if known.auc is None else f"validation ROC-AUC {interval_words(known.auc)}"
    button = element(
        "button",
        element("b", entry.name),
        element("span", entry.sha256[:8], class_="hash"),
        element("span", entry.use, class_="status done") if entry.use else None,
        element("span", _origin(entry), class_="dim"),
        element("span", auc, class_="dim"),
        type="button",
        data_action="choose",
        data_model=entry.sha256,
        aria_pressed="true" if chosen else "false",
    )
    return element("li", button)


def _origin(entry: ModelEntry) -> str:
    return f"{ORIGINS[entry.origin]}, {moment_words(entry.added_at)}" if entry.added_at else ORIGINS[entry.origin]


def _import() -> Markup:
    return join(
        element(
            "div",
            _chooser("Checkpoint file", accept=".safetensors"),
            _chooser("Run folder", webkitdirectory=True),
            class_="buttons",
        ),
        element("p", "A run's folder brings its learning curves and evaluation along.", class_="dim"),
    )


def _chooser(title: str, **how: str | bool) -> Markup:
    chosen = element(
        "input",
        type="file",
        data_send="/mammo/model",
        data_action="sent",
        data_beside=" ".join(EVIDENCE),
        aria_label=title,
        **how,
    )
    return element("label", title, chosen, class_="button")


def _history(promotions: Sequence[Promotion], back_to: ModelEntry | None) -> Markup:
    if not promotions:
        return element("p", "The bundled model, from the beginning.", class_="dim")
    back = None
    if back_to is not None:
        back = element(
            "form",
            element(
                "input", type="text", name="reason", placeholder="Reason, if you like", aria_label="Reason to go back"
            ),
            element("button", f"Go back to {back_to.title}", type="submit"),
            data_action="back",
            class_="back",
        )
    listed = [
        element(
            "li",
            element("b", promotion.name),
            element("span", promotion.sha256[:8], class_="hash"),
            element("q", promotion.reason),
            element("time", f"{promotion.who}, {moment_words(promotion.at)}"),
            _shown(promotion),
            class_="used" if number == 0 else None,
        )
        for number, promotion in enumerate(promotions)
    ]
    return join(back, element("ol", *listed, class_="versions", id="promotions"))


def _shown(promotion: Promotion) -> Markup | None:
    """What was on screen when it was decided."""
    if not promotion.detail:
        return None
    rows = [element("li", f"{name}: {value}") for name, value in promotion.detail.items()]
    when = element("summary", f"shown on {moment_words(promotion.at)}")
    return element("details", when, element("ul", *rows))
