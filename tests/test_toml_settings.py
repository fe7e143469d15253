"""Settings through TOML: paths, stars and short names, whatever the settings are."""

import pytest
from pydantic import Field

from mammo_core.errors import InputError
from mammo_core.settings import Settings
from mammo_train.toml_settings import bundled, find_bundled, read_toml, write_toml


class Inner(Settings):
    """One value, and one that may be missing."""

    size: int = Field(default=1, ge=1)
    note: str | None = None


class Middle(Settings):
    """A list of tables."""

    parts: tuple[Inner, ...] = (Inner(), Inner())


class Outer(Settings):
    """A list of tables that hold lists of tables."""

    title: str
    inner: Inner = Inner()
    middles: tuple[Middle, ...] = (Middle(), Middle())
    numbers: tuple[float, ...] = (1.0, 2.0)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "outer.toml").write_text('title = "a"\n', encoding="utf-8")
    return tmp_path / "outer.toml"


def test_settings_come_back(path, tmp_path):
    settings = Outer(title='two\nlines, "quoted" \\ and ü', inner=Inner(size=3, note="n"))
    (tmp_path / "again.toml").write_text(write_toml(settings), encoding="utf-8")
    assert read_toml(Outer, tmp_path / "again.toml") == settings


def test_stars_go_through_every_level(path):
    found = read_toml(Outer, path, ["middles.*.parts.*.size=5", "middles.1.parts.0.size=7"])
    assert [[part.size for part in middle.parts] for middle in found.middles] == [[5, 5], [7, 5]]


def test_later_changes_see_earlier_ones(path):
    found = read_toml(Outer, path, ["numbers=[4, 5, 6]", "numbers.2=0.5", "inner.note = with = and spaces "])
    assert found.numbers == (4.0, 5.0, 0.5)
    assert found.inner.note == "with = and spaces"


def test_short_names_stand_for_their_paths(path):
    assert read_toml(Outer, path, ["size=9"], short={"size": "inner.size"}).inner.size == 9
    with pytest.raises(InputError, match="size is 9: Extra inputs"):
        read_toml(Outer, path, ["size=9"])


def test_text_that_looks_like_a_number_can_be_quoted(path):
    with pytest.raises(InputError, match="title is 12: Input should be a valid string"):
        read_toml(Outer, path, ["title=12"])
    assert read_toml(Outer, path, ['title="12"']).title == "12"


@pytest.mark.parametrize("content", [b"title = ", b"\xff\xfe", b"[[title]]\n[title]"])
def test_what_is_not_toml_is_told(tmp_path, content):
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.toml: is not TOML"):
        read_toml(Outer, tmp_path / "bad.toml")


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_toml(Outer, tmp_path)


def test_bundled_files_are_found_by_name_and_others_by_path(path):
    assert find_bundled("recipes", "improved", "recipe") == bundled("recipes")["improved"]
    assert find_bundled("recipes", path, "recipe") == path
    with pytest.raises(InputError, match=r"gadget 'no': is neither a file nor a bundled gadget \(bundled: none\)"):
        find_bundled("gadgets", "no", "gadget")
