"""One training on a Ray cluster: Ray Train starts and joins the processes, and each calls `mammo_train.fit.fit`."""

from pathlib import Path
from typing import Any

from mammo_core.errors import InputError
from mammo_train.cluster.session import actor_of, connected, resource
from mammo_train.cluster.voice import Note, Tell, Voice, heard
from mammo_train.prepared_set import PreparedSet
from mammo_train.recipe import Recipe
from mammo_train.run import CHECKPOINT, Stopped
from mammo_train.split import Split

_RAY_FOLDER = "ray"
"""In the run folder: what Ray Train keeps of its own."""


def fit_on_cluster(
    address: str,
    workers: int,
    recipe: Recipe,
    data: PreparedSet,
    split: Split,
    run: Path,
    *,
    resume: bool,
    tell: Tell,
    note: Note,
) -> Path:
    """Train with ``workers`` processes of the cluster, on its GPUs where it has so many; return the checkpoint.

    Every machine must see the folders of ``data`` and of the run under the same path.
    Raises what `mammo_train.fit.fit` raises, and InputError where the cluster has no room or a process is lost.
    """
    with connected(address), heard(tell, note) as ear:
        import ray
        from ray.exceptions import RayError
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        gpus = resource("GPU") >= workers
        asked = {
            "recipe": recipe.model_dump_json(),
            "data": str(data.folder.resolve()),
            "parts": dict(split.part_of),
            "run": str(run.resolve()),
            "resume": resume,
            "ear": ear,
        }
        outcome = actor_of(_Outcome)
        trainer = TorchTrainer(
            _work,
            train_loop_config={**asked, "outcome": outcome},
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpus),
            run_config=RunConfig(name="train", storage_path=str(run.resolve() / _RAY_FOLDER)),
        )
        try:
            trainer.fit()
        except (RayError, RuntimeError) as error:
            # What we know ourselves is said below.
            if not ray.get(outcome.said.remote()):
                raise InputError(f"--cluster {address}", f"a process was lost: {_first_line(error)}") from None
        refused, stopped = ray.get(outcome.said.remote()) or (None, None)
    if refused is not None:
        raise InputError(*refused)
    if stopped is not None:
        raise Stopped(*stopped)
    return run / CHECKPOINT


class _Outcome:
    """Lives on the cluster; knows how the processes ended, where that was not with a checkpoint."""

    def __init__(self) -> None:
        self._refused: tuple[str, str] | None = None
        self._stopped: tuple[str, int] | None = None

    def refused(self, subject: str, reason: str) -> None:
        self._refused = (subject, reason)

    def stopped(self, reason: str, number: int) -> None:
        self._stopped = (reason, number)

    def said(self) -> tuple[tuple[str, str] | None, tuple[str, int] | None] | None:
        nothing = self._refused is None and self._stopped is None
        return None if nothing else (self._refused, self._stopped)


def _work(asked: dict[str, Any]) -> None:
    """What each process does; Ray Train has joined them before."""
    import ray

    from mammo_train.distributed import joined_already
    from mammo_train.evaluate import evaluate
    from mammo_train.fit import fit
    from mammo_train.prepared_set import open_prepared

    world = joined_already()
    voice, outcome = Voice(asked["ear"]), asked["outcome"]
    try:
        data = open_prepared(Path(asked["data"]))
        recipe, split, run = Recipe.model_validate_json(asked["recipe"]), Split(asked["parts"]), Path(asked["run"])

        def after(checkpoint: Path) -> None:
            evaluate(checkpoint, data, run, split=split, tell=voice.tell)

        tell, note = (voice.tell, voice.note) if world.first else (None, None)
        fit(recipe, data, split, run, resume=asked["resume"], world=world, tell=tell, note=note, after=after)
    except InputError as error:
        ray.get(outcome.refused.remote(error.subject, error.reason))
    except Stopped as stopped:
        ray.get(outcome.stopped.remote(stopped.reason, stopped.signal))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
