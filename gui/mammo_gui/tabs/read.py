"""The Read tab: worklist, viewer, second opinion and the reader's own call on one screen. Widgets and wiring only."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from mammo_core.errors import InputError
from mammo_core.library import Library
from mammo_gui import forms
from mammo_gui.desk import Selection, compared, opened, screen
from mammo_gui.panel import html_panel, viewer_panel, worklist_panel
from mammo_gui.views.payload import payload
from mammo_gui.worker import Worker

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
STUDY_OF_ADDRESS = "() => [new URL(location.href).searchParams.get('study') ?? '']"

Fields = dict[str, object]
Handler = Callable[[Selection, Fields], Selection]


@dataclass(frozen=True)
class Shown:
    """What one page has of us: so that only what changed is drawn, and that it knows which question was answered."""

    revision: str = ""
    picture: str = ""
    asked: str = ""
    """The page's name for the last exam that it asked for."""
    recorded: str = ""
    """The page's name for the call form that was recorded last."""


def build_read_tab(demo: gr.Blocks, library: Library, worker: Worker) -> None:
    """Make the tab inside ``demo`` and connect it to the library and the background worker."""
    selection, shown = gr.State(Selection()), gr.State(Shown())
    address = gr.Textbox(visible=False)
    with gr.Row(elem_id="desk"):
        with gr.Column(elem_id="left"):
            progress = html_panel("progress", "demo", "dismiss")
            worklist = worklist_panel("worklist")
        with gr.Column(elem_id="middle"):
            viewer = viewer_panel("viewer", payload(None, None, ""))
        with gr.Column(elem_id="right"):
            result = html_panel("result", "correct", "compare", "method", "remove")
            call = html_panel("call", "record", "reader", "blind")
    outputs = [selection, shown, worklist, viewer, result, call, progress]
    answers = Answers(library, worker, len(outputs))
    events = {
        worklist.pick: answers.pick,
        result.correct: answers.correct,
        result.compare: answers.compare,
        result.method: answers.method,
        result.remove: answers.remove,
        call.record: answers.record,
        call.reader: answers.reader,
        call.blind: answers.blind,
        progress.demo: answers.make_demo,
        progress.dismiss: answers.dismiss,
    }
    # One at a time and answered in order: what was drawn for the study before must not come after the one now open.
    quiet: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_id": "desk",
        "concurrency_limit": 1,
    }
    for event, handler in events.items():
        # Whoever holds an arrow key down sees the study that they stop at.
        mode = "multiple" if handler == answers.pick else "once"
        event(answers.to(handler), inputs=[selection, shown], outputs=outputs, trigger_mode=mode, **quiet)
    gr.Timer(POLL_SECONDS).tick(answers.tick, inputs=[selection, shown], outputs=outputs, **quiet)
    demo.load(answers.arrive, inputs=address, outputs=outputs, js=STUDY_OF_ADDRESS, **quiet)


class Answers:
    """What the page is answered: one method per event, each a domain call, then the screen drawn anew."""

    def __init__(self, library: Library, worker: Worker, outputs: int) -> None:
        self._library = library
        self._worker = worker
        self._nothing = [gr.skip()] * outputs

    def to(self, handler: Handler) -> Callable[..., list[Any]]:
        """A callback: do what an event of the page asks for, draw, and say in words what cannot be done."""

        def callback(now: Selection, seen: Shown, event: gr.EventData) -> list[Any]:
            fields, problem = dict(event._data or {}), ""
            try:
                now = handler(now, fields)
                seen = replace(seen, recorded=forms.text_of(fields, "form") or seen.recorded)
            except InputError as error:
                problem = str(error)
            except Exception:
                logger.exception("an event of the page failed")
                problem = "This did not work: unexpected error; the terminal says what."
            asked = replace(seen, asked=forms.text_of(fields, "asked") or seen.asked)
            return self._drawn(now, asked, problem)

        return callback

    def pick(self, now: Selection, fields: Fields) -> Selection:
        """Open a study; without one, none."""
        return opened(self._library, now, forms.number(fields, "study") if fields.get("study") else None)

    def record(self, now: Selection, fields: Fields) -> Selection:
        """Keep the reader's call."""
        self._library.record_read(forms.number(fields, "study"), forms.call_of(fields))
        return now

    def correct(self, now: Selection, fields: Fields) -> Selection:
        """Take the reader's word for side and view, and let the AI read again."""
        self._library.correct(*forms.correction_of(fields))
        self._worker.read_again()
        return now

    def remove(self, now: Selection, fields: Fields) -> Selection:
        """Remove a study."""
        self._library.remove(forms.number(fields, "study"))
        return Selection(method=now.method, removed=True)

    def compare(self, now: Selection, fields: Fields) -> Selection:
        """Put a prior beside the study, or take it away."""
        return compared(self._library, now, forms.number(fields, "prior"))

    def method(self, now: Selection, fields: Fields) -> Selection:
        """Choose a heatmap method."""
        return replace(now, method=forms.text_of(fields, "value"))

    def reader(self, now: Selection, fields: Fields) -> Selection:
        """Say who reads."""
        self._library.set_reader(forms.text_of(fields, "reader"))
        return now

    def blind(self, now: Selection, fields: Fields) -> Selection:
        """Switch blind mode."""
        self._library.set_blind(fields.get("checked") is True)
        return now

    def make_demo(self, now: Selection, _: Fields) -> Selection:
        """Make the demo exams."""
        self._worker.make_demo()
        return now

    def dismiss(self, now: Selection, _: Fields) -> Selection:
        """Forget what came of the last addition."""
        self._worker.dismiss()
        return now

    def tick(self, now: Selection, seen: Shown) -> list[Any]:
        """Follow the background: draw where something changed."""
        self._worker.page_shown()
        try:
            unchanged = seen.revision == self._revision()
        except Exception:
            logger.exception("the library does not answer")
            return self._nothing
        return self._nothing if unchanged else self._drawn(now, seen)

    def arrive(self, address: str) -> list[Any]:
        """A page was opened or loaded again: show the study that its address names."""
        study_id = int(address) if address.isascii() and address.isdigit() and len(address) < 16 else None
        return self._drawn(opened(self._library, Selection(), study_id), Shown())

    def _revision(self) -> str:
        return f"{self._library.revision()}/{self._worker.revision}"

    def _drawn(self, now: Selection, seen: Shown, problem: str = "") -> list[Any]:
        """The outputs: what has changed since ``seen``, and the answer to what the page asked."""
        answer: dict[str, object] = {"asked": seen.asked, "problem": problem}
        try:
            revision, activity = self._revision(), self._worker.activity
            drawn = screen(self._library, activity, now, seen.recorded)
        except Exception as error:
            logger.exception("the screen could not be drawn")
            answer["problem"] = str(error) if isinstance(error, InputError) else "unexpected error; see the terminal"
            return [now, seen, answer, *self._nothing[3:]]
        token = replace(seen, revision=revision, picture=str(drawn.viewer["nonce"]))
        picture = gr.skip() if seen.picture == token.picture else drawn.viewer
        arrived = activity.arrived
        answer |= {"html": drawn.worklist, "open": drawn.viewer["study"]}
        answer |= {"arrived": None if arrived is None else {"study": str(arrived.study), "batch": arrived.batch}}
        return [drawn.selection, token, answer, picture, drawn.result, drawn.call, drawn.progress]
