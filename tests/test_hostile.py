"""Files made to break a reader are refused in words, fast and small; the good ones beside them are read."""

import time
from pathlib import Path

import psutil
import pytest

from mammo_core.errors import InputError
from mammo_core.intake import Refusal
from mammo_core.library import Library
from mammo_core.library.adding import add
from mammo_core.sandbox import DecodeSandbox

REASONS = {
    "01_rows65535_tiny.dcm": "Rows x Columns (0028,0010) is 65535 x 65535, expected at most 80 million pixels",
    "03_j2k_siz_bomb.dcm": "Rows x Columns (0028,0010) is 65535 x 65535, expected at most 80 million pixels",
    "05_j2k_truncated.dcm": "the file is truncated",
    "06_nested_10000.dcm": "DICOM header nests sequences too deeply",
    "08_frames_2e31.dcm": "Number of Frames (0028,0008) is 2,147,483,647, expected 1",
    "11_traversal_xss.dcm": "SOP Instance UID (0008,0018) is '../../../../tmp/evil', expected at most 64 digits",
    "14_rle_lies.dcm": "Rows x Columns (0028,0010) is 65535 x 65535, expected at most 80 million pixels",
    "15_bad_voi.dcm": "Rescale Slope (0028,1053) is 0",
    "17_jpegls_bomb.dcm": "Rows x Columns (0028,0010) is 65535 x 65535, expected at most 80 million pixels",
    "20_not_dicom.dcm": "file is not DICOM",
    "21_empty.dcm": "file is empty",
    "22_magic_only.dcm": "Transfer Syntax UID (0002,0010) is missing",
}


def test_every_hostile_file_is_refused_and_the_good_ones_are_read(shared: Path) -> None:
    hostile = sorted((shared / "hostile").iterdir())
    assert {path.name for path in hostile} == set(REASONS)
    good = sorted((shared / "exams" / "inbreast02").glob("*.dcm"))
    process = psutil.Process()
    before = process.memory_info().rss
    with DecodeSandbox() as sandbox:
        for index, path in enumerate(hostile):
            started = time.monotonic()
            with pytest.raises(InputError) as caught:
                sandbox.read(path, name=path.name)
            assert time.monotonic() - started < 20
            assert caught.value.subject == path.name
            assert REASONS[path.name] in caught.value.reason
            beside = sandbox.read(good[index % 4], target=256)
            assert f"{beside.header.laterality}{beside.header.view}" == good[index % 4].stem
    assert process.memory_info().rss - before < 500_000_000


def test_the_library_takes_the_good_files_and_none_of_the_hostile(shared: Path, tmp_path: Path) -> None:
    process = psutil.Process()
    before, peaks = process.memory_info().rss, []
    with Library(tmp_path / "library") as library, DecodeSandbox() as sandbox:
        given = [shared / "hostile", shared / "exams" / "inbreast02"]
        outcomes = add(library, given, sandbox, progress=lambda _: peaks.append(process.memory_info().rss))
        refused = {Path(each.file).name for each in outcomes if isinstance(each, Refusal)}
        assert refused == set(REASONS)
        assert [len(line.views) for line in library.worklist()] == [4]
    assert max(peaks) - before < 500_000_000
