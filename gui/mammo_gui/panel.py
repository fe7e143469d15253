"""The three kinds of component that the Read tab is made of: HTML panels, the worklist, the viewer.

Their templates are constant. What changes travels as ``value``, and a small module of our own puts it in place: a
template with data in it would be compiled as code in the page. They are functions, because Gradio writes a stub file
beside every module that derives a component.
"""

from typing import Any

import gradio as gr

_PANEL = '<div class="panel"></div>'
_VIEWER = '<div class="mammo-viewer"></div>'


def html_panel(elem_id: str, *actions: str) -> gr.HTML:
    """HTML from ``views``; its buttons and forms come back as events named after their ``data-action``."""
    # Gradio offers an event where its name stands in quotes in this text.
    names = ", ".join(f"'{action}'" for action in actions)
    return _mounted("panel.js", elem_id, _PANEL, "", f", [{names}]")


def worklist_panel(elem_id: str) -> gr.HTML:
    """The worklist with its search box and sort buttons; the event ``pick`` carries the study chosen.

    Its value is what ``worklist.js`` takes: the table, the open study, what arrived, and answers to the page.
    """
    return _mounted("worklist.js", elem_id, _PANEL, {"html": "", "open": ""}, ", 'pick'")


def threshold_panel(elem_id: str, *actions: str) -> gr.HTML:
    """The Threshold tab's controls; its value is what ``threshold.js`` takes."""
    names = ", ".join(f"'{action}'" for action in actions)
    return _mounted("threshold.js", elem_id, _PANEL, {"html": ""}, f", [{names}]")


def viewer_panel(elem_id: str, value: dict[str, Any]) -> gr.HTML:
    """The mammography viewer; its value is the payload that ``views.payload`` makes."""
    return _mounted("viewer_panel.js", elem_id, _VIEWER, value, "")


def _mounted(module: str, elem_id: str, template: str, value: object, more: str) -> gr.HTML:
    """A component whose element is handed to ``mount`` of a module of the theme."""
    # A whole address: Gradio runs this text through Function(), and Chromium then resolves a bare path against the
    # page that ran the same text first, which may have been the app on another port.
    address = f"new URL('/mammo/static/theme/{module}', location.href)"
    start = f"import({address}).then(m => m.mount(element, props, trigger, watch{more}));"
    return gr.HTML(value, elem_id=elem_id, html_template=template, apply_default_css=False, js_on_load=start)
