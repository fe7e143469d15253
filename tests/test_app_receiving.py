"""Files that the page sends: what is kept under which name, what is thrown away, what outlives the process."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mammo_core.errors import InputError
from mammo_gui.receiving import Receiving, plain_name

BATCH = "0123456789abcdef" * 2

HOLD = """
import asyncio, sys
from pathlib import Path
from mammo_gui.receiving import Receiving
async def sent(): yield b"exam"
receiving = Receiving(Path(sys.argv[1]))
asyncio.run(receiving.keep("a" * 32, "whole/R.dcm", 4, sent()))
asyncio.run(receiving.keep("b" * 32, "half/R.dcm", 4, sent()))
receiving.finished("a" * 32)
print("ready", flush=True)
sys.stdin.read()
"""


async def sent(*chunks: bytes, broken: bool = False) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if broken:
        raise RuntimeError("the browser is gone")


def keep(receiving: Receiving, name: str, *chunks: bytes, length: int | None = None, broken: bool = False) -> None:
    asyncio.run(receiving.keep(BATCH, name, length, sent(*chunks, broken=broken)))


def test_files_lie_under_numbers_and_keep_the_names_they_came_with(tmp_path: Path) -> None:
    receiving = Receiving(tmp_path)
    for name in ("exam/a.dcm", "../../../escape.dcm", "exam/a.dcm", "C:\\x\\nul", "乳房/Müller.dcm"):
        keep(receiving, name, name.encode())
    received = receiving.finished(BATCH)
    assert sorted(path.name for path in received.folder.iterdir()) == [
        *(f"00000{n}" for n in range(1, 6)),
        "contents.json",
    ]
    assert [received.own_name(given.name) for given in received.files] == [
        "exam/a.dcm",
        "escape.dcm",
        "exam/a.dcm",
        "C:/x/nul",
        "乳房/Müller.dcm",
    ]
    assert all(given.path.parent == received.folder for given in received.files)
    assert received.files[0].name.endswith(" 012345/exam/a.dcm"), "files of two drops do not share a folder"


def test_a_file_that_breaks_off_is_not_kept(tmp_path: Path) -> None:
    receiving = Receiving(tmp_path)
    keep(receiving, "first.dcm", b"12", b"34", length=4)
    with pytest.raises(InputError, match=r"short\.dcm: broke off after 3 of 4 bytes"):
        keep(receiving, "short.dcm", b"123", length=4)
    with pytest.raises(InputError, match="larger than was said"):
        keep(receiving, "long.dcm", b"12345", length=4)
    with pytest.raises(RuntimeError):
        keep(receiving, "gone.dcm", b"12", broken=True)
    keep(receiving, "last.dcm", b"5")
    received = receiving.finished(BATCH)
    assert [(received.own_name(given.name), given.path.read_bytes()) for given in received.files] == [
        ("first.dcm", b"1234"),
        ("last.dcm", b"5"),
    ]
    assert not list(tmp_path.rglob("*.part"))


def test_a_batch_of_nothing_is_refused(tmp_path: Path) -> None:
    receiving = Receiving(tmp_path)
    with pytest.raises(InputError, match="none arrived"):
        receiving.finished(BATCH)
    with pytest.raises(InputError):
        keep(receiving, "gone.dcm", b"1", length=2)
    with pytest.raises(InputError, match="none arrived"):
        receiving.finished(BATCH)


def test_another_running_app_keeps_its_files_and_a_killed_one_leaves_its_whole_batches(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], **pipes) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        before = sorted(path.name for path in tmp_path.rglob("*"))
        beside = Receiving(tmp_path)
        assert (beside.taken_over, beside.lost) == ([], 0)
        assert set(before) <= {path.name for path in tmp_path.rglob("*")}
        other.kill()
        other.wait()
    after = Receiving(tmp_path)
    (received,) = after.taken_over
    assert after.lost == 1
    assert [(received.own_name(given.name), given.path.read_bytes()) for given in received.files] == [
        ("whole/R.dcm", b"exam")
    ]
    assert not list(tmp_path.rglob("b" * 32))
    again = Receiving(tmp_path)
    assert (again.taken_over, again.lost) == ([], 0)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.dcm", "a.dcm"),
        ("../../etc/passwd", "etc/passwd"),
        ("/absolute/./x", "absolute/x"),
        ("C:\\dir\\con.txt", "C:/dir/con.txt"),
        ("..", "file"),
        ("", "file"),
        ("a\0b\n", "a?b?"),
    ],
)
def test_names_from_outside_are_only_shown(name: str, plain: str) -> None:
    assert plain_name(name) == plain
