"""The models of a library: added with their evidence, promoted with a reason, gone back from."""

import shutil
from pathlib import Path

import pytest
import safetensors.torch
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError

from made import MODEL_IN_USE, made_checkpoint
from mammo_core.checkpoint import load_checkpoint
from mammo_core.errors import InputError
from mammo_core.files import sha256_of
from mammo_core.library import InUse, Library, ModelEntry
from mammo_core.model_files import DEFAULT_MODEL, PHANTOM_MODEL, bundled_models, find_model
from test_library_points import add_study


@pytest.fixture
def library(tmp_path: Path):
    with Library(tmp_path / "library") as opened:
        opened.set_reader("Dr Test")
        yield opened


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder: a checkpoint and what says how it came about."""
    folder = tmp_path / "run"
    folder.mkdir()
    made_checkpoint(folder / "checkpoint.safetensors")
    (folder / "log.jsonl").write_text('{"event": "start"}\n', encoding="utf-8")
    (folder / "evaluation.html").write_text("<!doctype html>", encoding="utf-8")
    (folder / "private.txt").write_text("not evidence", encoding="utf-8")
    return folder


def added(library: Library, run: Path) -> ModelEntry:
    return library.models.add(run / "checkpoint.safetensors", origin="trained")


def test_a_new_library_reads_with_the_bundled_model(library: Library) -> None:
    used = library.models.in_use()
    found = (used.name, used.origin, used.sha256, used.use)
    assert found == (DEFAULT_MODEL, "bundled", MODEL_IN_USE, "in use")
    phantoms = library.models.find(PHANTOM_MODEL)
    assert phantoms.use == "in use for synthetic exams"
    assert library.models.promotions() == ()
    with pytest.raises(InputError, match="nothing was promoted yet"):
        library.models.roll_back("why")


def test_a_model_is_kept_with_its_evidence_and_found_without_the_original(library: Library, run: Path) -> None:
    sha256 = load_checkpoint(run / "checkpoint.safetensors").sha256
    entry = added(library, run)
    shutil.rmtree(run)
    assert (entry.sha256, entry.origin, entry.in_use) == (sha256, "trained", False)
    assert load_checkpoint(library.models.entry(sha256).path).sha256 == sha256
    assert {file.name for file in entry.evidence.iterdir()} == {
        "checkpoint.safetensors",
        "log.jsonl",
        "evaluation.html",
    }
    bundled = [sha256_of(file) for file in bundled_models().values()]
    assert [model.sha256 for model in library.models.all()] == [*bundled, sha256]
    assert library.events()[-1].what == "model added"


def test_adding_again_changes_nothing_but_brings_new_evidence(library: Library, run: Path) -> None:
    first = added(library, run)
    (run / "evaluation.json").write_text("{}", encoding="utf-8")
    events = len(library.events())
    assert added(library, run) == first
    assert (first.evidence / "evaluation.json").read_text(encoding="utf-8") == "{}"
    assert len(library.events()) == events


def test_a_folder_of_several_checkpoints_is_nobodys_evidence(library: Library, run: Path) -> None:
    shutil.copyfile(find_model(), run / "another.safetensors")
    assert {file.name for file in added(library, run).evidence.iterdir()} == {"checkpoint.safetensors"}


def test_a_checkpoint_that_does_not_fit_is_refused_with_the_tensor_named(library: Library, run: Path) -> None:
    file = run / "checkpoint.safetensors"
    with safetensors.safe_open(file, framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
        metadata = opened.metadata()
    lost = sorted(tensors)[3]
    del tensors[lost]
    safetensors.torch.save_file(tensors, file, metadata)
    with pytest.raises(InputError, match=lost):
        added(library, run)
    assert {model.origin for model in library.models.all()} == {"bundled"}
    assert not list((library.folder / "models").glob("*"))


def test_a_promotion_has_a_reason_and_what_was_shown(library: Library, run: Path) -> None:
    entry = added(library, run)
    assert library.models.promote(entry.sha256, " Better\nhere ", {"ROC-AUC": "+0.02"}).in_use
    assert library.models.in_use().sha256 == entry.sha256
    (promotion,) = library.models.promotions()
    assert (promotion.who, promotion.sha256, promotion.reason) == ("Dr Test", entry.sha256, "Better here")
    assert promotion.detail == {"ROC-AUC": "+0.02"}
    event = library.events()[-1]
    assert (event.what, event.detail["model"], event.detail["ROC-AUC"]) == ("model promoted", entry.sha256, "+0.02")
    with pytest.raises(InputError, match="is in use already"):
        library.models.promote(entry.sha256, "again", {})
    with pytest.raises(InputError, match="reason: is empty"):
        library.models.promote(MODEL_IN_USE, " ", {})
    with pytest.raises(InputError, match="model eeeeeeeeeeee: is not in the library"):
        library.models.promote("e" * 64, "why", {})


def test_going_back_is_one_call_and_is_recorded(library: Library, run: Path) -> None:
    entry = added(library, run)
    library.models.promote(entry.sha256, "Better", {})
    assert library.models.before() == MODEL_IN_USE
    assert library.models.roll_back("Worse after all").sha256 == MODEL_IN_USE
    assert [promotion.sha256 for promotion in library.models.promotions()] == [MODEL_IN_USE, entry.sha256]
    assert library.models.roll_back("No, better").sha256 == entry.sha256


def test_promotions_cannot_be_changed_in_the_database(library: Library, run: Path) -> None:
    library.models.promote(added(library, run).sha256, "Better", {})
    engine = create_engine(f"sqlite:///{library.folder / 'library.sqlite3'}")
    for statement in ("UPDATE promotions SET reason = 'x'", "DELETE FROM promotions"):
        with pytest.raises(IntegrityError, match="kept as it was"), engine.begin() as connection:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_promoted_bundled_model_stays_when_another_version_bundles_another(
    library: Library, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.models.promote(added(library, run).sha256, "Better", {})
    library.models.roll_back("Worse")
    other = run / f"{DEFAULT_MODEL}.safetensors"
    made_checkpoint(other, name="other")
    bundled = {DEFAULT_MODEL: other, PHANTOM_MODEL: find_model(PHANTOM_MODEL)}
    monkeypatch.setattr("mammo_core.library.models.bundled_models", lambda: bundled)
    used = library.models.in_use()
    assert (used.sha256, used.origin, used.path.is_file()) == (MODEL_IN_USE, "bundled", True)
    assert used.title == f"{DEFAULT_MODEL} ({MODEL_IN_USE[:8]})"


def test_a_promoted_model_whose_file_is_gone_is_never_replaced_in_silence(library: Library, run: Path) -> None:
    entry = added(library, run)
    library.models.promote(entry.sha256, "Better", {})
    entry.path.unlink()
    with pytest.raises(InputError, match=f"model {entry.sha256[:12]}: is not in the library"):
        library.models.in_use()
    assert library.models.roll_back("Its file is gone").sha256 == MODEL_IN_USE


def test_a_model_for_one_session_is_not_promoted(tmp_path: Path, run: Path) -> None:
    file = run / "checkpoint.safetensors"
    with Library(tmp_path / "library") as library:
        library.models.only_now(file)
        used = library.models.in_use()
        assert (used.name, used.origin, used.path) == ("run", "session", file)
        assert used in library.models.all()
    with Library(tmp_path / "library") as library:
        assert library.models.in_use().sha256 == MODEL_IN_USE
        library.models.only_now(file)
        library.models.promote(library.models.in_use_sha256(), "It is better", {})
    with Library(tmp_path / "library") as library:
        assert (library.models.in_use().origin, library.models.in_use().name) == ("imported", "run")


def test_a_model_is_found_by_its_name_or_the_beginning_of_its_hash(library: Library, run: Path) -> None:
    entry = added(library, run)
    assert library.models.find(entry.name) == library.models.find(entry.sha256[:8]) == entry
    with pytest.raises(InputError, match="model 'nobody': is no model of the library; give a name"):
        library.models.find("nobody")
    made_checkpoint(run / "second.safetensors", version="2")
    library.models.add(run / "second.safetensors", origin="imported")
    with pytest.raises(InputError, match="stands for 2 models"):
        library.models.find(entry.name)


def test_synthetic_exams_are_read_by_a_model_that_learnt_from_such(library: Library, run: Path, tmp_path: Path) -> None:
    demo = sha256_of(find_model(PHANTOM_MODEL))
    exam, phantom = add_study(library, 1, 0.6), add_study(library, 2, 0.7, model=demo, phantom=True)
    made_checkpoint(tmp_path / "real.safetensors", training_domain="mammogram")
    real = library.models.add(tmp_path / "real.safetensors", origin="imported")
    library.models.promote(real.sha256, "Learnt from mammograms", {})
    assert library.models.used() == InUse(exams=real.sha256, phantoms=demo)
    assert [entry.name for entry in library.models.all() if entry.in_use_for_phantoms] == [PHANTOM_MODEL]
    # What the model before said of the mammogram is not heard any more.
    assert library.waiting() == [(exam, real.sha256)]
    assert library.study(exam).ai is None
    assert library.study(phantom).ai.result.score == 0.7
    assert {line.id: line.score for line in library.worklist()} == {exam: None, phantom: 0.7}
    assert library.usual_model() == real.sha256
    library.remove(exam)
    assert library.usual_model() == demo
    # A model that learnt from phantoms reads everything once it is promoted.
    trained = added(library, run)
    library.models.promote(trained.sha256, "Trained here", {})
    assert library.models.used() == InUse(exams=trained.sha256, phantoms=trained.sha256)
    assert library.waiting() == [(phantom, trained.sha256)]


def test_only_the_model_in_use_is_heard(library: Library, run: Path) -> None:
    entry = added(library, run)
    study = add_study(library, 1, 0.6)
    assert (library.study(study).ai.result.score, library.worklist()[0].status) == (0.6, "AI done")
    library.models.promote(entry.sha256, "Better", {})
    assert library.study(study).ai is None
    assert (library.worklist()[0].score, library.worklist()[0].status) == (None, "new")
    add_study(library, 1, 0.2, model=entry.sha256)
    assert library.worklist()[0].score == 0.2
    library.models.roll_back("Worse")
    assert library.study(study).ai.result.score == library.worklist()[0].score == 0.6, "not that of the other, newer"
