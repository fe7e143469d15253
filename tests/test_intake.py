"""Files, folders and archives turned into candidates, and what is refused on the way."""

import os
import zipfile
from pathlib import Path

import pytest

from mammo_core.errors import InputError
from mammo_core.intake import ArchiveLimits, Assignment, Refusal, candidates, folder_corrections


def names(paths: list[Path], limits: ArchiveLimits | None = None) -> tuple[list[str], list[Refusal]]:
    with candidates(paths, limits) as (found, refused):
        assert all(candidate.path.is_file() for candidate in found)
        return [candidate.name for candidate in found], refused


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def test_a_folder_without_what_lies_beside_images(tmp_path: Path) -> None:
    for name in (
        "b.dcm",
        "a",
        "inner/IM1",
        "DICOMDIR",
        "folder.csv",
        "x.png",
        ".hidden",
        "__MACOSX/c",
        ".git/d",
        "r.PDF",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found, refused = names([tmp_path])
    assert found == [str(tmp_path / "a"), str(tmp_path / "b.dcm"), str(tmp_path / "inner" / "IM1")]
    assert refused == []


def test_single_files_and_what_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"x")
    found, refused = names([tmp_path / "a.dcm", tmp_path / "none"])
    assert found == [str(tmp_path / "a.dcm")]
    assert refused == [Refusal(str(tmp_path / "none"), "does not exist")]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(b"x")
    try:
        (tmp_path / "inner" / "loop").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("this platform does not let tests make links")
    assert names([tmp_path])[0] == [str(tmp_path / "inner" / "a")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert names([tmp_path]) == ([], [Refusal(str(tmp_path / "pipe"), "is not an ordinary file")])


def test_members_of_an_archive_lie_in_a_folder_that_goes_away(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "exam.zip",
        {
            "exam/LCC.dcm": b"one",
            "exam/IM2": b"two",
            "DICOMDIR": b"",
            "__MACOSX/exam/._LCC.dcm": b"",
            "exam/note.txt": b"",
            "exam/inner/": b"",
        },
    )
    with candidates([path]) as (found, refused):
        assert [candidate.name for candidate in found] == [f"{path}/exam/LCC.dcm", f"{path}/exam/IM2"]
        assert [candidate.path.read_bytes() for candidate in found] == [b"one", b"two"]
        assert refused == []
        folder = found[0].path.parent
    assert not folder.exists()


def test_an_archive_is_known_by_its_content_and_found_in_folders(tmp_path: Path) -> None:
    path = archive(tmp_path / "upload", {"a": b"1"})
    assert names([tmp_path])[0] == [f"{path}/a"]


def test_names_of_members_are_never_paths(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"../../evil": b"1", "/etc/evil": b"2", "C:\\evil": b"3", "a\nb": b"4"})
    with candidates([path]) as (found, _):
        assert [candidate.path.name for candidate in found] == ["000001", "000002", "000003", "000004"]
        assert len({candidate.path.parent for candidate in found}) == 1
        assert found[3].name == f"{path}/a?b"
    assert not (tmp_path.parent / "evil").exists()


def test_an_archive_inside_an_archive_is_not_opened(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"inner.zip": b"x", "LCC": b"1"})
    found, refused = names([path])
    assert found == [f"{path}/LCC"]
    assert refused == [Refusal(f"{path}/inner.zip", "is an archive inside an archive, which is not opened")]


def test_archives_that_unpack_to_too_much_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"bomb": bytes(20_000_000), "good": b"1"})
    found, refused = names([path])
    assert found == [f"{path}/good"]
    assert refused[0].file == f"{path}/bomb"
    assert "times its size, expected at most 300 times" in refused[0].reason
    assert "unpacks to 20 MB, expected at most 10 MB" in names([path], ArchiveLimits(member_mb=10))[1][0].reason
    assert names([path], ArchiveLimits(total_mb=10)) == (
        [],
        [Refusal(str(path), "unpacks to 20 MB, expected at most 10 MB")],
    )
    assert names([path], ArchiveLimits(members=1))[1] == [
        Refusal(str(path), "holds 2 members, expected at most 1"),
    ]


def test_a_member_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"liar": os.urandom(5000), "good": b"1"})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = (100).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    found, refused = names([path])
    assert found == [f"{path}/good"]
    assert [refusal.file for refusal in refused] == [f"{path}/liar"]


def test_encrypted_and_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"LCC": b"1" * 100, "RCC": os.urandom(100)})
    content = bytearray(path.read_bytes())
    encrypted = bytearray(content)
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        encrypted[encrypted.index(mark) + offset] |= 1
    path.write_bytes(bytes(encrypted))
    found, refused = names([path])
    assert found == [f"{path}/RCC"]
    assert refused == [
        Refusal(f"{path}/LCC", "is encrypted: please unpack the archive with its password first"),
    ]
    content[content.index(b"RCC") + 50] ^= 0xFF  # inside the data of the second member
    path.write_bytes(bytes(content))
    found, refused = names([path])
    assert found == [f"{path}/LCC"]
    assert [refusal.file for refusal in refused] == [f"{path}/RCC"]
    path.write_bytes(bytes(content[:20]) + bytes(content[60:]))
    assert all(refusal.file.startswith(str(path)) for refusal in names([path])[1])


def corrections(folder: Path, text: str, files: tuple[str, ...] = ("a.dcm", "b/c")) -> dict[str, Assignment]:
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    (folder / "folder.csv").write_text(text, encoding="utf-8")
    return folder_corrections(folder)


def test_folder_csv(tmp_path: Path) -> None:
    assert folder_corrections(tmp_path) == {}
    assert corrections(tmp_path, "file,laterality,view\na.dcm,L,mlo\nb\\c,,CC\n") == {
        "a.dcm": Assignment("L", "MLO"),
        "b/c": Assignment(None, "CC"),
    }
    assert corrections(tmp_path, "\ufefffile,laterality\r\na.dcm,right\r\n") == {"a.dcm": Assignment("R", None)}
    assert corrections(tmp_path, "file,laterality,view\n") == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,laterality,view\na.dcm,B,CC\n", "line 2: laterality is 'B', expected L or R"),
        ("file,laterality,view\na.dcm,L,CC\nb/c,L,XX\n", "line 3: view is 'XX', expected one of"),
        ("file,laterality,view\na.dcm,L,CC\na.dcm,R,CC\n", "line 3 names 'a.dcm' a second time"),
        ("file,laterality,view\nz.dcm,L,CC\n", "line 2 names the file 'z.dcm', which is not in the folder"),
        ("file,laterality,view\n../a.dcm,L,CC\n", "line 2 names the file '../a.dcm', which is not in the folder"),
        ("file,laterality,view\n,L,CC\n", "line 2 names the file '', which is not in the folder"),
        ("name,side\na.dcm,L\n", "has the columns name, side; expected file, laterality, view"),
        ("file,laterality,view\na.dcm,L,CC,more\n", "expected file, laterality, view"),
    ],
)
def test_a_wrong_folder_csv_is_refused_by_line(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        corrections(tmp_path, text)
    assert caught.value.subject == str(tmp_path / "folder.csv")
    assert reason in caught.value.reason


def test_folder_csv_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").write_bytes(b"file,view\n\xff\xfe,CC\n")
    with pytest.raises(InputError, match="cannot be read as CSV in UTF-8"):
        folder_corrections(tmp_path)
