"""Work that outlives a request: adding files, making demo exams, AI readings. One thread, one job at a time.

What it does is state of the server, not of a page: a reload shows it again. Knows nothing of HTML and of Gradio.
"""

import logging
import queue
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mammo_core.errors import InputError
from mammo_core.intake import Given, Refusal
from mammo_core.library import Library
from mammo_core.library.adding import Added, Step, add
from mammo_core.sandbox import DecodeSandbox
from mammo_core.scratch import scratch_folder
from mammo_gui.receiving import Received

if TYPE_CHECKING:
    from mammo_core.library import ModelEntry
    from mammo_core.library.second_opinion import SecondOpinion

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 8.0
_FAREWELL_SECONDS = 1.5
_TERMINAL = "unexpected error; the terminal says what"


@dataclass(frozen=True)
class Arrival:
    """A study that an addition has put into the library. ``batch`` is the page's name for it; empty: demo exams."""

    study: int
    batch: str = ""


@dataclass(frozen=True)
class Activity:
    """What the worker is doing, for the page. ``total`` is 0 where the length is not known."""

    doing: str = ""
    done: int = 0
    total: int = 0
    outcome: str = ""
    notice: str = ""
    """What the user should know of the run before this one; stays until it is dismissed."""
    refused: tuple[Refusal, ...] = ()
    model: str = ""
    """What the AI is doing or why it cannot, where there is no result yet."""
    arrived: Arrival | None = None
    """The newest addition's first study, for the page to open."""


class _EndingError(Exception):
    """The app is being ended: the job at hand stops where it is."""


class Worker:
    """The one background thread. Start it once; every method may be called from any thread."""

    def __init__(self, library: Library) -> None:
        """Work on ``library``, with the model that is in use there."""
        self._library = library
        self._opinions: dict[str, SecondOpinion] = {}
        """Of the models in use, by hash."""
        self._failed: set[int] = set()
        self._page_shown = threading.Event()
        self._ending = threading.Event()
        self._received: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
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

    def finish(self) -> None:
        """Ask the thread to end at the next file or exam; the next start does what was left."""
        self._ending.set()
        self._page_shown.set()
        self._jobs.put(lambda: None)

    def stop(self) -> bool:
        """End the thread; False where the step at hand takes so long that it is left behind."""
        self.finish()
        self._thread.join(timeout=_FAREWELL_SECONDS)
        if self._thread.is_alive():
            return False
        if self._sandbox is not None:
            self._sandbox.close()
        return True

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

    def add_received(self, received: Received) -> None:
        """Add what a page has sent, before everything else that waits, and delete its folder."""
        self._received.put(received)
        self._jobs.put(self._add_received)

    def take_over(self, received: Sequence[Received], lost: int) -> None:
        """Go on with what an app that was killed had been sent; ``lost`` drops had not arrived as a whole."""
        for each in received:
            self.add_received(each)
        if lost:
            what = "A drop was" if lost == 1 else f"{lost} drops were"
            self._tell(notice=f"{what} still being sent when mammo-gui was ended. Please send those files again.")

    def make_demo(self) -> None:
        """Make the demo exams and add them."""
        self._tell(doing="Making demo exams")
        self._jobs.put(self._make_demo)

    def read_again(self) -> None:
        """Read every study that the model in use has not read with its present images, also those that it failed on."""
        self._jobs.put(self._failed.clear)

    def read_with(self, model: "ModelEntry", studies: Sequence[int]) -> None:
        """Let a model that is not in use read these studies too; its results are kept, and not shown."""
        self._jobs.put(lambda: self._read_with(model, studies))

    def dismiss(self) -> None:
        """Forget the refused files, the outcome of the last addition and the notice."""
        self._tell(refused=(), outcome="", notice="")

    # ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._page_shown.wait(_PATIENCE_SECONDS)
        while not self._ending.is_set():
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                if self._read_next():
                    continue
                job = self._jobs.get()
            self._do(job)

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except _EndingError:
            return
        except InputError as error:
            self._tell(outcome=str(error))
        except Exception:
            # The thread must outlive one bad job: whatever it was, the next exam is read.
            logger.exception("a background job failed")
            self._tell(outcome="Something went wrong in the background; the terminal says what.")
        self._tell(doing="", done=0, total=0)

    def _add_received(self) -> None:
        """Add every batch that waits; also in the middle of making demo exams, which can wait."""
        while not self._received.empty():
            received = self._received.get()
            self._tell(doing="Looking for mammograms", done=0, total=0, outcome="", refused=())
            try:
                outcomes = self._add(received.files, received)
                refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
                self._tell(outcome=_outcome_words(outcomes), refused=tuple(_own(each, received) for each in refused))
            finally:
                if not self._ending.is_set():  # else the next start takes it over
                    shutil.rmtree(received.folder, ignore_errors=True)

    def _add(self, given: Sequence[Given], received: Received | None) -> list[Added | Refusal]:
        """Add files, telling the page of each; ``received`` is the batch they came in, None for demo exams."""
        reading: list[int] = []

        def progress(step: Step) -> None:
            self._pause(received)
            self._tell(doing="Adding files", done=step.done, total=step.total)
            if isinstance(step.outcome, Refusal):
                if received is not None:
                    self._tell(refused=(*self._activity.refused, _own(step.outcome, received)))
                return
            if reading and step.outcome.study_id not in reading:
                # A study is complete when the next one begins: it need not wait for the rest of a long addition.
                self._arrived(reading, received)
            reading.append(step.outcome.study_id)

        outcomes = add(self._library, given, self._decoder(), progress=progress)
        if reading:
            self._arrived(reading, received)
        return outcomes

    def _arrived(self, studies: Sequence[int], received: Received | None) -> None:
        """Tell the page of the first of these studies; let the AI read the last, unless it is a demo and no hurry."""
        self._tell(arrived=Arrival(studies[0], "" if received is None else received.batch))
        if received is not None or self._opinions:
            self._read_between(studies[-1])

    def _pause(self, received: Received | None) -> None:
        """Between two steps of a job: end where the app ends, and let what a person has sent overtake the demo."""
        if self._ending.is_set():
            raise _EndingError
        if received is None:
            self._add_received()

    def _make_demo(self) -> None:
        from mammo_core.phantom import demo_library

        folder = scratch_folder(self._library.folder / "demo")

        def progress(done: int, total: int) -> None:
            self._pause(None)
            self._tell(doing="Making demo exams", done=done, total=total)

        try:
            progress(0, 0)
            demo_library(folder, progress)
            outcomes = self._add([Given(folder, "demo")], None)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if not self._activity.outcome:  # what became of a person's own files is worth more
            self._tell(outcome=_outcome_words(outcomes))
        self._library.set_demo_made()

    def _read_with(self, model: "ModelEntry", studies: Sequence[int]) -> None:
        from mammo_core.library.second_opinion import SecondOpinion

        opinion = SecondOpinion.from_file(model.path)
        for done, study in enumerate(studies):
            self._pause(None)
            self._tell(doing=f"{model.title} is reading", done=done, total=len(studies))
            try:
                opinion.read(self._library, study, self._decoder())
            except InputError as error:
                logger.warning("%s could not read study %d: %s", model.title, study, error)

    def _read_next(self) -> bool:
        """Let the AI read one study; False where there is none to read or no model to read it."""
        try:
            waiting = self._waiting()
            if waiting:
                self._tell(model="The AI is reading.", doing="AI is reading exams")
                self._read(*waiting[0])
                return True
            # A study that failed says so itself, unless the library could not even keep that.
            self._tell(model=f"The AI could not read this exam: {_TERMINAL}" if self._failed else "", doing="")
        except InputError as error:
            logger.error("there is no second opinion: %s", error)
            self._tell(model=f"There is no second opinion: {error}", doing="")
        except Exception:
            logger.exception("there is no second opinion")
            self._tell(model=f"There is no second opinion: {_TERMINAL}", doing="")
        return False

    def _read_between(self, study_id: int) -> None:
        """Read one study in the middle of a job, where the model has not read it yet."""
        try:
            for study, model in self._waiting():
                if study == study_id:
                    self._read(study, model)
        except Exception as error:
            # The job goes on. What it is, is told when nothing else is to be done.
            logger.warning("study %d could not be read by the AI yet: %s", study_id, error)

    def _waiting(self) -> list[tuple[int, str]]:
        """Studies that the AI has not read, each with its model; InputError where a model in use is not there."""
        used = self._library.models.used()
        # Also where no study waits, so that the next one need not; what is not in use any more leaves the memory.
        self._opinions = {sha256: self._opinion(sha256) for sha256 in dict.fromkeys((used.exams, used.phantoms))}
        return [(study, model) for study, model in self._library.waiting() if study not in self._failed]

    def _read(self, study_id: int, model: str) -> None:
        """Let a model read a study; whatever goes wrong with this one does not keep it from the next."""
        try:
            self._opinion(model).read(self._library, study_id, self._decoder())
        except InputError as error:
            self._record_failure(study_id, str(error))
        except Exception:
            logger.exception("the AI failed on study %d", study_id)
            self._record_failure(study_id, _TERMINAL)

    def _record_failure(self, study_id: int, reason: str) -> None:
        self._failed.add(study_id)
        try:
            self._library.record_failure(study_id, reason)
        except Exception:
            logger.exception("the library could not keep that the AI failed on study %d", study_id)

    def _opinion(self, sha256: str) -> "SecondOpinion":
        """One of the models in use; imported and loaded when it is first wanted, because torch takes seconds."""
        if sha256 not in self._opinions:
            from mammo_core.library.second_opinion import SecondOpinion

            entry = self._library.models.entry(sha256)
            opinion = SecondOpinion.from_file(entry.path)
            if opinion.sha256 != sha256:
                raise InputError(entry.title, f"{entry.path.name} was changed since it was chosen; start again with it")
            self._opinions[sha256] = opinion
            self._failed.clear()
        return self._opinions[sha256]

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


def _own(refusal: Refusal, received: Received) -> Refusal:
    return replace(refusal, file=received.own_name(refusal.file))


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
