"""What the library holds, as frozen values: images, studies, AI results, the reader's own calls, events.

Knows nothing of SQL, of files on disk or of a browser. Times are UTC, ISO 8601, to the second.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mammo_core.mammogram import Header
from mammo_core.operating_point import OperatingPoint
from mammo_core.thresholds import Thresholds

Status = Literal["new", "AI done", "read", "needs answer", "AI failed"]
Agreement = Literal["agree", "disagree", ""]
Origin = Literal["bundled", "trained", "imported", "session"]

SUSPICION = {1: "definitely not", 2: "probably not", 3: "uncertain", 4: "probably", 5: "definitely"}
"""The five-point scale of reader studies (suspicion of malignancy), for ROC of readers: Obuchowski, AJR 2005."""


@dataclass(frozen=True)
class ImageRecord:
    """One image of the library. ``header`` carries the reader's corrections where there are any."""

    header: Header
    pixels: str
    """Content hash of the cached blob: gzip of the hung uint16 pixels, little-endian."""
    rows: int
    columns: int
    """Size as hung, in pixels."""
    added_at: str

    @property
    def sha256(self) -> str:
        """Content hash of the original file, the identity of the image."""
        return self.header.sha256


@dataclass(frozen=True)
class HeatRecord:
    """A stored heatmap: raw uint8 ``(rows, columns)``, hung, stretched over the whole image; 255 is ``peak``."""

    method: str
    blob: str
    rows: int
    columns: int
    peak: float


@dataclass(frozen=True)
class ViewResult:
    """The model's answer on one view. ``score`` is None where the view was not scored."""

    sha256: str
    laterality: str | None
    view: str | None
    score: float | None
    facts: tuple[tuple[str, str], ...]
    """What the model was given, as (name, value) pairs."""
    warnings: tuple[str, ...]
    heat_reasons: tuple[tuple[str, str], ...]
    """(method, why it localises nothing) for every method without a heatmap of this view."""

    def heat_reason(self, method: str) -> str:
        """Why there is no heatmap of this method, or empty."""
        return dict(self.heat_reasons).get(method, "")


@dataclass(frozen=True)
class BreastResult:
    """The model's answer on one breast: mean of its views."""

    laterality: str
    score: float
    flagged: bool | None


@dataclass(frozen=True)
class ModelRecord:
    """Which model spoke, and the operating point it was read at (None: the checkpoint carries none)."""

    name: str
    version: str
    sha256: str
    training_domain: str
    operating_point: OperatingPoint | None
    limits: tuple[str, ...] = ()
    """What its card says that it does not know; empty in results of a library from before they were kept."""


@dataclass(frozen=True)
class AiResult:
    """One AI reading of one study, as kept. ``flagged`` is ``score >= threshold``, None without an operating point."""

    model: ModelRecord
    score: float | None
    flagged: bool | None
    breasts: tuple[BreastResult, ...]
    views: tuple[ViewResult, ...]
    warnings: tuple[str, ...]
    methods: tuple[str, ...]
    """Heatmap methods that the model was asked for, its default first."""


@dataclass(frozen=True)
class AiRecord:
    """An AI result with its place in the library and its heatmaps, keyed by image and method."""

    id: int
    made_at: str
    result: AiResult
    heats: dict[tuple[str, str], HeatRecord]

    def view(self, sha256: str) -> ViewResult | None:
        """The answer on one image, or None where the model was not given it."""
        return next((view for view in self.result.views if view.sha256 == sha256), None)


@dataclass(frozen=True)
class BreastCall:
    """The reader's call on one breast: recall or not, and suspicion from 1 to 5 (``SUSPICION``) or None."""

    recall: bool
    suspicion: int | None = None


@dataclass(frozen=True)
class Call:
    """What a reader decided about a study. A breast without a call is None (not imaged, or left open)."""

    right: BreastCall | None
    left: BreastCall | None
    agreement: Agreement = ""
    note: str = ""


@dataclass(frozen=True)
class ReadRecord:
    """A call as recorded: by whom and when."""

    id: int
    study_id: int
    reader: str
    recorded_at: str
    blind: bool
    """The reader had not been shown AI of this study by then, whether blind mode hid it or there was none."""
    ai_id: int | None
    """The AI record that was on screen, or None (none yet, or hidden)."""
    call: Call


@dataclass(frozen=True)
class EventRecord:
    """One line of the audit trail; never changed once written."""

    id: int
    at: str
    who: str
    what: str
    study_id: int | None
    detail: dict[str, str]


@dataclass(frozen=True)
class StudyRecord:
    """A study with all that is known of it."""

    id: int
    key: str
    study_uid: str
    patient_id: str
    date: str
    added_at: str
    phantom: bool
    failure: str
    """Why the AI could not read it, or empty."""
    images: tuple[ImageRecord, ...]
    ai: AiRecord | None
    """The newest result of the model in use for exactly these images, or None."""
    reads: tuple[ReadRecord, ...]
    """Oldest first."""
    ai_hidden: bool
    """Blind mode is on and the current reader has not recorded a call: AI must not be shown or sent."""
    unresolved: frozenset[str]
    """Images whose laterality or view is missing or contradictory, by content hash."""
    other_patients: tuple[str, ...]
    """Patient IDs of other studies under the same Study Instance UID."""

    def image(self, sha256: str) -> ImageRecord:
        """The image with this content hash; KeyError where the study has none."""
        for image in self.images:
            if image.sha256 == sha256:
                return image
        raise KeyError(sha256)

    @property
    def status(self) -> Status:
        """Where the study stands in the reading room."""
        return status_of(bool(self.unresolved), bool(self.reads), self.ai is not None, bool(self.failure))


@dataclass(frozen=True)
class ModelEntry:
    """A model that exams can be read with."""

    sha256: str
    """Of the checkpoint's content."""
    name: str
    origin: Origin
    """"session": a file that is used without having been added."""
    path: Path
    """The checkpoint."""
    evidence: Path
    """Folder with what is known of how it came about, as far as there is any (see ``models.EVIDENCE``)."""
    added_at: str
    """Empty for what was not added."""
    in_use: bool
    """Whether exams are read with it."""
    in_use_for_phantoms: bool = False
    """Whether synthetic exams are read with it."""

    @property
    def use(self) -> str:
        """What is read with it, in words; empty: nothing."""
        if self.in_use:
            return "in use"
        return "in use for synthetic exams" if self.in_use_for_phantoms else ""

    @property
    def title(self) -> str:
        """A name that tells it from others of the same name."""
        return f"{self.name} ({self.sha256[:8]})" if self.added_at else self.name


@dataclass(frozen=True)
class InUse:
    """Hashes of the models that studies are read with."""

    exams: str
    phantoms: str
    """For synthetic exams, of which a model that learnt from mammograms knows nothing."""

    def of(self, *, phantom: bool) -> str:
        """Return the model that reads a study."""
        return self.phantoms if phantom else self.exams


@dataclass(frozen=True)
class Promotion:
    """That exams are read with a model from some moment on; never changed once written."""

    id: int
    at: str
    who: str
    sha256: str
    name: str
    reason: str
    detail: dict[str, str]
    """What was shown when it was decided."""


@dataclass(frozen=True)
class SavedPoint:
    """An operating point that somebody saved for a model; never changed once written."""

    id: int
    model_sha256: str
    version: int
    """Counted from 1 for each model."""
    name: str
    reason: str
    who: str
    at: str
    thresholds: Thresholds
    in_use: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a breast, as somebody recorded it."""

    study_id: int
    laterality: Literal["R", "L"]
    cancer: bool
    source: str
    """Where it is known from: "by hand", or the name of a file."""
    who: str
    at: str


@dataclass(frozen=True)
class OutcomeImport:
    """What came of a file of outcomes."""

    recorded: int
    refused: tuple[tuple[int, str], ...]
    """(line of the file, why it does not count)."""


@dataclass(frozen=True)
class FlipLine:
    """A study whose flag another threshold would change."""

    study_id: int
    patient_id: str
    date: str
    score: float
    flagged: bool
    """At the other threshold."""
    phantom: bool


@dataclass(frozen=True)
class WorklistLine:
    """One line of the worklist. ``score`` and ``flagged`` are None where there is none or it is hidden."""

    id: int
    patient_id: str
    date: str
    added_at: str
    views: tuple[tuple[str | None, str | None], ...]
    """(laterality, view) of each image."""
    status: Status
    score: float | None
    flagged: bool | None
    ai_hidden: bool
    phantom: bool


def status_of(unresolved: bool, was_read: bool, has_ai: bool, failed: bool) -> Status:
    """The one status shown, most pressing first."""
    if unresolved:
        return "needs answer"
    if was_read:
        return "read"
    if has_ai:
        return "AI done"
    return "AI failed" if failed else "new"
