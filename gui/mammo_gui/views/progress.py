"""What the app is doing in the background, and what it could not read."""

from mammo_gui.markup import Markup, element, join
from mammo_gui.worker import Activity


def progress_html(activity: Activity, empty: bool) -> Markup:
    """A bar while something runs, what came of the last addition, refused files; a first step where it is empty."""
    return join(_running(activity), _outcome(activity), _refused(activity), _first_step(activity, empty))


def _running(activity: Activity) -> Markup | None:
    if not activity.doing:
        return None
    known = activity.total > 0
    bar = element("progress", value=activity.done if known else None, max=activity.total if known else None)
    count = f" {activity.done} of {activity.total}" if known else ""
    return element("div", element("span", f"{activity.doing}{count}"), bar, class_="running", role="status")


def _outcome(activity: Activity) -> Markup | None:
    if not activity.outcome:
        return None
    show = None
    if activity.opened is not None:
        show = element("button", "Show", class_="quiet", data_action="pick", data_study=activity.opened)
    clear = element("button", "Dismiss", class_="quiet", data_action="dismiss")
    return element("p", element("span", activity.outcome, role="status"), show, clear, class_="outcome")


def _refused(activity: Activity) -> Markup | None:
    if not activity.refused:
        return None
    items = [element("li", element("b", refusal.file), element("span", refusal.reason)) for refusal in activity.refused]
    count = len(activity.refused)
    title = "1 file was not added" if count == 1 else f"{count} files were not added"
    return element("details", element("summary", title), element("ul", *items), class_="refused", open=True)


def _first_step(activity: Activity, empty: bool) -> Markup | None:
    if not empty or activity.doing:
        return None
    return element(
        "div",
        element("p", "The library is empty. Drop an exam anywhere on this page, or begin with synthetic exams."),
        element("button", "Make demo exams", data_action="demo", class_="primary"),
        class_="first-step",
    )
