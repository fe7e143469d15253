"""A recipe, a prepared set and a split -> a run folder with a checkpoint; from the beginning, or carried on.

Knows nothing of how the model learns (`mammo_train.training`) or what becomes of it (`mammo_train.outcome`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_train.distributed import World, joined
from mammo_train.event_files import EventFiles
from mammo_train.feeds import Tell
from mammo_train.memory import memory_of
from mammo_train.outcome import Spent, write_outcome
from mammo_train.prepared_set import PreparedSet
from mammo_train.recipe import Recipe, dump_recipe
from mammo_train.run import CHECKPOINT, LOG, RECIPE, SPLIT, Log, Stopped, claimed, listening, read_log, refuse_live
from mammo_train.split import Split, write_split
from mammo_train.state import Position, load_state, load_weights, save_state
from mammo_train.training import Job, Training

Saved = tuple[Position, Mapping[str, Tensor]]
_HEAVY = ("phase", "epoch")
"""Events after which memory is as full as it gets."""


def fit(
    recipe: Recipe,
    data: PreparedSet,
    split: Split,
    run: Path,
    *,
    resume: bool = False,
    seconds: float | None = None,
    cache: bool = True,
    state_minutes: float = 10.0,
    tell: Tell | None = None,
    note: Callable[[str], None] | None = None,
    after: Callable[[Path], None] | None = None,
    world: World | None = None,
    shelf: Path | None = None,
) -> Path:
    """Train in the folder ``run`` and return its checkpoint.

    ``resume`` carries on from the last state on the disk, with the same curve as if nothing had happened; a folder
    without a run begins one, a finished run is left as it is. ``seconds`` ends training, properly, after the epoch
    in which it has taken so long. ``cache`` off computes frozen layers anew for every step. ``state_minutes`` is how
    often the state is written in mid-epoch, 0 for never. ``tell`` hears what is done and how much there is, ``note``
    lines for a person. ``after`` is called with the checkpoint before the run counts as finished, in the first
    process alone. ``shelf`` is a folder in which runs of the same set share what frozen layers give.

    Raises InputError where the folder holds another run or another process is at work in it, and `Stopped` where
    somebody asked for that. Under ``torchrun`` all processes call this alike, or with the ``world`` that others have
    joined them to.
    """
    say = note or (lambda _text: None)
    show = tell or (lambda _what, _done, _total: None)
    with joined() if world is None else nullcontext(world) as world, _deterministic():
        refuse_live(run)
        _check(recipe, split, run, resume=resume)
        finished = _finished(run)
        # Nobody writes before all have looked.
        world.wait()
        if not finished:
            with claimed(run) if world.first else nullcontext():
                saved = _saved(data, run)
                log = EventLog(run, say, saved[0].epoch if saved else 0, world) if world.first else Log(run)
                with listening(run) as stop:
                    job = Job(recipe, data, split, run, world, log, stop, show, cache, state_minutes, seconds, shelf)
                    training = _trained(job, saved)
                if world.first:
                    _finish(training, after)
    return run / CHECKPOINT


class EventLog(Log):
    """The run's log, which a person at the terminal and TensorBoard hear too, and which says what memory is held."""

    def __init__(self, folder: Path, note: Callable[[str], None], epochs: int, world: World) -> None:
        super().__init__(folder)
        self._note = note
        self._world = world
        self._curves = EventFiles.where_possible(folder, epochs)

    def append(self, event: str, values: Mapping[str, Any]) -> None:
        """Write an event, then tell it."""
        held = {"memory": memory_of(self._world).model_dump()} if event in _HEAVY else {}
        super().append(event, {**values, **held})
        words = _in_words(event, values)
        if words:
            self._note(words)
        if event == "epoch" and self._curves is not None:
            self._curves.write(values)


def _check(recipe: Recipe, split: Split, run: Path, *, resume: bool) -> None:
    """Refuse a folder that holds a run which is not to be carried on, or another one."""
    held = [name for name in (RECIPE, LOG, CHECKPOINT) if (run / name).exists()]
    if held and not resume:
        reason = f"holds a run already ({', '.join(held)}): carry it on with --resume, or name another folder"
        raise InputError(str(run), reason)
    for name, text in ((RECIPE, dump_recipe(recipe)), (SPLIT, split.text)):
        path = run / name
        if path.exists() and path.read_text(encoding="utf-8") != text:
            _refuse_changed(path, path.read_text(encoding="utf-8"), text)


def _saved(data: PreparedSet, run: Path) -> Saved | None:
    """Read the state to carry on from; None to begin. Raises InputError where it is of another set."""
    saved = load_state(run)
    if saved is not None and saved[0].data_sha256 != data.sha256:
        reason = f"the run learns from a set whose table.csv has SHA-256 {saved[0].data_sha256[:12]}..."
        raise InputError(str(data.folder), f"is another set ({data.sha256[:12]}...): {reason}")
    return saved


def _trained(job: Job, saved: Saved | None) -> Training:
    """Train to the end of the recipe, all processes together."""
    if job.world.first:
        _begin(job, saved)
    job.world.wait()
    try:
        training = Training(job, saved)
        training.run()
    except Stopped as stopped:
        if job.world.first:
            job.log.append("stopped", {"reason": stopped.reason})
        raise
    return training


def _refuse_changed(path: Path, was: str, now: str) -> None:
    """Name the first line in which the run's own recipe or split differs from what is given now."""
    lines = zip([*was.splitlines(), ""], [*now.splitlines(), ""], strict=False)
    first, second = next(pair for pair in lines if pair[0] != pair[1])
    reason = f"the run was begun with {first!r}, now given {second!r}; carry on with the same, or begin another run"
    raise InputError(str(path), reason)


def _begin(job: Job, saved: Saved | None) -> None:
    """Write down what the run is made from, or cut its log back to the state that it carries on from."""
    write_atomic(job.folder / RECIPE, dump_recipe(job.recipe).encode())
    write_split(job.folder / SPLIT, job.split)
    job.log.cut(saved[0].log_bytes if saved else 0)
    device = str(job.world.device)
    if saved is not None:
        at = {"phase_number": saved[0].phase + 1, "epoch": saved[0].epoch, "batch": saved[0].batch}
        job.log.append("resume", {**at, "device": device})
        return
    parts = {part: len(job.split.rows(job.data.table, part)) for part in job.split.parts()}
    wanted, found = job.recipe.size, (job.data.inputs.height, job.data.inputs.width)
    job.log.append("start", {"recipe": job.recipe.name, "images": parts, "device": device})
    if wanted is not None and wanted != found:
        text = f"images are {found[0]} x {found[1]} pixels; the recipe is meant for {wanted[0]} x {wanted[1]}"
        job.log.append("note", {"text": text})


def _finish(training: Training, after: Callable[[Path], None] | None) -> None:
    """Make the checkpoint of the best weights; what only resuming needed is deleted."""
    job, position = training.job, training.position
    if position.best is None:
        raise InputError(str(job.folder), "has no trained weights: the time was up before the first epoch")
    training.model.load_state_dict(load_weights(job.folder, position.best), strict=True)
    best = position.best
    spent = Spent(position.seconds, position.epoch, best.epoch, best.phase)
    device, show = job.world.device, job.tell
    checkpoint, notes = write_outcome(
        training.model, job.recipe, job.data, job.split, job.folder, spent, device=device, tell=show
    )
    for text in notes:
        job.log.append("note", {"text": text})
    if after is not None:
        after(checkpoint)
    values = {"checkpoint": checkpoint.name, "best_epoch": best.epoch, "best_phase": best.phase}
    job.log.append("finished", {**values, job.recipe.metric: best.value, "seconds": round(position.seconds, 3)})
    done = position.model_copy(update={"best": None, "phase_best": None, "log_bytes": job.log.size})
    save_state(job.folder, done, {})


def _finished(run: Path) -> bool:
    """Whether the run came to its end, checkpoint included."""
    events = read_log(run)
    return bool(events) and events[-1]["event"] == "finished" and (run / CHECKPOINT).is_file()


def _in_words(event: str, values: Mapping[str, Any]) -> str:
    """Say an event in a line for a person; nothing for those that need no words."""
    if event == "phase":
        return (
            f"phase {values['phase_number']} {values['phase']}: {values['images']} images, {values['positives']} of "
            f"breasts with cancer, pos_weight {values['pos_weight']:.3g}, from {values['feed']}"
        )
    if event == "epoch":
        star = " *" if values["best"] else ""
        return (
            f"epoch {values['epoch']:>3} {values['phase']}: loss {values['train_loss']:.4f}, validation "
            f"{values['validation_loss']:.4f}, ROC-AUC {values['roc_auc']:.3f}, PR-AUC {values['pr_auc']:.3f}, "
            f"{values['images_per_s']:.0f} images/s{star}"
        )
    return str(values["text"]) if event == "note" else ""


@contextmanager
def _deterministic() -> Iterator[None]:
    """Let cuDNN choose algorithms that give the same sums every time."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=True):
        yield
