"""Being connected to a Ray cluster while a block runs. Ray is imported here, and only when a cluster is asked for."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from mammo_core.errors import InputError

# Read when Ray is imported: nothing is told to its makers, and colours stay out of logs.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_COLOR_PREFIX": "0", "RAY_DISABLE_DOCKER_CPU_WARNING": "1"}
_KNOCK_SECONDS = 5.0


def require_ray() -> None:
    """Raise InputError, saying what to install, where Ray is not there."""
    os.environ.update(_QUIET)
    try:
        import ray  # noqa: F401
    except ImportError:
        raise InputError("--cluster", 'needs Ray, which is not installed: pip install "mammo-gui[cluster]"') from None


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be connected to the cluster at ``address``: HOST:PORT, ray://HOST:PORT, or "auto" on one of its machines.

    Raises InputError where it does not answer.
    """
    require_ray()
    import ray

    _knock(address)
    try:
        # Workers say what they have to say through us (see `mammo_train.cluster.voice`).
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(f"--cluster {address}", f"no cluster answers there ({reason})") from None
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise InputError at once where nobody listens; Ray itself would try for half a minute and end the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise InputError(f"--cluster {address}", f"no cluster answers there ({error.strerror or error})") from None


def resource(name: str) -> float:
    """How much of a kind ("CPU", "GPU") the connected cluster has."""
    import ray

    return float(cast("Any", ray).cluster_resources().get(name, 0))


def actor_of(kind: type) -> Any:
    """Let an object of ``kind`` live on the connected cluster; return its handle."""
    import ray

    return cast("Any", ray.remote(num_cpus=0)(kind)).remote()
