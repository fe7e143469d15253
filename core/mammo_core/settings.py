"""The base of everything a person may edit: frozen, strict, documented field by field."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen value whose fields are documented by the docstring below each of them.

    Unknown fields are refused, so that a misspelt name in a TOML file is an error and not a silent default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
