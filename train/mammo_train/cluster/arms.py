"""The runs of a comparison as tasks of a Ray cluster. The measuring afterwards finds them finished."""

from pathlib import Path
from typing import Any

from mammo_core.errors import InputError
from mammo_train.cluster.session import connected, resource
from mammo_train.cluster.voice import Note, Tell, Voice, heard
from mammo_train.compare import RUNS_TOLD, missing_of, scores_of, trials
from mammo_train.plan import Plan
from mammo_train.prepared_set import PreparedSet, open_prepared
from mammo_train.run import Stopped


def run_on_cluster(address: str, plan: Plan, data: PreparedSet, out: Path, *, tell: Tell, note: Note) -> None:
    """Make the runs that are missing, as many at once as the cluster has room for: a GPU each where it has any.

    Every machine must see the set and ``out`` under the same path. One run that fails does not end the others; then
    InputError names it. `Stopped` where somebody asked a run to end: no other run is begun then.
    """
    all_of = trials(plan, data)
    total, missing = len(all_of), missing_of(plan, all_of, out)
    if not missing:
        return
    tell(RUNS_TOLD, total - len(missing), total)
    with connected(address), heard(tell, note) as ear:
        import ray

        gpu = resource("GPU") >= 1
        task = ray.remote(num_cpus=1, num_gpus=1 if gpu else 0, max_retries=0)(_work)
        asked = [task.remote(plan.model_dump_json(), str(data.folder), str(out), number, ear) for number in missing]
        waiting, problems = list(asked), list[Exception]()
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=1)
            problem = _problem(ray, done[0])
            problems += [] if problem is None else [problem]
            tell(RUNS_TOLD, total - len(waiting), total)
    for problem in sorted(problems, key=lambda each: isinstance(each, Stopped)):
        raise problem


def _work(plan: str, data: str, out: str, number: int, ear: Any) -> tuple[str, str, str, int] | None:
    """Make one run on whatever machine this is; return what it was refused or stopped for."""
    wanted, prepared = Plan.model_validate_json(plan), open_prepared(Path(data))
    trial = trials(wanted, prepared)[number]
    voice = Voice(ear, prefix=f"{trial.folder.removeprefix('runs/')}: ")
    if voice.over():
        return None
    try:
        scores_of(trial, wanted, prepared, Path(out), voice.tell, voice.note)
    except InputError as error:
        return ("refused", error.subject, error.reason, 0)
    except Stopped as stopped:
        voice.end()
        return ("stopped", "", stopped.reason, stopped.signal)
    return None


def _problem(ray: Any, reference: Any) -> Exception | None:
    try:
        found = ray.get(reference)
    except ray.exceptions.RayError as error:
        return InputError("cluster", f"lost a run: {str(error).strip().splitlines()[0][:200]}")
    if found is None:
        return None
    kind, source, reason, number = found
    return Stopped(reason, number) if kind == "stopped" else InputError(source, reason)
