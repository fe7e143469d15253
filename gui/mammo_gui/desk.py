"""The Read tab without its widgets: what is selected, and the screen that belongs to it.

Everything here works without Gradio: one domain call, one view call.
"""

from dataclasses import dataclass, replace

from mammo_core.errors import InputError
from mammo_core.library import Library, StudyRecord
from mammo_gui.markup import Markup
from mammo_gui.views.call import call_html
from mammo_gui.views.payload import Json, payload
from mammo_gui.views.progress import progress_html
from mammo_gui.views.result import result_html
from mammo_gui.views.worklist import worklist_html
from mammo_gui.worker import Activity


@dataclass(frozen=True)
class Selection:
    """What one page shows: a study, a prior beside it, and a heatmap method."""

    study: int | None = None
    prior: int | None = None
    method: str = "gradcam"


@dataclass(frozen=True)
class Screen:
    """Everything the Read tab shows, as its components take it."""

    worklist: Markup
    viewer: Json
    result: Markup
    call: Markup
    progress: Markup


def opened(library: Library, selection: Selection, study_id: int | None) -> Selection:
    """Select a study. None, or one that is not there, leaves nothing selected."""
    known = {line.id for line in library.worklist()}
    return replace(selection, study=study_id if study_id in known else None, prior=None)


def compared(library: Library, selection: Selection, prior_id: int) -> Selection:
    """Put a prior beside the study, or take it away (0); InputError for a study that is no prior of it."""
    if selection.study is None or prior_id == 0:
        return replace(selection, prior=None)
    if prior_id not in {prior.id for prior in library.priors(selection.study)}:
        raise InputError(f"study {prior_id}", "is not an earlier study of the same patient")
    return replace(selection, prior=prior_id)


def screen(library: Library, activity: Activity, selection: Selection) -> Screen:
    """The screen of a selection, from what the library holds now."""
    lines = library.worklist()
    study = None if selection.study is None else library.study(selection.study)
    priors = [] if study is None else library.priors(study.id)
    prior = next((found for found in priors if found.id == selection.prior), None)
    return Screen(
        worklist=worklist_html(lines),
        viewer=payload(study, prior, _method(study, selection.method)),
        result=result_html(study, priors, selection.prior, _method(study, selection.method), activity.model),
        call=call_html(study, library.reader, library.blind),
        progress=progress_html(activity, empty=not lines),
    )


def _method(study: StudyRecord | None, wanted: str) -> str:
    """The wanted heatmap method where the AI result has it, else the first that it has."""
    found = [] if study is None or study.ai is None else sorted({name for _, name in study.ai.heats})
    return wanted if wanted in found or not found else found[0]
