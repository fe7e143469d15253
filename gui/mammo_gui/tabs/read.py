"""The Read tab: worklist, viewer, second opinion and the reader's own call on one screen. Widgets and wiring only."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr

from mammo_core.errors import InputError
from mammo_core.library import Library
from mammo_gui import forms
from mammo_gui.desk import Selection, compared, opened, screen
from mammo_gui.markup import element
from mammo_gui.panel import html_panel, viewer_panel, worklist_panel
from mammo_gui.views.payload import payload
from mammo_gui.worker import Worker

POLL_SECONDS = 1.0
STUDY_OF_ADDRESS = "() => [new URL(location.href).searchParams.get('study') ?? '']"

Handler = Callable[[Selection, dict[str, object]], Selection]


def build_read_tab(demo: gr.Blocks, library: Library, worker: Worker) -> None:
    """Make the tab inside ``demo`` and connect it to the library and the background worker."""
    selection, shown = gr.State(Selection()), gr.State(("", ""))
    address = gr.Textbox(visible=False)
    with gr.Row(elem_id="desk"):
        with gr.Column(elem_id="left"):
            progress = html_panel("progress", "demo", "dismiss", "pick")
            worklist = worklist_panel("worklist")
        with gr.Column(elem_id="middle"):
            viewer = viewer_panel("viewer", payload(None, None, ""))
        with gr.Column(elem_id="right"):
            result = html_panel("result", "correct", "compare", "method", "remove")
            call = html_panel("call", "record", "reader", "blind")
    panels = [worklist, viewer, result, call, progress]
    outputs = [selection, shown, *panels]

    def show(now: Selection, seen: tuple[str, str]) -> list[Any]:
        """Draw what has changed since ``seen``: the state of the library, and the picture that the viewer has."""
        drawn = screen(library, worker.activity, now)
        token = (f"{library.revision()}/{worker.revision}", str(drawn.viewer["nonce"]))
        picture = gr.skip() if seen[1] == token[1] else drawn.viewer
        lines = {"html": drawn.worklist, "open": drawn.viewer["study"]}
        return [now, token, lines, picture, drawn.result, drawn.call, drawn.progress]

    def acting(handler: Handler) -> Callable[..., list[Any]]:
        """A callback: do what an event of the page asks for, say in words what cannot be done, draw."""

        def callback(now: Selection, seen: tuple[str, str], event: gr.EventData) -> list[Any]:
            try:
                now = handler(now, dict(event._data or {}))
            except InputError as error:
                # Toasts are drawn as HTML.
                gr.Warning(element("span", str(error)), title="Not done")
            return show(now, seen)

        return callback

    def pick(now: Selection, fields: dict[str, object]) -> Selection:
        return opened(library, now, forms.number(fields, "study"))

    def record(now: Selection, fields: dict[str, object]) -> Selection:
        library.record_read(forms.number(fields, "study"), forms.call_of(fields))
        return now

    def correct(now: Selection, fields: dict[str, object]) -> Selection:
        library.correct(*forms.correction_of(fields))
        worker.read_again()
        return now

    def remove(now: Selection, fields: dict[str, object]) -> Selection:
        library.remove(forms.number(fields, "study"))
        return Selection(method=now.method)

    def compare(now: Selection, fields: dict[str, object]) -> Selection:
        return compared(library, now, forms.number(fields, "prior"))

    def method(now: Selection, fields: dict[str, object]) -> Selection:
        return replace(now, method=forms.text_of(fields, "value"))

    def reader(now: Selection, fields: dict[str, object]) -> Selection:
        library.set_reader(forms.text_of(fields, "reader"))
        return now

    def blind(now: Selection, fields: dict[str, object]) -> Selection:
        library.set_blind(fields.get("checked") is True)
        return now

    def make_demo(now: Selection, _: dict[str, object]) -> Selection:
        worker.make_demo()
        return now

    def dismiss(now: Selection, _: dict[str, object]) -> Selection:
        worker.dismiss()
        return now

    def tick(now: Selection, seen: tuple[str, str]) -> list[Any]:
        """Follow the background: draw where something changed, open what was just added where nothing is open."""
        worker.page_shown()
        if seen[0] == f"{library.revision()}/{worker.revision}":
            return [gr.skip()] * len(outputs)
        if now.study is None and worker.activity.opened is not None:
            now = opened(library, now, worker.activity.opened)
        return show(now, seen)

    def arrive(address: str) -> list[Any]:
        """A page was opened or loaded again: show the study that its address names."""
        study_id = int(address) if address.isascii() and address.isdigit() and len(address) < 16 else None
        return show(opened(library, Selection(), study_id), ("", ""))

    # One at a time and answered in order: what was drawn for the study before must not come after the one now open.
    quiet: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_id": "desk",
        "concurrency_limit": 1,
    }
    events = {
        worklist.pick: pick,
        result.correct: correct,
        result.compare: compare,
        result.method: method,
        result.remove: remove,
        call.record: record,
        call.reader: reader,
        call.blind: blind,
        progress.demo: make_demo,
        progress.dismiss: dismiss,
        progress.pick: pick,
    }
    for event, handler in events.items():
        # Whoever holds an arrow key down sees the study that they stop at.
        mode = "multiple" if handler is pick else "once"
        event(acting(handler), inputs=[selection, shown], outputs=outputs, trigger_mode=mode, **quiet)
    gr.Timer(POLL_SECONDS).tick(tick, inputs=[selection, shown], outputs=outputs, **quiet)
    demo.load(arrive, inputs=address, outputs=outputs, js=STUDY_OF_ADDRESS, **quiet)
