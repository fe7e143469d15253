"""The command: what it refuses at once, what it warns of, and that it starts without the heavy packages."""

import socket
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from mammo_gui.launch import app


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
    assert "model 'nowhere': is neither a file nor a bundled model (bundled: phantom-demo)" in result.output
    assert not list(tmp_path.iterdir())


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
