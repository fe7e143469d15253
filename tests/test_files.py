"""Atomic writes, hashes, and the content-addressed store."""

import hashlib
from pathlib import Path

import pytest

from mammo_core.errors import InputError
from mammo_core.files import sha256_of, staged, store_get, store_path, store_put, write_atomic

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""SHA-256 of b"abc" (FIPS 180-4, appendix B.1)."""


def test_a_write_makes_the_folder_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "file.bin"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_write_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    write_atomic(path, b"old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_known_hash(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == ABC
    (tmp_path / "long").write_bytes(b"x" * 3_000_000)
    assert sha256_of(tmp_path / "long") == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_the_store_gives_back_what_was_put(tmp_path):
    assert store_put(tmp_path, b"abc", ".bin") == ABC
    assert store_path(tmp_path, ABC, ".bin") == tmp_path / "ba" / f"{ABC}.bin"
    assert store_get(tmp_path, ABC, ".bin") == b"abc"
    before = store_path(tmp_path, ABC, ".bin").stat().st_ino
    store_put(tmp_path, b"abc", ".bin")
    assert store_path(tmp_path, ABC, ".bin").stat().st_ino == before


def test_staged_content_is_in_the_store_only_if_it_is_kept(tmp_path):
    with staged(tmp_path, iter([b"a", b"bc"])) as content:
        assert content.sha256 == ABC
        assert not store_path(tmp_path, ABC).exists()
    assert list(tmp_path.rglob("*")) == []
    for _ in range(2):
        with staged(tmp_path, iter([b"a", b"bc"])) as content:
            content.keep()
        assert store_get(tmp_path, ABC) == b"abc"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [store_path(tmp_path, ABC)]


def test_changed_or_missing_content_is_an_error(tmp_path):
    store_put(tmp_path, b"abc")
    store_path(tmp_path, ABC).write_bytes(b"abd")
    with pytest.raises(InputError, match="was changed on the disk"):
        store_get(tmp_path, ABC)
    with pytest.raises(InputError, match="is not in the store"):
        store_get(tmp_path, "0" * 64)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_hashes_name_files(tmp_path, name):
    with pytest.raises(InputError, match="64 lower-case hex digits"):
        store_path(tmp_path, name)
