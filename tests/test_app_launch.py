"""The command: what it refuses at once, what it warns of, and that it starts without the heavy packages."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from mammo_core.library import Library
from mammo_gui.launch import app
from mammo_gui.worker import Worker


def test_a_port_in_use_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["--library", str(tmp_path), "--port", str(port), "--no-browser"])
    assert result.exit_code == 1
    assert f"--port: {port} on 127.0.0.1 cannot be used" in result.output
    assert "Traceback" not in result.output


def test_an_address_of_no_machine_is_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--library", str(tmp_path), "--host", "no.such.host.invalid", "--no-browser"])
    assert result.exit_code == 1
    assert "'no.such.host.invalid' is no address" in result.output


def test_a_library_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    result = CliRunner().invoke(app, ["--library", str(file), "--port", "0", "--no-browser"])
    assert result.exit_code == 1
    assert "cannot be used as a library folder" in result.output


def test_a_model_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--library", str(tmp_path), "--port", "0", "--no-browser", "--model", "nowhere"])
    assert result.exit_code == 1
    known = "screening256, phantom-demo"
    assert f"model 'nowhere': is neither a file nor a bundled model (bundled: {known})" in result.output
    assert not list(tmp_path.iterdir())


def run(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-c", "from mammo_gui.launch import app; app()", "--library", str(folder)]
    command += ["--port", "0", "--no-browser", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_an_address_that_others_reach_is_warned_of(tmp_path: Path) -> None:
    with run(tmp_path, "--host", "0.0.0.0") as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
    assert said.startswith("WARNING: --host 0.0.0.0 lets other machines in, and mammo-gui has no login")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_while_demo_exams_are_made_ends_at_once_and_the_next_start_makes_them(tmp_path: Path) -> None:
    with run(tmp_path) as process:
        assert process.stdout is not None
        url = next(line for line in process.stdout if "is running at" in line).split()[4]
        httpx.get(url, timeout=30)
        time.sleep(2.5 + 8)  # the worker gives the first page its time before it begins
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        process.wait(timeout=60)
        took = time.monotonic() - started
    assert "mammo-gui is finishing ..." in said
    assert "Traceback" not in said
    assert took < 6, "three seconds on a machine that does nothing else"
    with Library(tmp_path) as library:
        assert not library.demo_made
        worker = Worker(library)
        worker.start()
        assert worker.activity.doing == "Making demo exams"
        worker.stop()


def test_the_app_is_built_without_torch_timm_and_sklearn() -> None:
    code = (
        "import sys, mammo_gui.launch, mammo_gui.app, mammo_gui.worker\n"
        "print([name for name in ('torch', 'timm', 'sklearn', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_heavy_is_imported_before_the_options_are_read() -> None:
    code = "import sys, mammo_gui.launch\nprint([name for name in ('gradio', 'numpy', 'cv2') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
