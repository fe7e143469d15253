"""The background thread: nothing that goes wrong ends it, and what a person sends comes first."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.exc import OperationalError

import mammo_core.phantom
from made import made_checkpoint, made_header
from mammo_core.errors import InputError
from mammo_core.library import Library
from mammo_core.mammogram import Mammogram
from mammo_core.sandbox import DecodeSandbox
from mammo_gui.receiving import Received, Receiving
from mammo_gui.worker import Arrival, Worker
from tiny_dicom import breast, write_mammogram

LOCKED = OperationalError("UPDATE studies", {}, Exception("database is locked"))


class Opinion:
    """A model that reads no pixels; ``broken`` studies raise what is given."""

    def __init__(self, broken: dict[int, Exception]) -> None:
        self.broken = broken
        self.done: list[int] = []

    def waiting(self, library: Library) -> list[int]:
        return [line.id for line in reversed(library.worklist()) if line.id not in self.done]

    def read(self, _library: Library, study_id: int, _sandbox: DecodeSandbox) -> bool:
        if study_id in self.broken:
            raise self.broken[study_id]
        self.done.append(study_id)
        return True


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "library") as made:
        made.set_demo_made()
        yield made


@pytest.fixture
def started(library: Library, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], Opinion]], Worker]]:
    """Start a worker whose model is loaded by the function given."""
    workers: list[Worker] = []

    def start(load: Callable[[], Opinion]) -> Worker:
        monkeypatch.setattr(Worker, "_opinion", lambda _, _model: load())
        monkeypatch.setattr(library, "waiting", lambda: [(study, "model") for study in load().waiting(library)])
        workers.append(Worker(library))
        workers[0].page_shown()
        workers[0].start()
        return workers[0]

    yield start
    for worker in workers:
        worker.stop()


def add(library: Library, number: int) -> int:
    file = library.folder.parent / str(number)
    file.write_bytes(bytes([number]))
    header = made_header(
        2, 3, sha256=hashlib.sha256(bytes([number])).hexdigest(), patient_id=f"p{number}", study_uid=f"1.{number}"
    )
    return library.add_image(Mammogram(header, np.zeros((2, 3), np.uint16)), file, phantom=False)


def received(library: Library, *files: Path) -> Received:
    receiving = Receiving(library.folder / "incoming")
    batch = f"{len(files):032x}"

    async def content(file: Path):
        yield file.read_bytes()

    for file in files:
        asyncio.run(receiving.keep(batch, f"exam/{file.name}", None, content(file)))
    return receiving.finished(batch)


def wait_for(what: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not what():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


def test_a_model_that_cannot_be_loaded_is_told_and_files_are_still_added(library: Library, started, tmp_path) -> None:
    def load() -> Opinion:
        raise RuntimeError("CUDA out of memory")

    worker = started(load)
    wait_for(lambda: "There is no second opinion: unexpected error" in worker.activity.model)
    worker.add_received(received(library, write_mammogram(tmp_path / "a.dcm")))
    wait_for(lambda: worker.activity.outcome == "1 image added in 1 study.")
    wait_for(lambda: worker.activity.doing == "")
    assert "unexpected error" in worker.activity.model


def test_an_exam_that_breaks_the_model_or_the_library_does_not_keep_it_from_the_next(
    library: Library, started, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = [add(library, number) for number in range(4)]
    keep = library.record_failure

    def record_failure(study_id: int, reason: str) -> None:
        if study_id == studies[2]:
            raise LOCKED
        keep(study_id, reason)

    monkeypatch.setattr(library, "record_failure", record_failure)
    opinion = Opinion({studies[0]: RuntimeError("CUDA"), studies[1]: InputError("view", "is odd"), studies[2]: LOCKED})
    worker = started(lambda: opinion)
    wait_for(lambda: opinion.done == [studies[3]])
    wait_for(lambda: worker.activity.doing == "")
    assert library.study(studies[0]).failure == "unexpected error; the terminal says what"
    assert library.study(studies[1]).failure == "view: is odd"
    assert library.study(studies[2]).failure == ""
    assert "could not read this exam" in worker.activity.model, "the page must not wait for ever"


def test_a_library_that_does_not_answer_for_a_while_does_not_end_the_thread(
    library: Library, started, tmp_path: Path
) -> None:
    opinion = Opinion({})
    answers = [LOCKED, LOCKED]
    waiting = opinion.waiting

    def locked(library: Library) -> list[int]:
        if answers:
            raise answers.pop()
        return waiting(library)

    opinion.waiting = locked
    worker = started(lambda: opinion)
    wait_for(lambda: "unexpected error" in worker.activity.model)
    worker.add_received(received(library, write_mammogram(tmp_path / "a.dcm")))
    wait_for(lambda: opinion.done == [1])
    wait_for(lambda: worker.activity.model == "")


def test_another_model_is_loaded_when_it_is_promoted_and_none_when_its_file_was_changed(
    library: Library, tmp_path: Path
) -> None:
    made_checkpoint(tmp_path / "one.safetensors")
    made_checkpoint(tmp_path / "two.safetensors", version="2")
    library.models.only_now(tmp_path / "one.safetensors")
    worker = Worker(library)
    worker.start()
    worker.page_shown()
    try:
        worker.add_received(received(library, write_mammogram(tmp_path / "a.dcm")))
        wait_for(lambda: library.worklist() and library.worklist()[0].score is not None)
        first = library.study(1).ai.result.model
        library.models.promote(library.models.add(tmp_path / "two.safetensors", origin="imported").sha256, "why", {})
        assert library.study(1).ai is None
        worker.read_again()
        wait_for(lambda: library.study(1).ai)
        assert (first.version, library.study(1).ai.result.model.version) == ("1", "2")
        # A file that is used without having been added may be written to by whoever made it.
        library.models.only_now(tmp_path / "one.safetensors")
        made_checkpoint(tmp_path / "one.safetensors", version="3")
        worker.read_again()
        wait_for(lambda: "was changed since it was chosen" in worker.activity.model)
    finally:
        worker.stop()


def test_what_a_person_sends_overtakes_the_demo_exams(library: Library, started, tmp_path, monkeypatch) -> None:
    own = write_mammogram(tmp_path / "own.dcm")
    waiting = received(library, own)
    held: list[Worker] = []

    def demo_library(folder: Path, progress: Callable[[int, int], None]) -> None:
        folder.mkdir(exist_ok=True)
        held[0].add_received(waiting)
        write_mammogram(folder / "d.dcm", breast(high=2500), PatientID="DEMO", StudyInstanceUID="1.2.9")
        progress(1, 2)

    monkeypatch.setattr(mammo_core.phantom, "demo_library", demo_library)
    opinion = Opinion({})
    held.append(started(lambda: opinion))
    held[0].make_demo()
    wait_for(lambda: len(library.worklist()) == 2)
    assert [line.patient_id for line in library.worklist()] == ["DEMO", "P1"]
    wait_for(lambda: opinion.done == [1, 2])
    wait_for(lambda: held[0].activity.doing == "")
    assert held[0].activity.outcome == "1 image added in 1 study."
    assert held[0].activity.arrived == Arrival(2), "the page that sent the other has taken it by its batch"
    assert not waiting.folder.exists()


def test_refused_files_are_named_as_the_user_named_them(library: Library, started, tmp_path: Path) -> None:
    bad = tmp_path / "Müller.dcm"
    bad.write_bytes(b"no DICOM")
    worker = started(lambda: Opinion({}))
    worker.add_received(received(library, bad))
    wait_for(lambda: worker.activity.outcome == "No mammogram was added.")
    assert [refusal.file for refusal in worker.activity.refused] == ["exam/Müller.dcm"]


def test_a_folder_csv_speaks_of_the_names_that_the_user_knows(library: Library, started, tmp_path: Path) -> None:
    file = write_mammogram(tmp_path / "Müller.dcm", ImageLaterality=None, PatientOrientation=None, ViewPosition=None)
    (tmp_path / "folder.csv").write_text("file,laterality,view\nMüller.dcm,R,MLO\n", encoding="utf-8")
    worker = started(lambda: Opinion({}))
    worker.add_received(received(library, file, tmp_path / "folder.csv"))
    wait_for(lambda: worker.activity.outcome)
    assert worker.activity.refused == ()
    (image,) = library.study(1).images
    assert (image.header.laterality, image.header.view) == ("R", "MLO")


def test_ending_in_the_middle_leaves_a_batch_for_the_next_start(library: Library, started, tmp_path: Path) -> None:
    files = [
        write_mammogram(tmp_path / f"{n}.dcm", breast(high=2500 + n), PatientID=f"P{n}", StudyInstanceUID=f"1.2.{n}")
        for n in range(20)
    ]
    batch = received(library, *files)
    worker = started(lambda: Opinion({}))
    worker.add_received(batch)
    wait_for(lambda: worker.activity.done > 0)
    worker.stop()
    assert 0 < len(library.worklist()) < 20
    assert len([given for given in batch.files if given.path.exists()]) == 20


def test_a_drop_that_had_not_arrived_is_told(library: Library) -> None:
    worker = Worker(library)
    worker.take_over([], 2)
    assert worker.activity.notice.startswith("2 drops were still being sent when mammo-gui was ended.")
    worker.dismiss()
    assert worker.activity.notice == ""
