"""Two models on the same cases as HTML, and putting one of them to use."""

from mammo_core.model_comparison import ModelComparison
from mammo_gui.bench import SOURCES
from mammo_gui.markup import Markup, element, join
from mammo_gui.registry import Comparison, Screen
from mammo_gui.views.words import score_words


def comparison_html(screen: Screen) -> Markup:
    """What it is compared with, the differences, and the form that puts the model to use."""
    return join(
        element("section", element("h3", "Compared on the same cases"), _choice(screen), _result(screen)),
        element("section", element("h3", "Use this model"), _promote(screen)),
    )


def _choice(screen: Screen) -> Markup:
    shown, comparison = screen.shown.entry.sha256, screen.comparison
    against = shown if comparison is None else comparison.against.entry.sha256
    others = [
        element("option", each.entry.title, value=each.entry.sha256, selected=each.entry.sha256 == against)
        for each in screen.known
    ]
    kinds = [
        element("option", title, value=name, selected=name == screen.choice.source) for name, title in SOURCES.items()
    ]
    rate = f"{100 * screen.choice.recall_rate:.4g}"
    return element(
        "div",
        _field("Against", element("select", *others, name="against", data_action="against", aria_label="Against")),
        _field("Cases", element("select", *kinds, name="source", data_action="source", aria_label="Cases")),
        element(
            "form",
            element("span", "Same recall rate, %"),
            element("input", type="text", inputmode="decimal", name="rate", value=rate, aria_label="Recall rate"),
            data_action="rate",
            class_="target",
        ),
        class_="against",
    )


def _field(title: str, control: Markup) -> Markup:
    return element("label", element("span", title), control, class_="field")


def _result(screen: Screen) -> Markup:
    comparison = screen.comparison
    if comparison is None:
        return element("p", "Choose another model to compare this one with.", class_="dim")
    if comparison.found is None:
        return join(element("p", comparison.problem, class_="loud", id="comparison-problem"), _unread(comparison))
    return join(
        element("p", comparison.warning, class_="loud") if comparison.warning else None,
        _table(screen, comparison, comparison.found),
    )


def _unread(comparison: Comparison) -> Markup | None:
    if not comparison.unread:
        return None
    return element("button", "Let both read them", type="button", data_action="read")


def _table(screen: Screen, comparison: Comparison, found: ModelComparison) -> Markup:
    first, second = screen.shown.entry.title, comparison.against.entry.title
    head = element("tr", *(element("th", name) for name in ("", first, second, "difference")))
    rows = [
        element(
            "tr",
            element("th", figure.title),
            element("td", f"{figure.first.value:.3f}"),
            element("td", f"{figure.second.value:.3f}"),
            element(
                "td",
                element("b", f"{figure.above.value:+.3f}"),
                f" ({figure.above.low:+.3f} to {figure.above.high:+.3f})",
                class_=_side(figure.above.low, figure.above.high),
                data_value=repr(figure.above.value),
            ),
        )
        for figure in found.figures
    ]
    thresholds = " and ".join(score_words(threshold) for threshold in found.thresholds)
    about = (
        f"{found.n} {found.unit}s of {found.patients} patients that both have scored, {found.positives} positive "
        f"({found.positives / found.n:.1%}). Differences with 95 % intervals over patients, both on the same draws; "
        f"each at its own threshold for that recall rate ({thresholds})."
    )
    table = element("table", element("thead", head), element("tbody", *rows), class_="figures", id="differences")
    return join(table, element("p", about, class_="dim"))


def _side(low: float, high: float) -> str | None:
    """Whether a difference is clear of 0."""
    return "better" if low > 0 else "worse" if high < 0 else None


def _promote(screen: Screen) -> Markup:
    entry = screen.shown.entry
    if entry.in_use and entry.origin != "session":
        return element("p", "Exams are read with this model.", class_="dim")
    told = (
        "What the comparison shows is kept with the reason. Exams are read anew; what was shown before stays on record."
    )
    return element(
        "form",
        element("input", type="text", name="reason", placeholder="Reason", aria_label="Reason to use it"),
        element("button", "Read with this model", type="submit", class_="primary"),
        element("p", told, class_="dim"),
        data_action="promote",
        class_="promote",
    )
