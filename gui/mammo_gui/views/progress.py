"""What the app is doing in the background, and what it could not read."""

from mammo_gui.markup import Markup, element, join
from mammo_gui.worker import Activity

MOST_REFUSED = 50
"""Refused files listed by name; the others are counted."""


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
    told = " ".join(text for text in (activity.notice, activity.outcome) if text)
    if not told:
        return None
    show = None
    if activity.arrived is not None:
        show = element("button", "Show", class_="quiet", data_action="pick", data_study=activity.arrived.study)
    clear = element("button", "Dismiss", class_="quiet", data_action="dismiss")
    return element("p", element("span", told, role="status"), show, clear, class_="outcome")


def _refused(activity: Activity) -> Markup | None:
    """The refused files under their count; ``data-glance`` closes the list when the user turns to something else."""
    if not activity.refused:
        return None
    count = len(activity.refused)
    listed = activity.refused[:MOST_REFUSED]
    items = [element("li", element("b", refusal.file), element("span", refusal.reason)) for refusal in listed]
    if count > len(listed):
        items.append(element("li", element("span", f"and {count - len(listed):,} more")))
    title = "1 file was not added" if count == 1 else f"{count:,} files were not added"
    return element(
        "details", element("summary", title), element("ul", *items), class_="refused", open=True, data_glance=True
    )


def _first_step(activity: Activity, empty: bool) -> Markup | None:
    if not empty:
        return None
    drop = "Drop an exam anywhere on this page: files, a folder or a .zip archive."
    if activity.doing:
        return element("div", element("p", drop), class_="first-step")
    return element(
        "div",
        element("p", f"The library is empty. {drop} Or begin with synthetic exams."),
        element("button", "Make demo exams", data_action="demo", class_="primary"),
        class_="first-step",
    )
