"""The Train tab's data as HTML: choosing a prepared set, what it holds, and having one made."""

from urllib.parse import quote

from mammo_gui.markup import Markup, element, join
from mammo_gui.sets import SetFacts
from mammo_gui.training import Screen

_SOURCES = {"rsna": "RSNA", "inbreast": "INbreast", "cbis": "CBIS-DDSM", "folder": "a folder with a CSV"}


def data_html(screen: Screen) -> Markup:
    """Choosing a prepared set, and having one made."""
    chosen = [
        element("option", path.name, value=str(path), selected=str(path) == screen.desk.data) for path in screen.sets
    ]
    none = element("option", "choose a prepared set", value="", selected=not screen.desk.data)
    select = element("select", none, *chosen, name="data", data_action="data", aria_label="Prepared set")
    problem = screen.desk.problem
    return join(
        element("p", problem, class_="failed", role="alert", id="train-problem") if problem else None,
        element("section", element("h3", "Data"), select, _facts(screen.facts)),
        _closed("Make a set of phantoms", "phantoms", _phantoms()),
        _closed("Prepare a set from images", "prepare", _prepare(screen)),
        _closed("Register a prepared set", "register", _register()),
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
        ("Age missing", f"{facts.ages_missing} images"),
        ("Source", ", ".join(facts.sources)),
        *((part.part, _part(part.patients, part.breasts, part.positives)) for part in facts.parts),
    )
    pairs = [join(element("dt", name), element("dd", value)) for name, value in rows]
    address = f"/mammo/set-picture?folder={quote(str(facts.folder), safe='')}&row="
    pictures = [element("img", src=f"{address}{row}", alt=f"Image {row}", loading="lazy") for row in facts.pictures]
    return join(element("dl", *pairs, id="set-facts"), element("div", *pictures, class_="pictures"))


def _part(patients: int, breasts: int, positives: int) -> str:
    return f"{patients} patients, {breasts} breasts, {positives} with a cancer ({positives / max(breasts, 1):.1%})"


def _closed(title: str, key: str, body: Markup) -> Markup:
    return element("details", element("summary", title), body, class_="group", data_key=key)


def _phantoms() -> Markup:
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
    )


def _register() -> Markup:
    return element(
        "form",
        _entry("folder", "Folder of the set on this machine", "", "train-folders"),
        element("button", "Register", type="submit"),
        data_action="register",
        class_="make",
        data_draft="train-register",
    )


def _entry(name: str, title: str, value: str, offered: str = "") -> Markup:
    control = element("input", type="text", name=name, value=value, list=offered or None)
    return element("label", element("span", title), control)
