"""The web application: FastAPI around Gradio, with its guards and routes. Importing this module imports Gradio."""

import gradio as gr
from fastapi import FastAPI

from mammo_core.banner import BANNER
from mammo_core.library import Library
from mammo_gui.first_script import FirstScript
from mammo_gui.markup import element
from mammo_gui.routes import add_routes
from mammo_gui.security import secure
from mammo_gui.tabs.models import build_models_tab
from mammo_gui.tabs.read import build_read_tab
from mammo_gui.tabs.threshold import build_threshold_tab
from mammo_gui.tabs.train import build_train_tab
from mammo_gui.training import Training
from mammo_gui.worker import Worker

TITLE = "mammo-gui"
GONE = (
    "mammo-gui was ended or cannot be reached; start it again. "
    "This page then goes on where it is, with what you have typed."
)
_TEMPORARY_SECONDS = 3600

_HEAD = """
<link rel="stylesheet" href="/mammo/static/viewer/viewer.css">
<link rel="stylesheet" href="/mammo/static/theme/app.css">
<link rel="stylesheet" href="/mammo/static/theme/bench.css">
<link rel="stylesheet" href="/mammo/static/theme/threshold.css">
<link rel="stylesheet" href="/mammo/static/theme/models.css">
<link rel="stylesheet" href="/mammo/static/theme/train.css">
<script type="module" src="/mammo/static/theme/page.js"></script>
"""


def build_app(library: Library, worker: Worker, training: Training, host: str) -> FastAPI:
    """The whole application, for a server bound to ``host``. Nothing of it is fetched from another machine."""
    app = FastAPI(title=TITLE, docs_url=None, redoc_url=None, openapi_url=None)
    add_routes(app, library, worker, training)
    gr.mount_gradio_app(
        app,
        _build_page(library, worker, training),
        path="/",
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        footer_links=[],
        run_history=False,
        show_error=False,
        # Exams come by our own route; Gradio's upload is not used.
        max_file_size="1mb",
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        head=_HEAD,
    )
    app.add_middleware(FirstScript, address="/mammo/static/theme/leaving.js")
    secure(app, host)
    return app


def _build_page(library: Library, worker: Worker, training: Training) -> gr.Blocks:
    demo: gr.Blocks
    with gr.Blocks(
        title=TITLE,
        analytics_enabled=False,
        delete_cache=(_TEMPORARY_SECONDS, _TEMPORARY_SECONDS),
        fill_width=True,
    ) as demo:
        gr.HTML(_top(), elem_id="top", apply_default_css=False, js_on_load=None)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Read", id="read"):
                build_read_tab(demo, library, worker)
            with gr.Tab("Threshold", id="threshold") as threshold:
                build_threshold_tab(threshold, library)
            with gr.Tab("Models", id="models") as models:
                build_models_tab(models, library, worker)
            with gr.Tab("Train", id="train") as train:
                build_train_tab(train, training)
    return demo


def _top() -> str:
    return element(
        "div",
        element("h1", TITLE),
        element("strong", BANNER, id="banner"),
        element(
            "span",
            element("span", id="sending", role="status"),
            element("button", "Add files", id="add-files", type="button"),
            element("button", "Add folder", id="add-folder", type="button"),
            element("a", "Export reads", href="/mammo/reads.csv", download=True, id="export", class_="button"),
            class_="actions",
        ),
        element("p", id="notice", role="alert", hidden=True, title="Close"),
        element("p", GONE, id="gone", role="alert"),
        class_="top",
    )
