"""HTML that is escaped by construction: whatever is not markup made here is text.

Knows nothing of what is shown.
"""

from html import escape


class Markup(str):
    """Text that is HTML already, because ``element`` or ``join`` made it."""

    __slots__ = ()


Content = str | Markup | None


def element(tag: str, *children: Content, **attributes: str | int | bool | None) -> Markup:
    """One element. Children and attribute values are escaped unless they are ``Markup``; None is left out.

    Attribute names: a trailing underscore is dropped and the others become hyphens (``class_``, ``data_study``);
    True writes the bare name, False and None nothing.
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    inner = join(*children)
    if tag in {"input", "br", "hr", "img"}:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{inner}</{tag}>")


def join(*children: Content) -> Markup:
    """Children one after another, escaped unless they are ``Markup``."""
    return Markup("".join(_text(child) for child in children if child is not None))


def _text(child: str | Markup) -> str:
    return str(child) if isinstance(child, Markup) else escape(child, quote=True)


def _attribute(name: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{escape(str(value), quote=True)}"'
