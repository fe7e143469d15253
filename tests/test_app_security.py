"""Who the app answers, and what it sends: hosts, origins, headers, path parameters, blind mode."""

import hashlib
import re
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app_server import AppServer, app_server
from made import MODEL_IN_USE, made_header, made_point
from mammo_core.library import AiResult, BreastCall, Call, HeatRecord, Library, ModelRecord, ViewResult
from mammo_core.mammogram import Mammogram, VoiLut
from mammo_gui.security import allowed_hosts, is_loopback, secure

SHA = hashlib.sha256(b"file").hexdigest()
HEAT = bytes([0, 128, 255])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app on a library with one image, an AI result and a heatmap."""
    folder = tmp_path_factory.mktemp("app") / "library"
    header = made_header(2, 3, sha256=SHA, vois=(VoiLut.of(7, (1, 2, 770), 12, "table"),))
    pixels = np.arange(6, dtype=np.uint16).reshape(2, 3)
    with Library(folder) as opened:
        opened.set_demo_made()
        (opened.folder.parent / "file").write_bytes(b"file")
        added = opened.add_image(Mammogram(header, pixels), opened.folder.parent / "file", phantom=False)
        study = opened.study(added)
        view = ViewResult(SHA, "L", "CC", 0.75, (), (), ())
        result = AiResult(
            ModelRecord("made", "1", MODEL_IN_USE, "phantom", made_point(0.5)),
            0.75,
            True,
            (),
            (view,),
            (),
            ("gradcam",),
        )
        heat = HeatRecord("gradcam", hashlib.sha256(HEAT).hexdigest(), 1, 3, 4.0)
        opened.record_ai(study, result, [(SHA, heat, HEAT)])
    with app_server(folder) as started:
        yield started


@pytest.fixture
def library(server: AppServer) -> Iterator[Library]:
    """The library that the app uses, opened a second time."""
    with Library(server.library) as opened:
        yield opened


@pytest.fixture
def client(server: AppServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as opened:
        yield opened


def test_the_page_is_served_with_its_guards(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_the_page_runs_a_script_of_its_own_first(client: httpx.Client) -> None:
    answer = client.get("/")
    scripts = re.findall(r'<script[^>]*src="([^"]+)"', answer.text)
    assert scripts[0] == "/mammo/static/theme/leaving.js"
    assert answer.text.index("<head><script") < answer.text.index("<meta")
    assert b"mammo-leaving" in client.get(scripts[0]).content
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:7860"])
def test_another_host_name_is_refused(client: httpx.Client, host: str) -> None:
    answer = client.get(f"/mammo/pixels/{SHA}", headers={"Host": host})
    assert answer.status_code == 400
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
@pytest.mark.parametrize("path", [f"/mammo/intake/{'0' * 32}/done", "/gradio_api/queue/join", "/gradio_api/upload"])
def test_a_post_of_another_origin_is_refused(client: httpx.Client, origin: str, path: str) -> None:
    assert client.post(path, headers={"Origin": origin}).status_code == 403


@pytest.mark.parametrize(
    ("origin", "let_in"), [("http://evil.example", False), ("null", False), ("http://127.0.0.1", True)]
)
def test_a_websocket_of_another_origin_is_refused(origin: str, let_in: bool) -> None:
    app = FastAPI()

    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("in")

    secure(app, "127.0.0.1")
    client = TestClient(app, base_url="http://127.0.0.1")
    headers = {"Origin": origin}
    if let_in:
        with client.websocket_connect("ws://127.0.0.1/echo", headers=headers) as socket:
            assert socket.receive_text() == "in"
    else:
        with (
            pytest.raises(WebSocketDisconnect) as refused,
            client.websocket_connect("ws://127.0.0.1/echo", headers=headers),
        ):
            pass
        assert refused.value.code == 1008


def test_a_cross_site_post_without_origin_is_refused(client: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert client.post(f"/mammo/intake/{'0' * 32}/done", headers=headers).status_code == 403


def test_no_origin_is_ever_allowed_to_read(client: httpx.Client) -> None:
    for path in ("/", f"/mammo/pixels/{SHA}", "/config"):
        answer = client.get(path, headers={"Origin": "http://evil.example"})
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_there_is_no_machine_description(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("name", ["0" * 63, "g" * 64, SHA.upper(), "..%2f..%2fetc%2fpasswd", f"{SHA}.gz", "0" * 64])
@pytest.mark.parametrize("kind", ["pixels/{}", "heat/{}?method=gradcam", "lut/{}/0"])
def test_only_hashes_of_held_images_are_answered(client: httpx.Client, kind: str, name: str) -> None:
    assert client.get("/mammo/" + kind.format(name)).status_code in {404, 422}


def test_pixels_are_the_hung_words_and_may_be_kept(client: httpx.Client) -> None:
    answer = client.get(f"/mammo/pixels/{SHA}")
    assert answer.content == np.arange(6, dtype="<u2").tobytes()
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert "private" in answer.headers["cache-control"]


def test_a_lookup_table_is_words_and_other_numbers_are_not_found(client: httpx.Client) -> None:
    assert client.get(f"/mammo/lut/{SHA}/0").content == bytes([1, 0, 2, 0, 2, 3])
    assert client.get(f"/mammo/lut/{SHA}/1").status_code == 404
    assert client.get(f"/mammo/lut/{SHA}/-1").status_code == 404


def test_a_post_of_the_page_itself_is_answered(client: httpx.Client, server: AppServer) -> None:
    answer = client.post(f"/mammo/intake/{'0' * 32}/done", headers={"Origin": server.url})
    assert answer.status_code == 422


def test_blind_mode_keeps_ai_on_the_server(client: httpx.Client, library: Library) -> None:
    assert client.get(f"/mammo/heat/{SHA}?method=gradcam").content == HEAT
    library.set_blind(True)
    answer = client.get(f"/mammo/heat/{SHA}?method=gradcam")
    assert answer.status_code == 403
    assert HEAT not in answer.content
    library.record_read(1, Call(None, BreastCall(recall=False)))
    shown = client.get(f"/mammo/heat/{SHA}?method=gradcam")
    assert shown.content == HEAT
    assert "no-store" in shown.headers["cache-control"]
    library.set_blind(False)


def test_reads_are_a_csv_file(client: httpx.Client, library: Library) -> None:
    library.record_read(1, Call(None, BreastCall(recall=True)))
    answer = client.get("/mammo/reads.csv")
    assert answer.headers["content-disposition"].startswith('attachment; filename="mammo-gui-reads-')
    assert len(answer.text.splitlines()) == 1 + len(library.study(1).reads)


def test_a_name_too_long_is_refused_in_words(client: httpx.Client) -> None:
    answer = client.post(f"/mammo/intake/{'0' * 32}/file", params={"name": "x" * 1100}, content=b"1")
    assert (answer.status_code, answer.text) == (422, "name: String should have at most 1024 characters")


def test_the_app_names_itself_as_long_as_it_runs(client: httpx.Client) -> None:
    first, second = (client.get("/mammo/alive") for _ in range(2))
    assert first.text == second.text != ""
    assert first.headers["cache-control"] == "private, no-store"


def test_a_batch_of_nothing_is_refused_in_words(client: httpx.Client) -> None:
    answer = client.post(f"/mammo/intake/{'0' * 32}/done")
    assert (answer.status_code, answer.text) == (422, "sent files: none arrived")


def test_loopback_is_told_from_the_rest() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "localhost", "::1")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.2", "reading-room")] == [False] * 4
    assert "evil.example" not in allowed_hosts("0.0.0.0")
    assert "*" not in allowed_hosts("0.0.0.0")
