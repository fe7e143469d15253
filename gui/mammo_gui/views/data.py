"""The Train tab's data as HTML: choosing a prepared set, what it holds, and having one made."""

from collections.abc import Sequence
from urllib.parse import quote

from mammo_gui.markup import Markup, element, join
from mammo_gui.sets import PartFacts, SetFacts
from mammo_gui.training import Screen

_SOURCES = {"rsna": "RSNA", "inbreast": "INbreast", "cbis": "CBIS-DDSM", "folder": "a folder with a CSV"}
_MISSING = {"age": "age", "density": "density", "implant": "implant", "site_id": "site", "machine_id": "machine"}
"""Columns of a table in words."""


def data_html(screen: Screen) -> Markup:
    """Choosing a prepared set, and having one made."""
    chosen = [
        element("option", path.name, value=str(path), selected=str(path) == screen.desk.data) for path in screen.sets
    ]
    none = element("option", "choose a prepared set", value="", selected=not screen.desk.data)
    select = element("select", none, *chosen, name="data", data_action="data", aria_label="Prepared set")
    return join(
        element("section", element("h3", "Data"), select, _facts(screen.facts)),
        _closed("Make a set of phantoms", "phantoms", _phantoms(screen.desk.recorded)),
        _closed("Prepare a set from images", "prepare", _prepare(screen)),
        _closed("Register a prepared set", "register", _register(screen.desk.recorded)),
    )


def _facts(facts: SetFacts | None) -> Markup | None:
    if facts is None:
        return None
    rows = (
        ("Images", f"{facts.images} of {facts.size} pixels"),
        ("Patients", str(facts.patients)),
        ("Breasts", f"{facts.breasts}, {facts.positives} with a cancer ({facts.positives / facts.breasts:.1%})"),
        ("Views", ", ".join(f"{view} {count}" for view, count in facts.views)),
        ("Machines", ", ".join(f"{name} {count}" for name, count in facts.machines)),
        ("Missing", ", ".join(f"{_MISSING[name]} {count}" for name, count in facts.missing) or "nothing"),
        ("Source", ", ".join(facts.sources)),
    )
    pairs = [join(element("dt", name), element("dd", value)) for name, value in rows]
    address = f"/mammo/set-picture?folder={quote(str(facts.folder), safe='')}&row="
    pictures = [element("img", src=f"{address}{row}", alt=f"Image {row}", loading="lazy") for row in facts.pictures]
    return join(
        element("dl", *pairs, id="set-facts"), _parts(facts.parts), element("div", *pictures, class_="pictures")
    )


def _parts(parts: Sequence[PartFacts]) -> Markup:
    """How the recipe divides the set."""
    if not parts:
        return element("p", "The recipe does not divide it yet.", class_="dim")
    heads = [element("th", title) for title in ("Split", "Patients", "Breasts", "Cancer")]
    lines = [
        element(
            "tr",
            element("th", part.part),
            element("td", str(part.patients)),
            element("td", str(part.breasts)),
            element("td", f"{part.positives} ({part.positives / max(part.breasts, 1):.1%})"),
        )
        for part in parts
    ]
    return element("table", element("thead", element("tr", *heads)), element("tbody", *lines), id="set-parts")


def _closed(title: str, key: str, body: Markup) -> Markup:
    return element("details", element("summary", title), body, class_="group", data_key=key)


def _phantoms(recorded: str) -> Markup:
    return element(
        "form",
        _entry("name", "Name", "phantoms"),
        _entry("studies", "Exams", "200"),
        _entry("prevalence", "With a cancer, %", "40"),
        _entry("size", "Rows x columns", "512x320"),
        _entry("seed", "Seed", "1"),
        element("button", "Make", type="submit"),
        data_action="phantoms",
        class_="make",
        data_draft="train-phantoms",
        data_recorded=recorded or None,
    )


def _prepare(screen: Screen) -> Markup:
    sources = [element("option", title, value=name) for name, title in _SOURCES.items()]
    bits = [element("option", each, value=each) for each in ("8", "16")]
    return element(
        "form",
        element("label", element("span", "Data set"), element("select", *sources, name="source")),
        _entry("folder", "Folder on this machine", "", "train-folders"),
        element("datalist", *(element("option", value=str(path)) for path in screen.folders), id="train-folders"),
        _entry("name", "Name", "prepared"),
        _entry("size", "Rows x columns", "512x320"),
        element("label", element("span", "Bits of a pixel"), element("select", *bits, name="bits")),
        element("button", "Prepare", type="submit"),
        data_action="prepare",
        class_="make",
        data_draft="train-prepare",
        data_recorded=screen.desk.recorded or None,
    )


def _register(recorded: str) -> Markup:
    return element(
        "form",
        _entry("folder", "Folder of the set on this machine", "", "train-folders"),
        element("button", "Register", type="submit"),
        data_action="register",
        class_="make",
        data_draft="train-register",
        data_recorded=recorded or None,
    )


def _entry(name: str, title: str, value: str, offered: str = "") -> Markup:
    control = element("input", type="text", name=name, value=value, list=offered or None)
    return element("label", element("span", title), control, class_="wide" if offered else None)
