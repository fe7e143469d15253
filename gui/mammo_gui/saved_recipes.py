"""Recipes by name: those that ship with the product, and those that somebody saved in the library."""

import re
from pathlib import Path

from mammo_core.errors import InputError
from mammo_core.files import private_folder, write_atomic
from mammo_gui.draft import Draft, draft_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Recipes:
    """The recipes that a run can begin with. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Keep saved recipes in ``folder``, made when the first is saved."""
        self._folder = folder

    def saved(self) -> tuple[str, ...]:
        """Names of what was saved, sorted."""
        return tuple(sorted(path.stem for path in self._folder.glob("*.toml")))

    def names(self) -> tuple[str, ...]:
        """All names: what was saved, then what is bundled."""
        from mammo_train.recipe import bundled_recipes

        return (*self.saved(), *bundled_recipes())

    def file(self, name: str) -> str:
        """What `mammo_train.recipe.load_recipe` takes for it; InputError for a name that nothing has."""
        if name not in self.names():
            raise InputError("recipe", f"{name[:60]!r} is not one of {', '.join(self.names())}")
        return str(self._folder / f"{name}.toml") if name in self.saved() else name

    def draft(self, name: str) -> Draft:
        """Begin to edit one; InputError for a name that nothing has, or a file that is damaged."""
        from mammo_train.recipe import dump_recipe, load_recipe

        return draft_of("recipe", dump_recipe(load_recipe(self.file(name))))

    def save(self, name: str, toml: str) -> None:
        """Keep a recipe under a name that is free: what a comparison was begun with does not change under it."""
        if not _NAME.fullmatch(name):
            raise InputError("name", f"{name[:60]!r}: letters, digits, '.', '-' and '_' are expected, at most 64")
        if name in self.names():
            raise InputError("name", f"{name!r} is taken: choose another, or delete that one first")
        private_folder(self._folder)
        write_atomic(self._folder / f"{name}.toml", toml.encode())

    def delete(self, name: str) -> None:
        """Forget what was saved under a name; runs that were made from it keep their own copy."""
        if name not in self.saved():
            raise InputError("recipe", f"{name[:60]!r} was not saved here")
        (self._folder / f"{name}.toml").unlink(missing_ok=True)
