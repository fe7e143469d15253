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
    removed: bool = False
    """No study is shown because the one that was is not in the library any more."""


@dataclass(frozen=True)
class Screen:
    """Everything the Read tab shows, as its components take it, and the selection that it turned out to be."""

    selection: Selection
    worklist: Markup
    viewer: Json
    result: Markup
    call: Markup
    progress: Markup


def opened(library: Library, selection: Selection, study_id: int | None) -> Selection:
    """Select a study. None leaves nothing selected, one that is not there neither, which is remembered."""
    known = study_id in {line.id for line in library.worklist()}
    removed = study_id is not None and not known
    return replace(selection, study=study_id if known else None, prior=None, removed=removed)


def compared(library: Library, selection: Selection, prior_id: int) -> Selection:
    """Put a prior beside the study, or take it away (0); InputError for a study that is no prior of it."""
    if selection.study is None or prior_id == 0:
        return replace(selection, prior=None)
    if prior_id not in {prior.id for prior in library.priors(selection.study)}:
        raise InputError(f"study {prior_id}", "is not an earlier study of the same patient")
    return replace(selection, prior=prior_id)


def screen(library: Library, activity: Activity, selection: Selection, recorded: str = "") -> Screen:
    """The screen of a selection, from what the library holds now; nothing selected where the study was removed.

    ``recorded`` names the form whose call was kept last (see ``call_html``). That AI is shown is remembered.
    """
    lines = library.worklist()
    if selection.study is not None and selection.study not in {line.id for line in lines}:
        selection = replace(selection, study=None, prior=None, removed=True)
    study = None if selection.study is None else library.study(selection.study)
    priors = [] if study is None else library.priors(study.id)
    prior = next((found for found in priors if found.id == selection.prior), None)
    library.ai_shown(
        [line.id for line in lines if line.score is not None]
        + [each.id for each in (study, prior) if each is not None and each.ai is not None and not each.ai_hidden]
    )
    method = _method(study, selection.method)
    return Screen(
        selection=selection,
        worklist=worklist_html(lines),
        viewer=payload(study, prior, method),
        result=result_html(study, priors, selection.prior, method, activity.model, removed=selection.removed),
        call=call_html(study, library.reader, library.blind, recorded),
        progress=progress_html(activity, empty=not lines),
    )


def _method(study: StudyRecord | None, wanted: str) -> str:
    """The wanted heatmap method where the model offers it, else the model's default; never one for another."""
    offered = () if study is None or study.ai is None else study.ai.result.methods
    return wanted if wanted in offered or not offered else offered[0]
