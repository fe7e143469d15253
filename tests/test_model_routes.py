"""Checkpoints that the page sends, and reports in a frame: what is taken, what is refused, what a report may do."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import safetensors
import safetensors.torch

from app_server import AppServer, app_server
from made import made_checkpoint
from mammo_core.checkpoint import load_checkpoint
from mammo_core.library import Library

BATCH = "a" * 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    folder = tmp_path_factory.mktemp("models") / "library"
    with Library(folder) as library:
        library.set_demo_made()
    with app_server(folder) as started:
        yield started


@pytest.fixture
def client(server: AppServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=120) as opened:
        yield opened


def send(client: httpx.Client, files: dict[str, bytes], batch: str = BATCH) -> httpx.Response:
    for name, content in files.items():
        answer = client.post(f"/mammo/model/{batch}/file", params={"name": name}, content=content)
        assert answer.status_code == 204, answer.text
    return client.post(f"/mammo/model/{batch}/done")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "made.safetensors"
    made_checkpoint(path)
    return path


def test_a_run_is_taken_in_with_its_evidence_and_nothing_else(
    server: AppServer, client: httpx.Client, checkpoint: Path
) -> None:
    files = {
        "run/made.safetensors": checkpoint.read_bytes(),
        "run/log.jsonl": b'{"event": "start"}\n',
        "run/evaluation.html": b"<!doctype html><script>1</script>",
        "../../secrets.txt": b"x",
    }
    answer = send(client, files)
    assert answer.status_code == 200, answer.text
    sha256 = load_checkpoint(checkpoint).sha256
    assert answer.text == sha256
    with server.opened() as library:
        entry = library.models.entry(sha256)
        assert (entry.origin, entry.name) == ("imported", "made")
        assert {file.name for file in entry.evidence.iterdir()} == {
            "checkpoint.safetensors",
            "log.jsonl",
            "evaluation.html",
        }
    incoming = server.library / "incoming-models"
    assert [path for path in incoming.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_report_can_do_nothing_to_the_page_around_it(client: httpx.Client, checkpoint: Path) -> None:
    send(client, {"made.safetensors": checkpoint.read_bytes(), "evaluation.html": b"<!doctype html>"})
    answer = client.get(f"/mammo/report/{load_checkpoint(checkpoint).sha256}")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    (sandbox,) = [part for part in policy if part.startswith("sandbox")]
    assert "allow-same-origin" not in sandbox
    assert answer.headers["x-content-type-options"] == "nosniff"
    for other in ("0" * 64, "..%2f..%2fetc", checkpoint.name):
        assert client.get(f"/mammo/report/{other}").status_code in (404, 422)


def test_a_checkpoint_that_does_not_fit_is_refused_with_the_tensor_named(
    server: AppServer, client: httpx.Client, checkpoint: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.safetensors"
    shutil.copyfile(checkpoint, bad)
    with safetensors.safe_open(bad, framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
        metadata = opened.metadata()
    name = next(name for name in sorted(tensors) if tensors[name].ndim > 1)
    tensors[name] = tensors[name].flatten()
    safetensors.torch.save_file(tensors, bad, metadata)
    answer = send(client, {"my <bad> model.safetensors": bad.read_bytes()})
    assert answer.status_code == 422
    assert answer.text.startswith("my <bad> model.safetensors: ")
    assert name in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"notes.txt": b"x"}, "notes.txt: has 0 files .safetensors; expected one checkpoint"),
        ({"a.safetensors": b"x", "b.safetensors": b"y"}, "a.safetensors, b.safetensors: has 2 files .safetensors"),
        ({"a.safetensors": b"not one"}, "a.safetensors: "),
        ({"a.safetensors": b""}, "a.safetensors: "),
    ],
)
def test_what_is_no_checkpoint_is_said(client: httpx.Client, files: dict[str, bytes], words: str) -> None:
    answer = send(client, files)
    assert answer.status_code == 422
    assert answer.text.startswith(words)


def test_another_sites_page_cannot_send_a_model(client: httpx.Client) -> None:
    headers = {"Origin": "http://evil.example"}
    assert client.post(f"/mammo/model/{BATCH}/done", headers=headers).status_code == 403
