"""The second reader: the views of one study -> scores, heatmaps and warnings.

Knows nothing of files, pictures or the screen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mammo_core.calibration import probability, sigmoid
from mammo_core.checkpoint import Checkpoint, model_of
from mammo_core.errors import InputError
from mammo_core.heatmap import Heatmap, Method, counted_pixels, heatmap, raw_maps
from mammo_core.heatmap import methods as offered_methods
from mammo_core.inputs import Placement, model_input
from mammo_core.mammogram import Header, Laterality, Mammogram, voi_in_words
from mammo_core.operating_point import OperatingPoint
from mammo_core.study import group_studies, unsuitable
from mammo_core.thresholds import Thresholds

_BATCH = 8
"""Views in one forward pass: a screening exam and its repeats, without letting one study fill the memory."""


@dataclass(frozen=True)
class ModelIdentity:
    """Which model gave a score."""

    name: str
    version: str
    sha256: str
    training_domain: str


@dataclass(frozen=True)
class ViewReading:
    """What the model found in one view, and what it saw of it."""

    sha256: str
    file: str
    laterality: Laterality | None
    view: str | None
    scored: bool
    """False for a view that is not for this model (spot, magnification): ``warnings`` say why."""
    logit: float | None
    score: float | None
    """In [0, 1]: a probability where the checkpoint is calibrated."""
    placement: Placement | None
    heatmaps: tuple[Heatmap, ...]
    """One for each method that was asked for; () for a view that was not scored."""
    photometric: str
    inverted: bool
    voi: str
    """The file's VOI choice that the model saw, in words."""
    flipped: bool
    """Whether the model saw the file's pixels mirrored left to right (chest wall to the left)."""
    crop: tuple[int, int, int, int] | None
    """``(y0, x0, y1, x1)``, half-open, in the file's pixels."""
    warnings: tuple[str, ...]

    @property
    def heatmap(self) -> Heatmap | None:
        """The map of the first method, or None where the view was not scored."""
        return self.heatmaps[0] if self.heatmaps else None


@dataclass(frozen=True)
class BreastReading:
    """One breast: the mean of its views' scores."""

    laterality: Laterality
    score: float
    flagged: bool | None
    """None where the model has no operating point."""
    views: tuple[str, ...]
    """sha256 of the views that count."""


@dataclass(frozen=True)
class Reading:
    """One study as the model read it: the exam's score is the larger of its breasts'."""

    model: ModelIdentity
    operating_point: OperatingPoint | None
    study_uid: str
    patient_id: str
    views: tuple[ViewReading, ...]
    breasts: tuple[BreastReading, ...]
    score: float | None
    """None where no view with a known laterality was scored."""
    flagged: bool | None
    warnings: tuple[str, ...]


class Reader:
    """A checkpoint made ready to read study after study, on the GPU if there is one."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        methods: Sequence[Method] = ("gradcam",),
        thresholds: Thresholds | None = None,
    ) -> None:
        """Heatmaps are drawn by every one of ``methods``, from the same feature map.

        Exams are flagged by ``thresholds``, without them by the checkpoint's operating point.
        """
        self.checkpoint = checkpoint
        own = checkpoint.header.operating_point
        self.thresholds = thresholds or (None if own is None else Thresholds(general=own))
        self.methods = tuple(methods)
        self.device = _device()
        self._model = model_of(checkpoint).to(self.device).to(memory_format=torch.channels_last)
        known = {choice.method for choice in offered_methods(checkpoint)}
        # HiResCAM may be asked for by name even where it is not offered, because it equals Grad-CAM.
        for method in self.methods:
            if method not in known | {"hirescam"}:
                raise InputError("heatmap method", f"{method!r} is not one of {', '.join(sorted(known))}")

    @property
    def identity(self) -> ModelIdentity:
        """Name, version and hash of the model in use."""
        header = self.checkpoint.header
        return ModelIdentity(header.name, header.version, self.checkpoint.sha256, header.training_domain)

    def read(self, mammograms: Sequence[Mammogram]) -> Reading:
        """Read the views of one study with one forward pass.

        A view's score does not depend on which other views come with it. Raises InputError where there is no
        view or the views belong to several studies.
        """
        studies = group_studies([mammogram.header for mammogram in mammograms])
        if len(studies) != 1:
            raise InputError("study", f"{len(mammograms)} views of {len(studies)} studies, expected those of one")
        reasons = [unsuitable(mammogram.header) for mammogram in mammograms]
        chosen = [m for m, reason in zip(mammograms, reasons, strict=True) if not reason]
        seen = [model_input(mammogram, self.checkpoint.header.inputs) for mammogram in chosen]
        logits, maps = self.logits_and_maps([shown for shown, _ in seen])
        scored = iter(
            (
                placement,
                float(logit),
                self._heatmaps(shown, placement, [maps[method][number] for method in self.methods]),
            )
            for number, ((shown, placement), logit) in enumerate(zip(seen, logits, strict=True))
        )
        views = tuple(
            self._view(mammogram.header, reason, None if reason else next(scored))
            for mammogram, reason in zip(mammograms, reasons, strict=True)
        )
        headers = [mammogram.header for mammogram in mammograms]
        warnings = (*self._exam_warnings(headers), *self._unvalidated(headers), *studies[0].warnings)
        return self._reading(mammograms[0].header, views, warnings)

    def logits_and_maps(
        self, images: Sequence[NDArray[np.float32]]
    ) -> tuple[NDArray[np.float64], dict[Method, NDArray[np.float32]]]:
        """Logits ``(N,)`` and, for every method, raw maps ``(N, h, w)`` of inputs ``(C, H, W)``: one forward pass."""
        logits: list[NDArray[np.float64]] = []
        maps: dict[Method, list[NDArray[np.float32]]] = {method: [] for method in self.methods}
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(np.stack(images[start : start + _BATCH])).to(self.device)
            batch = batch.contiguous(memory_format=torch.channels_last)
            with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
                features = self._model.features(batch)
                logits.append(self._model.logits(features).double().cpu().numpy())
                for method, found in maps.items():
                    found.append(raw_maps(self._model, features, method))
        if not images:
            return np.empty(0), {method: np.empty((0, 1, 1), np.float32) for method in self.methods}
        return np.concatenate(logits), {method: np.concatenate(found) for method, found in maps.items()}

    def _heatmaps(
        self, shown: NDArray[np.float32], placement: Placement, grids: Sequence[NDArray[np.float32]]
    ) -> tuple[Heatmap, ...]:
        """One heatmap for each method's grid of an input ``(C, H, W)``."""
        shift, counted = self.checkpoint.header.cell_shift, counted_pixels(self._model, shown)
        return tuple(
            heatmap(grid, method, placement, shift, counted) for method, grid in zip(self.methods, grids, strict=True)
        )

    def _score(self, logit: float) -> float:
        calibration = self.checkpoint.header.calibration
        logits = np.array([logit])
        return float((sigmoid(logits) if calibration is None else probability(calibration, logits))[0])

    def _view(
        self, header: Header, reason: str, found: tuple[Placement, float, tuple[Heatmap, ...]] | None
    ) -> ViewReading:
        placement, logit, heatmaps = found or (None, None, ())
        own = [f"Not scored: {reason}."] if reason else self._view_warnings(header)
        return ViewReading(
            sha256=header.sha256,
            file=header.file,
            laterality=header.laterality,
            view=header.view,
            scored=found is not None,
            logit=logit,
            score=None if logit is None else self._score(logit),
            placement=placement,
            heatmaps=heatmaps,
            photometric=header.photometric,
            inverted=header.photometric == "MONOCHROME1",
            voi=voi_in_words(header.vois[0]),
            flipped=placement is not None and placement.flip_horizontal,
            crop=None if placement is None else placement.crop,
            warnings=(*header.warnings, *own),
        )

    def _view_warnings(self, header: Header) -> list[str]:
        learnt = self.checkpoint.header.card.views
        if header.view is None or header.view in learnt:
            return []
        return [f"View {header.view} is not among those that the model learnt from ({', '.join(learnt)})."]

    def _exam_warnings(self, headers: Sequence[Header]) -> list[str]:
        """Say what sets this exam apart from those that the model learnt from."""
        header = self.checkpoint.header
        phantom = all(h.phantom for h in headers)
        if header.training_domain == "phantom":
            if phantom:
                return []
            return [
                f"The model in use ({header.name}) was trained on synthetic phantoms only: "
                "its score says nothing about a real breast."
            ]
        if phantom:
            return [f"This is a synthetic exam; the model in use ({header.name}) learnt from mammograms."]
        strange = sorted({h.manufacturer for h in headers} - set(header.card.manufacturers))
        return [f"Manufacturer {vendor or '(not stated)'} was not seen in training." for vendor in strange]

    def _unvalidated(self, headers: Sequence[Header]) -> list[str]:
        """Say whose exams the threshold was never measured on, where the validation cases state their vendors."""
        validation = self.checkpoint.header.validation
        measured = set(() if validation is None else validation.groups.get("manufacturer", ())) - {""}
        if not measured:
            return []
        strange = sorted({h.manufacturer for h in headers} - measured)
        return [
            f"Manufacturer {vendor or '(not stated)'} is not among the validation cases: "
            "what the threshold costs there is not known."
            for vendor in strange
        ]

    def _reading(self, header: Header, views: tuple[ViewReading, ...], warnings: tuple[str, ...]) -> Reading:
        point = None if self.thresholds is None else self.thresholds.of(header.manufacturer)
        breasts = tuple(breast for side in ("R", "L") if (breast := _breast(side, views, point)) is not None)
        score = max((breast.score for breast in breasts), default=None)
        return Reading(
            model=self.identity,
            operating_point=point,
            study_uid=header.study_uid,
            patient_id=header.patient_id,
            views=views,
            breasts=breasts,
            score=score,
            flagged=None if score is None else _flagged(score, point),
            warnings=warnings,
        )


def _breast(side: Laterality, views: tuple[ViewReading, ...], point: OperatingPoint | None) -> BreastReading | None:
    counted = [(v.sha256, v.score) for v in views if v.laterality == side and v.score is not None]
    if not counted:
        return None
    score = float(np.mean([score for _, score in counted]))
    return BreastReading(side, score, _flagged(score, point), tuple(sha for sha, _ in counted))


def _flagged(score: float, point: OperatingPoint | None) -> bool | None:
    return None if point is None else score >= point.threshold


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
