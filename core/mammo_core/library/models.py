"""The models of a library: the bundled ones, those that were added, and which one exams are read with.

A file is kept by its content hash, with the evidence that lay beside it: curves, evaluation, split. Promotions are
never changed: going back is another one. Knows nothing of what a model is worth.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Engine, RowMapping, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from mammo_core.errors import InputError
from mammo_core.files import private_folder, sha256_of
from mammo_core.library import tables
from mammo_core.library.points import Record, sentence
from mammo_core.library.values import InUse, ModelEntry, Origin, Promotion
from mammo_core.model_files import DEFAULT_MODEL, PHANTOM_MODEL, bundled_models, learnt_from_phantoms

CHECKPOINT = "checkpoint.safetensors"
LOG, REPORT, EVALUATION = "log.jsonl", "evaluation.html", "evaluation.json"
EVIDENCE = (LOG, "recipe.toml", "split.csv", "validation.csv", EVALUATION, REPORT)
"""What may lie beside a checkpoint and says how it came about and what it is worth."""
_REASON_LIMIT = 1000


class Models:
    """The models of one library."""

    def __init__(
        self, folder: Path, engine: Engine, writing: Engine, record: Record, stamp: Callable[[], tuple[str, str]]
    ) -> None:
        """``folder`` is where files are kept; ``stamp`` gives who is at work and the time."""
        self._folder = folder
        self._engine = engine
        self._writing = writing
        self._record = record
        self._stamp = stamp
        self._only_now: ModelEntry | None = None

    def add(self, path: Path, *, origin: Origin) -> ModelEntry:
        """Take a checkpoint in, with the evidence beside it; InputError, naming the tensor, where it does not fit.

        Adding the same content again changes nothing but brings evidence that was not there before.
        """
        # Imports torch, which takes seconds.
        from mammo_core.checkpoint import load_checkpoint

        loaded = load_checkpoint(path)
        self._keep(path, loaded.sha256, loaded.header.name, origin)
        return self.entry(loaded.sha256)

    def only_now(self, path: Path) -> None:
        """Read with this file until the library is closed, whatever is promoted."""
        sha256 = _hash(path)
        name = path.parent.name if path.stem == "checkpoint" else path.stem
        found = next((entry for entry in self.all() if entry.sha256 == sha256), None)
        self._only_now = found or ModelEntry(sha256, name, "session", path, path.parent, "", in_use=True)

    def all(self) -> tuple[ModelEntry, ...]:
        """Every model: bundled ones first, then the newest addition first."""
        with self._engine.connect() as connection:
            query = select(tables.models).order_by(tables.models.c.added_at.desc(), tables.models.c.sha256)
            kept = [self._kept(row) for row in connection.execute(query).mappings()]
        entries = list(bundled_entries())
        for entry in (*kept, *([self._only_now] if self._only_now else [])):
            if entry.path.is_file() and all(entry.sha256 != known.sha256 for known in entries):
                entries.append(entry)
        used = self.in_use_sha256()
        phantoms = _for_phantoms(entries, used)
        return tuple(
            replace(entry, in_use=entry.sha256 == used, in_use_for_phantoms=entry.sha256 == phantoms)
            for entry in entries
        )

    def entry(self, sha256: str) -> ModelEntry:
        """Return one model; InputError where it is not here."""
        found = next((entry for entry in self.all() if entry.sha256 == sha256), None)
        if found is None:
            raise InputError(f"model {sha256[:12]}", "is not in the library")
        return found

    def find(self, text: str) -> ModelEntry:
        """Return the one model with this name, or with a hash that begins so; InputError where it is not one."""
        entries = self.all()
        named = [entry for entry in entries if entry.name == text or (len(text) >= 6 and entry.sha256.startswith(text))]
        if len(named) != 1:
            known = ", ".join(f"{entry.name} {entry.sha256[:8]}" for entry in named or entries)
            found = f"stands for {len(named)} models" if named else "is no model of the library"
            raise InputError(f"model {text!r}", f"{found}; give a name, or the first digits of a hash: {known}")
        return named[0]

    def in_use(self) -> ModelEntry:
        """Return the model that exams are read with; InputError where its file is gone."""
        return self.entry(self.in_use_sha256())

    def in_use_sha256(self) -> str:
        """Return its hash: of `only_now`, else of the last promotion, else of the bundled default."""
        return self._only_now.sha256 if self._only_now else self._promoted_sha256()

    def used(self) -> InUse:
        """Return what exams are read with, and what synthetic ones: the same model if it learnt from such."""
        phantoms = next((entry.sha256 for entry in self.all() if entry.in_use_for_phantoms), "")
        return InUse(self.in_use_sha256(), phantoms)

    def promote(self, sha256: str, reason: str, detail: Mapping[str, str]) -> ModelEntry:
        """Read exams with this model from now on; ``detail`` is what was shown when it was decided.

        Raises InputError without a reason, and for a model that is not here or that was the last one promoted.
        """
        reason = sentence("reason", reason, _REASON_LIMIT)
        entry = self.entry(sha256)
        if sha256 == self._promoted_sha256():
            raise InputError(f"model {entry.name}", "is in use already")
        # Also a bundled one: another version of the product may bundle another.
        self._keep(entry.path, sha256, entry.name, "imported" if entry.origin == "session" else entry.origin)
        who, at = self._stamp()
        with self._writing.begin() as connection:
            told = json.dumps(dict(detail), ensure_ascii=False)
            values = {"sha256": sha256, "name": entry.name, "reason": reason, "detail": told, "who": who, "at": at}
            connection.execute(insert(tables.promotions).values(**values))
            self._record(
                connection, "model promoted", None, {**detail, "model": sha256, "name": entry.name, "reason": reason}
            )
        self._only_now = None
        return self.entry(sha256)

    def promotions(self) -> tuple[Promotion, ...]:
        """Every promotion, newest first."""
        query = select(tables.promotions).order_by(tables.promotions.c.id.desc())
        with self._engine.connect() as connection:
            return tuple(_promotion(row) for row in connection.execute(query).mappings())

    def before(self) -> str:
        """Hash of what was in use before the last promotion; empty where nothing was promoted."""
        promoted = [promotion.sha256 for promotion in self.promotions()]
        return next(iter([*promoted[1:2], *([self._default()] if promoted else [])]), "")

    def roll_back(self, reason: str) -> ModelEntry:
        """Go back to what was in use before the last promotion, which is a promotion too."""
        before = self.before()
        if not before:
            raise InputError("model", "nothing was promoted yet: there is nothing to go back to")
        return self.promote(before, reason, {"rolled back from": self._promoted_sha256()})

    def _promoted_sha256(self) -> str:
        query = select(tables.promotions.c.sha256).order_by(tables.promotions.c.id.desc()).limit(1)
        with self._engine.connect() as connection:
            promoted: str | None = connection.execute(query).scalar_one_or_none()
        return promoted or self._default()

    def _default(self) -> str:
        return _hash(bundled_models()[DEFAULT_MODEL])

    def _keep(self, path: Path, sha256: str, name: str, origin: Origin) -> None:
        """Copy a file and its evidence; the checkpoint, last of all, says that the copy is whole."""
        place = self._folder / sha256
        private_folder(place)
        beside = _evidence_of(path)
        for each in EVIDENCE:
            if (beside / each).is_file() and not (place / each).exists():
                shutil.copyfile(beside / each, place / each)
        if not (place / CHECKPOINT).is_file():
            coming = place / f"{CHECKPOINT}.coming"
            shutil.copyfile(path, coming)
            if sha256_of(coming) != sha256:
                coming.unlink()
                raise InputError(path.name, "changed while it was copied")
            coming.replace(place / CHECKPOINT)
        who, at = self._stamp()
        values = {"sha256": sha256, "name": name, "origin": origin, "who": who, "added_at": at}
        with self._writing.begin() as connection:
            added = connection.execute(upsert(tables.models).values(**values).on_conflict_do_nothing())
            if added.rowcount:
                detail = {"model": sha256, "name": name, "origin": origin, "file": path.name}
                self._record(connection, "model added", None, detail)

    def _kept(self, row: RowMapping) -> ModelEntry:
        place = self._folder / row["sha256"]
        return ModelEntry(row["sha256"], row["name"], row["origin"], place / CHECKPOINT, place, row["added_at"], False)


def bundled_entries() -> tuple[ModelEntry, ...]:
    """The models that ship with the product; the default one is in use as long as no library says otherwise."""
    return tuple(
        ModelEntry(
            *(_hash(path), name, "bundled", path, _evidence_of(path), "", name == DEFAULT_MODEL, name == PHANTOM_MODEL)
        )
        for name, path in bundled_models().items()
    )


def _for_phantoms(entries: Sequence[ModelEntry], used: str) -> str:
    """Hash of the model that reads synthetic exams, the one in use being ``used``.

    That is the one in use if it learnt from such, and also where its file is gone, so that this is told and no other
    model speaks instead.
    """
    in_use = next((entry for entry in entries if entry.sha256 == used), None)
    if in_use is None or learnt_from_phantoms(in_use.path):
        return used
    return _hash(bundled_models()[PHANTOM_MODEL])


def _hash(path: Path) -> str:
    """Hash of a file, worked out once as long as it is not written to."""
    return _hash_at(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _hash_at(path: Path, _changed: int) -> str:
    return sha256_of(path)


def _evidence_of(path: Path) -> Path:
    """Folder with a checkpoint's evidence: of the file's name where there is one, else the one that it lies in.

    A folder with several checkpoints holds no evidence of any one of them.
    """
    own = path.with_suffix("")
    alone = len(list(path.parent.glob("*.safetensors"))) == 1
    return own if own.is_dir() or not alone else path.parent


def _promotion(row: RowMapping) -> Promotion:
    detail = json.loads(row["detail"])
    return Promotion(row["id"], row["at"], row["who"], row["sha256"], row["name"], row["reason"], detail)
