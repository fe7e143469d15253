"""Work that outlives a request: adding files, making demo exams, AI readings. One thread, one job at a time.

What it does is state of the server, not of a page: a reload shows it again. Knows nothing of HTML and of Gradio.
"""

import logging
import queue
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_core.errors import InputError
from mammo_core.intake import Refusal
from mammo_core.library import Library
from mammo_core.library.adding import Added, Step, add
from mammo_core.sandbox import DecodeSandbox

if TYPE_CHECKING:
    from mammo_core.library.second_opinion import SecondOpinion

logger = logging.getLogger(__name__)

_STOP = "stop"
_PATIENCE_SECONDS = 8.0
_FAREWELL_SECONDS = 5.0


@dataclass(frozen=True)
class Activity:
    """What the worker is doing, for the page. ``total`` is 0 where the length is not known."""

    doing: str = ""
    done: int = 0
    total: int = 0
    outcome: str = ""
    refused: tuple[Refusal, ...] = ()
    model: str = ""
    """What the AI is doing or why it cannot, where there is no result yet."""
    opened: int | None = None
    """The study that the newest addition belongs to, for the page to open."""


class Worker:
    """The one background thread. Start it once; every method may be called from any thread."""

    def __init__(self, library: Library, model: str | None) -> None:
        """Work on ``library`` with the model of this name or file; None is the bundled one."""
        self._library = library
        self._model = model
        self._opinion: SecondOpinion | None = None
        self._failed: set[int] = set()
        self._page_shown = threading.Event()
        self._jobs: queue.SimpleQueue[Callable[[], None] | str] = queue.SimpleQueue()
        self._activity = Activity(model="The AI model is being loaded.")
        self._revision = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="mammo-worker", daemon=True)
        self._sandbox: DecodeSandbox | None = None

    def start(self) -> None:
        """Begin to work: demo exams in a new library, then studies that have no AI result yet."""
        # Also where an earlier start was ended in the middle of it: the same exams are made again.
        if not self._library.demo_made and all(line.phantom for line in self._library.worklist()):
            self.make_demo()
        self._thread.start()

    def stop(self) -> None:
        """End after the job at hand, or without it where that takes long: the next start does what was left."""
        self._jobs.put(_STOP)
        self._page_shown.set()
        self._thread.join(timeout=_FAREWELL_SECONDS)
        if self._sandbox is not None and not self._thread.is_alive():
            self._sandbox.close()

    def page_shown(self) -> None:
        """Say that a page is on screen: importing torch and making exams need not compete with it any more."""
        self._page_shown.set()

    @property
    def activity(self) -> Activity:
        """What is going on now."""
        return self._activity

    @property
    def revision(self) -> int:
        """A number that grows whenever ``activity`` changes."""
        return self._revision

    def add_received(self, folder: Path) -> None:
        """Add what the page has sent into ``folder``, and delete the folder."""
        self._jobs.put(lambda: self._add_received(folder))

    def make_demo(self) -> None:
        """Make the demo exams and add them."""
        self._tell(doing="Making demo exams")
        self._jobs.put(self._make_demo)

    def read_again(self) -> None:
        """Read every study that has no AI result for its present images."""
        self._jobs.put(self._failed.clear)

    def dismiss(self) -> None:
        """Forget the refused files and the outcome of the last addition."""
        self._tell(refused=(), outcome="")

    # ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._page_shown.wait(_PATIENCE_SECONDS)
        while True:
            job: Callable[[], None] | str
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                if self._read_next():
                    continue
                job = self._jobs.get()
            if isinstance(job, str):
                return
            self._do(job)

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except InputError as error:
            self._tell(outcome=str(error))
        except Exception:
            # The thread must outlive one bad job: whatever it was, the next exam is read.
            logger.exception("a background job failed")
            self._tell(outcome="Something went wrong in the background; the terminal says what.")
        finally:
            self._tell(doing="", done=0, total=0)

    def _add_received(self, folder: Path) -> None:
        try:
            self._add(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _add(self, folder: Path) -> None:
        self._tell(doing="Looking for mammograms", outcome="", refused=())
        reading: list[int] = []

        def progress(step: Step) -> None:
            self._tell(doing="Adding files", done=step.done, total=step.total)
            if isinstance(step.outcome, Refusal):
                self._tell(refused=(*self._activity.refused, step.outcome))
                return
            if reading and step.outcome.study_id not in reading:
                # A study is complete when the next one begins: it need not wait for the rest of a long addition.
                self._tell(opened=reading[0])
                self._read_between(reading[-1])
            reading.append(step.outcome.study_id)

        outcomes = add(self._library, [folder], self._decoder(), progress=progress, shown_below=folder.parent)
        refused = tuple(outcome for outcome in outcomes if isinstance(outcome, Refusal))
        self._tell(opened=reading[0] if reading else None)
        self._tell(outcome=_outcome_words(outcomes), refused=refused)

    def _make_demo(self) -> None:
        from mammo_core.phantom import demo_library

        folder = self._library.folder / "demo"

        def progress(done: int, total: int) -> None:
            self._tell(doing="Making demo exams", done=done, total=total)

        try:
            progress(0, 0)
            demo_library(folder, progress)
            self._add(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._library.set_demo_made()

    def _read_next(self) -> bool:
        """Let the AI read one study; False where there is none to read or no model to read it."""
        try:
            waiting = [study for study in self._loaded().waiting(self._library) if study not in self._failed]
            if waiting:
                self._tell(model="The AI is reading.", doing="AI is reading exams")
                self._read(waiting[0])
                return True
            self._tell(model="", doing="")
        except InputError as error:
            logger.error("there is no second opinion: %s", error)
            self._tell(model=f"There is no second opinion: {error}", doing="")
        return False

    def _read_between(self, study_id: int) -> None:
        """Read one study in the middle of an addition, where a model is loaded and has not read it yet."""
        if self._opinion is not None and study_id in self._opinion.waiting(self._library):
            self._read(study_id)

    def _read(self, study_id: int) -> None:
        try:
            self._loaded().read(self._library, study_id, self._decoder())
        except InputError as error:
            self._failed.add(study_id)
            self._library.record_failure(study_id, str(error))
        except Exception:
            # One exam that breaks the model must not end the thread that reads the others.
            logger.exception("the AI failed on study %d", study_id)
            self._failed.add(study_id)
            self._library.record_failure(study_id, "unexpected error; the terminal says what")

    def _loaded(self) -> "SecondOpinion":
        """The model; imported and loaded when it is first wanted, because torch takes seconds."""
        if self._opinion is None:
            from mammo_core.model_files import find_model
            from mammo_core.library.second_opinion import SecondOpinion

            self._opinion = SecondOpinion.from_file(find_model(self._model))
        return self._opinion

    def _decoder(self) -> DecodeSandbox:
        if self._sandbox is None:
            self._sandbox = DecodeSandbox()
        return self._sandbox

    def _tell(self, **changes: object) -> None:
        with self._lock:
            after = replace(self._activity, **changes)  # type: ignore[arg-type]
            if after != self._activity:
                self._activity = after
                self._revision += 1


def _outcome_words(outcomes: Sequence[Added | Refusal]) -> str:
    added = [outcome for outcome in outcomes if isinstance(outcome, Added)]
    new = sum(not outcome.known for outcome in added)
    known = len(added) - new
    told = []
    if new:
        studies = len({outcome.study_id for outcome in added if not outcome.known})
        told.append(f"{_count(new, 'image')} added in {_count(studies, 'study', 'studies')}.")
    if known:
        told.append(f"{_count(known, 'image')} {'was' if known == 1 else 'were'} in the library already.")
    return " ".join(told) or "No mammogram was added."


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
