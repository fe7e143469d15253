"""The child process: same answers, bounded time and memory, and a new one after every loss."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.testing import assert_array_equal

from mammo_core.dicom import read_mammogram
from mammo_core.errors import InputError
from mammo_core.mammogram import Mammogram
from mammo_core.sandbox import DecodeSandbox
from tiny_dicom import JPEG_2000, breast, write_mammogram


@pytest.fixture(scope="module")
def sandbox() -> Iterator[DecodeSandbox]:
    with DecodeSandbox() as opened:
        yield opened


def child_of(sandbox: DecodeSandbox) -> psutil.Process:
    """The one child that runs the sandbox's module."""
    assert sandbox._child is not None
    return psutil.Process(sandbox._child._process.pid)


def same(first: Mammogram, second: Mammogram) -> None:
    assert first.header == second.header
    assert first.reduction == second.reduction
    assert first.pixels.dtype == np.uint16
    assert_array_equal(first.pixels, second.pixels)


def test_the_child_reads_what_this_process_reads(sandbox: DecodeSandbox, tmp_path: Path) -> None:
    wide = np.kron(breast(), np.ones((8, 8), dtype=np.int64))
    path = write_mammogram(
        tmp_path / "ü a.dcm", wide, syntax=JPEG_2000, SpecificCharacterSet="ISO_IR 192", PatientID="日本"
    )
    same(sandbox.read(path), read_mammogram(path))
    same(sandbox.read(path, name="shown", target=100), read_mammogram(path, name="shown", target=100))
    assert sandbox.read(path, target=100).reduction == 2
    sandbox.read(path).pixels[0, 0] = 1  # the caller owns its pixels


def test_refusals_come_back_word_for_word(sandbox: DecodeSandbox, tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "a", Modality="CT")
    with pytest.raises(InputError) as caught:
        sandbox.read(path, name="exam.zip/a")
    assert caught.value.subject == "exam.zip/a"
    assert caught.value.reason == "Modality (0008,0060) is CT, expected MG"
    pid = child_of(sandbox).pid
    sandbox.read(write_mammogram(tmp_path / "b"))
    assert child_of(sandbox).pid == pid


def test_a_child_that_dies_is_replaced(sandbox: DecodeSandbox, tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "a")
    sandbox.read(path)
    first = child_of(sandbox)
    first.suspend()
    killer = threading.Timer(0.5, first.kill)
    killer.start()
    with pytest.raises(InputError, match="made the decoder crash"):
        sandbox.read(path, name="a")
    killer.join()
    assert sandbox.read(path).header.view == "CC"
    assert child_of(sandbox).pid != first.pid
    child_of(sandbox).kill()
    child_of(sandbox).wait(10)
    assert sandbox.read(path).header.view == "CC"


def test_a_file_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "a")
    with DecodeSandbox(seconds=1.0) as sandbox:
        sandbox.read(path)
        child = child_of(sandbox)
        child.suspend()
        started = time.monotonic()
        with pytest.raises(InputError, match=r"a: took longer than 1 s to decode and was stopped"):
            sandbox.read(path, name="a")
        assert time.monotonic() - started < 10
        assert not child.is_running()
        assert sandbox.read(path).header.view == "CC"


def test_a_file_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    # 49 million pixels need more than half a gigabyte; the next file does not
    large = np.zeros((7000, 7000), dtype=np.uint16)
    large[1000:6000, :3000] = 3000
    path = write_mammogram(tmp_path / "large.dcm", large)
    del large
    small = write_mammogram(tmp_path / "small.dcm")
    with DecodeSandbox(memory_mb=450) as sandbox:
        assert sandbox.read(small).header.view == "CC"
        with pytest.raises(InputError, match=r"^large: ") as caught:
            sandbox.read(path, name="large")
        assert "memory" in str(caught.value) or "450 MB" in str(caught.value)
        assert sandbox.read(small).header.view == "CC"


def test_several_threads_may_share_a_sandbox(sandbox: DecodeSandbox, tmp_path: Path) -> None:
    paths = [write_mammogram(tmp_path / f"{number}", breast() + number) for number in range(8)]
    read: dict[int, Mammogram] = {}

    def work(number: int) -> None:
        read[number] = sandbox.read(paths[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(8):
        assert_array_equal(read[number].pixels, breast() + number)


def test_a_closed_sandbox_leaves_no_process_and_reads_nothing(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "a")
    sandbox = DecodeSandbox()
    sandbox.read(path)
    child = child_of(sandbox)
    sandbox.close()
    sandbox.close()
    assert not child.is_running()
    with pytest.raises(RuntimeError, match="the sandbox is closed"):
        sandbox.read(path)


def test_the_child_goes_when_its_parent_is_killed(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "a")
    program = (
        "import sys, time, pathlib\n"
        "from mammo_core.sandbox import DecodeSandbox\n"
        "sandbox = DecodeSandbox()\n"
        "sandbox.read(pathlib.Path(sys.argv[1]))\n"
        "print(sandbox._child._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    assert psutil.wait_procs([child], timeout=20)[1] == []


def test_the_working_folder_is_not_imported_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pydicom.py").write_text("raise SystemExit('imported from the working folder')")
    path = write_mammogram(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    with DecodeSandbox() as sandbox:
        assert sandbox.read(Path("a")).header.file == "a"
        assert path.is_file()
