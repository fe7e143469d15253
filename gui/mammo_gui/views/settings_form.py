"""A form made from the settings' own model: one control per field, its docstring as help, its problem beside it."""

import json
from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mammo_gui.markup import Markup, element, join

Choices = Mapping[str, tuple[str, ...]]
"""Name of a field -> what is offered for it, where the model itself does not say."""
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def fields_html(
    kind: type[BaseModel],
    values: Mapping[str, Any],
    problems: Mapping[str, str],
    path: str = "",
    choices: Choices | None = None,
    beside: Mapping[str, Markup] | None = None,
) -> Markup:
    """Controls for every field of ``kind`` that is one value, then its groups of fields, closed.

    ``beside`` holds, by the name of a field, what else stands there.
    """
    plain, groups = [], []
    for name, info in kind.model_fields.items():
        place = f"{path}{name}"
        inner = _model(info.annotation)
        if inner is not None:
            body = fields_html(inner, values.get(name) or {}, problems, f"{place}.")
            groups.append(group_html(_words(name), body, problems, place, info.description or ""))
        elif not _is_list_of_models(info.annotation):
            offered = (choices or {}).get(name, ())
            control = join(_control(place, info.annotation, values.get(name), offered), (beside or {}).get(name))
            plain.append(_field(name, info, control, problems.get(place, "")))
    return join(element("div", *plain, class_="fields"), *groups)


def group_html(title: str, body: Markup, problems: Mapping[str, str], path: str, about: str = "") -> Markup:
    """A group that can be opened; one in which something is wrong says so from outside."""
    inside = sum(place == path or place.startswith(f"{path}.") for place in problems)
    wrong = element("em", f"{inside} to correct", class_="wrong") if inside else None
    own = problems.get(path)
    return element(
        "details",
        element("summary", title, " ", wrong, title=about),
        element("p", own, class_="failed") if own else None,
        body,
        class_="group",
        data_key=path,
    )


def _field(name: str, info: FieldInfo, control: Markup, problem: str) -> Markup:
    about = " ".join(filter(None, (info.description, _range(info))))
    return element(
        "label",
        element("span", _words(name), title=about),
        control,
        element("small", problem, class_="wrong") if problem else element("small", about, class_="help"),
        class_="entry bad" if problem else "entry",
    )


def _control(place: str, annotation: Any, value: Any, offered: tuple[str, ...]) -> Markup:
    # Not "data-path": Gradio takes whatever holds a "path" for a file.
    told = {"name": place, "data_action": "edit", "data_field": place}
    choices = _choices(annotation)
    if offered:
        # What stands there is shown, also where it is none of them: the form says what is wrong, nothing is lost.
        choices = offered if value in offered else (str(value or ""), *offered)
    if annotation is bool:
        choices = ("true", "false")
    if choices:
        shown = str(value).lower() if isinstance(value, bool) else value
        listed = [element("option", str(choice), value=str(choice), selected=choice == shown) for choice in choices]
        return element("select", *listed, **told)
    written = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return element("input", type="text", value=written, **told)


def _choices(annotation: Any) -> tuple[str, ...]:
    """The values of a field that has no others."""
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _model(annotation: Any) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _is_list_of_models(annotation: Any) -> bool:
    return any(_model(inner) is not None for inner in get_args(annotation) if inner is not NoneType)


def _range(info: FieldInfo) -> str:
    """Bounds in words, as far as the field states any."""
    found = [
        f"{words} {getattr(bound, name):g}"
        for bound in info.metadata
        for name, words in _BOUNDS.items()
        if getattr(bound, name, None) is not None
    ]
    return f"({', '.join(found)})" if found else ""


def _words(name: str) -> str:
    return name.replace("_", " ")
