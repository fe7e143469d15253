"""Pieces of work as tasks of a Ray cluster: what `mammo_train.crew.answers` does with processes of this machine."""

import os
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any

from mammo_train.cluster.session import resource
from mammo_train.crew import Answer, done

_AHEAD = 4
"""Tasks that wait for each core of the cluster: enough that none is idle, and few enough to be counted."""
_SECONDS = 600.0
"""Time that one piece may take, as on one machine."""


def answers_of_cluster(
    work: Callable[[Any], Any], jobs: Sequence[Any], *, workers: int | None = None
) -> Generator[Answer]:
    """Give every job to ``work`` on one core of the connected cluster, and yield answers as they come.

    ``workers`` limits the tasks at once. A task that dies with its process, or takes longer than ten minutes, costs
    that job alone.
    """
    import ray

    task = ray.remote(num_cpus=1, max_retries=0)(_done_in_time)
    # Once for all of them: it is the same for each.
    shared = ray.put(work)
    room = workers or max(int(resource("CPU")) * _AHEAD, 1)
    waiting = list(range(len(jobs)))[::-1]
    given: dict[Any, int] = {}
    while waiting or given:
        while waiting and len(given) < room:
            index = waiting.pop()
            given[task.remote(shared, jobs[index])] = index
        ready, _ = ray.wait(list(given), num_returns=1)
        for reference in ready:
            yield _answer(ray, reference, given.pop(reference))


def _done_in_time(work: Callable[[Any], Any], job: Any) -> dict[str, Any]:
    """Do one piece of work in the task's own process, which ends where that takes too long."""
    limit = threading.Timer(_SECONDS, os._exit, (1,))
    limit.daemon = True
    limit.start()
    try:
        return done(work, job)
    finally:
        limit.cancel()


def _answer(ray: Any, reference: Any, index: int) -> Answer:
    try:
        said = ray.get(reference)
    except ray.exceptions.OutOfMemoryError:
        return Answer(index, trouble="needs more memory than is allowed")
    except ray.exceptions.RayError as error:
        kind = type(error).__name__
        return Answer(index, trouble=f"made the decoder crash, or took longer than {_SECONDS:g} s ({kind})")
    return Answer(index, said.get("reply"), said.get("trouble"))
