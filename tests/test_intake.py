"""Files, folders and archives turned into candidates, and what is refused on the way."""

import os
import shutil
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mammo_core.archive import ArchiveLimits
from mammo_core.corrections import Assignment
from mammo_core.errors import InputError
from mammo_core.intake import Given, Refusal, candidates


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "unpacking"


@pytest.fixture
def names(scratch: Path) -> Callable[..., tuple[list[str], list[Refusal]]]:
    """Names of the candidates that can be opened, and what is refused, by then at the latest."""

    def listed(given: list[Path], limits: ArchiveLimits | None = None) -> tuple[list[str], list[Refusal]]:
        usable, broken = [], []
        with candidates(given, scratch, limits) as (found, refused):
            for candidate in found:
                try:
                    with candidate.opened() as path:
                        assert path.is_file()
                    usable.append(candidate.name)
                except InputError as error:
                    broken.append(Refusal(error.subject, error.reason))
        return usable, refused + broken

    return listed


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def test_a_folder_without_what_lies_beside_images(names, tmp_path: Path) -> None:
    for name in (
        "b.dcm",
        "a",
        "inner/IM1",
        "DICOMDIR",
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


def test_single_files_and_what_does_not_exist(names, tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"x")
    found, refused = names([tmp_path / "a.dcm", tmp_path / "none"])
    assert found == [str(tmp_path / "a.dcm")]
    assert refused == [Refusal(str(tmp_path / "none"), "does not exist")]


def test_links_to_folders_are_not_followed(names, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(b"x")
    try:
        (tmp_path / "inner" / "loop").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("this platform does not let tests make links")
    assert names([tmp_path])[0] == [str(tmp_path / "inner" / "a")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_pipe_is_no_file(names, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert names([tmp_path]) == ([], [Refusal(str(tmp_path / "pipe"), "is not an ordinary file")])


def test_members_of_an_archive_are_unpacked_one_at_a_time_and_go_away(tmp_path: Path, scratch: Path) -> None:
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
    with candidates([path], scratch) as (found, refused):
        assert [candidate.name for candidate in found] == [f"{path}/exam/LCC.dcm", f"{path}/exam/IM2"]
        assert refused == []
        assert not scratch.exists()
        for candidate, content in zip(found, (b"one", b"two"), strict=True):
            for _ in range(2):
                with candidate.opened() as unpacked:
                    assert unpacked.read_bytes() == content
                    assert [file for file in scratch.rglob("*") if file.is_file()] == [unpacked]
    assert [*scratch.iterdir()] == []


def test_a_member_that_does_not_fit_on_the_disk_is_refused(names, tmp_path: Path, scratch: Path) -> None:
    path = archive(tmp_path / "exam.zip", {"LCC.dcm": b"one"})
    (found, refused) = names([path], ArchiveLimits(free_mb=int(shutil.disk_usage(tmp_path).total / 1e6)))
    assert found == []
    assert "does not fit on the disk: unpacking it needs 0 MB and" in refused[0].reason
    assert [*scratch.iterdir()] == []


def test_what_a_killed_process_unpacked_is_deleted_by_the_next(names, tmp_path: Path, scratch: Path) -> None:
    left = scratch / "999999-1"
    left.mkdir(parents=True)
    (left / "exam").write_bytes(b"a patient's")
    names([archive(tmp_path / "exam.zip", {"LCC.dcm": b"one"})])
    assert not left.exists()


def test_an_archive_is_known_by_its_content_and_found_in_folders(names, tmp_path: Path) -> None:
    path = archive(tmp_path / "upload", {"a": b"1"})
    assert names([tmp_path])[0] == [f"{path}/a"]


def test_names_of_members_are_never_paths(tmp_path: Path, scratch: Path) -> None:
    path = archive(tmp_path / "a.zip", {"../../evil": b"1", "/etc/evil": b"2", "C:\\evil": b"3", "a\nb": b"4"})
    with candidates([path], scratch) as (found, _):
        for candidate in found:
            with candidate.opened() as unpacked:
                assert unpacked.is_relative_to(scratch)
                assert "evil" not in str(unpacked)
        assert found[3].name == f"{path}/a?b"
    assert not (tmp_path.parent / "evil").exists()


def test_an_archive_inside_an_archive_is_not_opened(names, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"inner.zip": b"x", "LCC": b"1"})
    found, refused = names([path])
    assert found == [f"{path}/LCC"]
    assert refused == [Refusal(f"{path}/inner.zip", "is an archive inside an archive, which is not opened")]


def test_archives_that_unpack_to_too_much_are_refused(names, tmp_path: Path) -> None:
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


def test_a_member_that_lies_about_its_size_is_refused(names, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"liar": os.urandom(5000), "good": b"1"})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = (100).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    found, refused = names([path])
    assert found == [f"{path}/good"]
    assert [refusal.file for refusal in refused] == [f"{path}/liar"]


def test_encrypted_and_damaged_archives_are_refused(names, tmp_path: Path) -> None:
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


def said(given: list[Path | Given], scratch: Path) -> tuple[dict[str, Assignment], list[Refusal]]:
    """What tables say of the candidates that they speak of, and what is refused."""
    with candidates(given, scratch) as (found, refused):
        return {candidate.name: candidate.said for candidate in found if candidate.said is not None}, refused


def corrected(folder: Path, text: str, files: tuple[str, ...] = ("a.dcm", "b/c")) -> Path:
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    (folder / "folder.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "file,laterality,view\na.dcm,L,mlo\nb\\c,,CC\n",
            {"a.dcm": Assignment("L", "MLO"), "b/c": Assignment(None, "CC")},
        ),
        ("\ufefffile,laterality\r\n./a.dcm,right\r\n", {"a.dcm": Assignment("R", None)}),
        ("file,laterality,view\n", {}),
    ],
)
def test_folder_csv(tmp_path: Path, scratch: Path, text: str, expected: dict[str, Assignment]) -> None:
    found, refused = said([corrected(tmp_path, text)], scratch)
    assert found == {str(tmp_path / name): assignment for name, assignment in expected.items()}
    assert refused == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("b/c,B,CC", "line 3: laterality is 'B', expected L or R"),
        ("b/c,L,XX", "line 3: view is 'XX', expected one of"),
        ("a.dcm,R,CC", "line 3: names 'a.dcm' a second time"),
        ("z.dcm,L,CC", "line 3: names the file 'z.dcm', which is not in the folder"),
        ("../a.dcm,L,CC", "line 3: names the file '../a.dcm', which is not in the folder"),
        ("/etc/passwd,L,CC", "line 3: names the file '/etc/passwd', which is not in the folder"),
        (",L,CC", "line 3: names the file '', which is not in the folder"),
        ("b/c,L,CC,more", "line 3: has more cells than there are columns"),
        ('b/c,"L"x,CC', "line 3: is no CSV"),
    ],
)
def test_a_wrong_line_is_refused_and_the_others_count(tmp_path: Path, scratch: Path, line: str, reason: str) -> None:
    found, (refused,) = said([corrected(tmp_path, f"file,laterality,view\na.dcm,L,CC\n{line}\n")], scratch)
    assert found == {str(tmp_path / "a.dcm"): Assignment("L", "CC")}
    assert refused.file == str(tmp_path / "folder.csv")
    assert refused.reason.startswith(reason)


def test_a_folder_csv_that_is_none_is_refused(tmp_path: Path, scratch: Path) -> None:
    for content, reason in (
        (b"name,side\na.dcm,L\n", "has the columns name, side; expected file, laterality, view"),
        (b"", "has the columns ; expected file, laterality, view"),
        (b"file,view\n\xff\xfe,CC\n", "cannot be read as CSV in UTF-8"),
        (b"file,view\n" + b"\n" * 4_000_000, "is longer than 4 MB"),
    ):
        (tmp_path / "folder.csv").write_bytes(content)
        ((refused,), _) = said([tmp_path], scratch)[::-1]
        assert refused.file == str(tmp_path / "folder.csv")
        assert reason in refused.reason


def test_the_nearest_folder_csv_counts_and_one_beside_a_single_file_does_too(tmp_path: Path, scratch: Path) -> None:
    corrected(tmp_path, "file,laterality,view\na.dcm,L,CC\nb/c,L,CC\n")
    (tmp_path / "b" / "folder.csv").write_text("file,view\nc,MLO\n")
    assert said([tmp_path], scratch)[0] == {
        str(tmp_path / "a.dcm"): Assignment("L", "CC"),
        str(tmp_path / "b" / "c"): Assignment(None, "MLO"),
    }
    single = said([tmp_path / "a.dcm", tmp_path / "a.dcm"], scratch)
    assert single == ({str(tmp_path / "a.dcm"): Assignment("L", "CC")}, [])


def test_files_with_names_of_their_own_and_a_folder_csv_that_uses_those(tmp_path: Path, scratch: Path) -> None:
    """Browsers send "Müller" with one letter or two, whatever the table has."""
    for number, content in enumerate([b"file,laterality\nM\xc3\xbcller.dcm,R\nb.dcm,L\n", b"1", b"2", b"3"]):
        (tmp_path / f"{number}").write_bytes(content)
    sent = ["folder.csv", unicodedata.normalize("NFD", "Müller.dcm"), "乳房/左.dcm", ".git/HEAD"]
    given = [Given(tmp_path / f"{number}", f"drop/{name}") for number, name in enumerate(sent)]
    with candidates(given, scratch) as (found, refused):
        assert [(candidate.name, candidate.said) for candidate in found] == [
            (f"drop/{sent[1]}", Assignment("R", None)),
            ("drop/乳房/左.dcm", None),
        ]
        assert refused == [
            Refusal("drop/folder.csv", "line 3: names the file 'b.dcm', which is not in the folder"),
        ]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_bytes(b"")
    with candidates([Given(tmp_path / "in", "demo")], scratch) as (found, _):
        assert [candidate.name for candidate in found] == ["demo/x"]


def test_a_folder_csv_in_an_archive(tmp_path: Path, scratch: Path) -> None:
    path = archive(tmp_path / "a.zip", {"in/LCC.dcm": b"1", "in/folder.csv": b"file,view\nLCC.dcm,MLO\n"})
    assert said([path], scratch) == ({f"{path}/in/LCC.dcm": Assignment(None, "MLO")}, [])
