"""Settings as TOML on disk, and ``KEY=VALUE`` changes to them: what recipes and plans have in common.

Knows nothing of what the settings mean.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import ValidationError

from mammo_core.errors import InputError
from mammo_core.settings import Settings

Kind = TypeVar("Kind", bound=Settings)

_OWN_WORDS = "Value error, "
"""What pydantic puts before the words of a validator of ours."""


def read_toml(
    kind: type[Kind], path: Path, overrides: Sequence[str] = (), *, short: Mapping[str, str] | None = None
) -> Kind:
    """Read settings from a TOML file and change them by ``KEY=VALUE``.

    A key is a path of field names and numbers: ``phases.0.epochs=2``; ``phases.*.epochs=2`` changes all of a list.
    ``short`` says which path a single name stands for. A value is TOML, or else taken as text. Raises InputError
    naming the file or the key, the field, the value and what is expected.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"is not TOML ({error})") from None
    except OSError as error:
        raise InputError(str(path), f"cannot be read ({error.strerror})") from None
    settings = _checked(kind, fields, str(path))
    for override in overrides:
        settings = _changed(settings, override, short or {})
    return settings


def write_toml(settings: Settings) -> str:
    """Write settings as TOML, every field spelt out; `read_toml` gives the same settings back."""
    # TOML knows no null: what is None is left out, and None is what a missing field means.
    return tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True), multiline_strings=True)


def bundled(folder: str) -> dict[str, Path]:
    """Name -> file of every TOML file in a folder of the product's assets, sorted by name."""
    place = Path(str(files("mammo_assets"))) / folder
    return {path.stem: path for path in sorted(place.glob("*.toml"))}


def find_bundled(folder: str, name_or_path: str | Path, what: str) -> Path:
    """Find a bundled TOML file by name, else a file; InputError listing the names where there is neither."""
    known = bundled(folder)
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = ", ".join(known) or "none"
    raise InputError(f"{what} {str(name_or_path)!r}", f"is neither a file nor a bundled {what} (bundled: {names})")


def checked(kind: type[Kind], fields: Mapping[str, Any]) -> tuple[Kind | None, dict[str, str]]:
    """Validate strictly: a number is not text, 1.5 epochs are not epochs, true is not 1.

    Returns the settings, or None and what is wrong: path of a field (empty: the whole) -> a sentence's end.
    """
    try:
        return kind.model_validate_json(json.dumps(fields, default=str), strict=True), {}
    except ValidationError as error:
        wrong: dict[str, str] = {}
        for problem in error.errors():
            wrong.setdefault(_place(dict(problem)), str(problem["msg"]).removeprefix(_OWN_WORDS))
        # A list whose members are wrong is said to be too short: what is inside it is what matters.
        inside = {place: any(other.startswith(f"{place}.") for other in wrong) for place in wrong}
        return None, {place: words for place, words in wrong.items() if not inside[place]}


def _checked(kind: type[Kind], fields: dict[str, Any], source: str) -> Kind:
    """Validate as `checked` does; InputError naming everything that is wrong."""
    try:
        return kind.model_validate_json(json.dumps(fields, default=str), strict=True)
    except ValidationError as error:
        whole = f"the {kind.__name__.lower()}"
        raise InputError(source, "; ".join(_in_words(dict(problem), whole) for problem in error.errors())) from None


def _place(problem: dict[str, Any]) -> str:
    """Path of a field as a person would write it: members of a union, named by their types, are no part of it."""
    return ".".join(str(part) for part in problem["loc"] if re.fullmatch(r"[a-z0-9_]+", str(part)))


def _in_words(problem: dict[str, Any], whole: str) -> str:
    """Name field, value and expectation of one thing that pydantic found."""
    place = _place(problem)
    found = problem["input"]
    words = str(problem["msg"])
    if words.startswith(_OWN_WORDS):
        # A validator of ours names field and value itself.
        return f"{place or whole}: {words.removeprefix(_OWN_WORDS)}"
    shown = "" if isinstance(found, dict | list) else f"is {found!r}: "
    return f"{place or whole} {shown}{words}"


def _changed(settings: Kind, override: str, short: Mapping[str, str]) -> Kind:
    """Return the settings with one ``KEY=VALUE`` applied."""
    key, equals, text = override.partition("=")
    key, text = key.strip(), text.strip()
    if not equals or not key:
        raise InputError(f"--set {override}", "expected KEY=VALUE, such as phases.0.epochs=2")
    fields = settings.model_dump(mode="json", exclude_none=True)
    for place in _places(fields, short.get(key, key).split("."), f"--set {override}"):
        _put(fields, place, value_of(text))
    return _checked(type(settings), fields, f"--set {override}")


def value_of(text: str) -> Any:
    """Read a value as TOML does; what is not TOML is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _places(fields: Any, path: Sequence[str], source: str) -> list[list[str | int]]:
    """Spell out a path with ``*`` as all the paths that it means; every table and list on the way must exist."""
    places: list[list[str | int]] = [[]]
    for depth, part in enumerate(path):
        longer: list[list[str | int]] = []
        for place in places:
            longer.extend([*place, step] for step in _steps(_at(fields, place), part, ".".join(path[:depth]), source))
        places = longer
    return places


def _steps(inside: Any, part: str, place: str, source: str) -> list[str | int]:
    """Return the keys of ``inside`` that ``part`` means."""
    if isinstance(inside, list):
        numbers = [str(number) for number in range(len(inside))]
        if part == "*":
            return list(range(len(inside)))
        if part not in numbers:
            raise InputError(source, f"{place} has no {part!r}, expected one of {', '.join(numbers)}, or * for all")
        return [int(part)]
    if not isinstance(inside, dict):
        raise InputError(source, f"{place} has no field {part!r}: it is one value")
    return [part]


def _at(fields: Any, place: Sequence[str | int]) -> Any:
    for part in place:
        # A table that is not written down is one of defaults.
        fields = fields.setdefault(part, {}) if isinstance(fields, dict) else fields[part]
    return fields


def _put(fields: Any, place: Sequence[str | int], value: Any) -> None:
    _at(fields, place[:-1])[place[-1]] = value
