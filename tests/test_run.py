"""The run folder: status, log, lock, requests to stop."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from mammo_core.errors import InputError
from mammo_train.run import (
    Log,
    Status,
    Stopped,
    claimed,
    is_live,
    listening,
    read_log,
    read_status,
    refuse_live,
    request_stop,
    stopped_by,
    was_before_boot,
)

_HOLDER = """
import sys
from pathlib import Path
from mammo_train.run import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def _status(folder: Path) -> Status:
    found = read_status(folder)
    assert found is not None
    return found


def test_the_status_says_who_works_and_how_it_ended(tmp_path: Path) -> None:
    with claimed(tmp_path):
        status = _status(tmp_path)
        assert (status.state, status.pid) == ("running", os.getpid())
        assert status.process_started == psutil.Process().create_time()
        assert is_live(status)
    assert _status(tmp_path).state == "finished"
    assert not is_live(_status(tmp_path))


@pytest.mark.parametrize(
    ("raised", "state", "reason"),
    [
        (Stopped("asked to by the file 'stop' in the run folder", 0), "stopped", "asked to by the file"),
        (KeyboardInterrupt(), "stopped", "interrupted"),
        (InputError("batch_size", "is too large"), "failed", "batch_size: is too large"),
        (RuntimeError("odd"), "failed", "RuntimeError: odd"),
    ],
)
def test_the_status_says_why_a_run_ended(tmp_path: Path, raised: BaseException, state: str, reason: str) -> None:
    with pytest.raises(type(raised)), claimed(tmp_path):
        raise raised
    assert _status(tmp_path).state == state
    assert reason in _status(tmp_path).reason


def test_a_pid_that_belongs_to_another_process_by_now_is_not_live() -> None:
    mine = Status(state="running", pid=os.getpid(), process_started=1.0, changed="")
    gone = Status(state="running", pid=2**22 + 1, process_started=1.0, changed="")
    assert not is_live(mine)
    assert not is_live(gone)


def test_a_process_of_an_earlier_boot_is_not_live_though_pid_and_start_are_those_of_another(tmp_path: Path) -> None:
    with claimed(tmp_path):
        mine = _status(tmp_path)
    mine = mine.model_copy(update={"state": "running"})
    assert is_live(mine)
    earlier = mine.model_copy(update={"boot": "11111111-2222-3333-4444-555555555555"})
    assert not is_live(earlier)
    assert was_before_boot(earlier)
    assert is_live(mine.model_copy(update={"boot": ""})), "written where no boot has a name"
    if sys.platform == "linux":
        assert mine.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_a_second_process_is_refused_by_name_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=rf"process {holder.pid}, started .* is training in it"), claimed(tmp_path):
            pass
        with pytest.raises(InputError, match=f"process {holder.pid}"):
            refuse_live(tmp_path)
        holder.kill()
    refuse_live(tmp_path)
    with claimed(tmp_path):
        assert _status(tmp_path).pid == os.getpid()


def test_a_status_of_something_else_is_refused(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    (tmp_path / "status.json").write_text('{"state": "dancing"}')
    with pytest.raises(InputError, match=r"status\.json: is not a run's status"):
        read_status(tmp_path)


def test_the_log_has_one_object_per_event(tmp_path: Path) -> None:
    log = Log(tmp_path)
    assert (log.size, read_log(tmp_path)) == (0, [])
    log.append("epoch", {"epoch": 1, "roc_auc": 0.5})
    log.append("epoch", {"epoch": 2, "roc_auc": float("nan")})
    first, second = read_log(tmp_path)
    assert (first["event"], first["epoch"], first["roc_auc"]) == ("epoch", 1, 0.5)
    assert second["roc_auc"] is None
    assert log.size == (tmp_path / "log.jsonl").stat().st_size
    assert [json.loads(line)["epoch"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1, 2]


def test_a_torn_last_line_is_left_out_and_cut(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append("epoch", {"epoch": 1})
    size = log.size
    with (tmp_path / "log.jsonl").open("ab") as stream:
        stream.write(b'{"event": "epo')
    assert [event["epoch"] for event in read_log(tmp_path)] == [1]
    log.cut(size)
    log.append("epoch", {"epoch": 2})
    assert [event["epoch"] for event in read_log(tmp_path)] == [1, 2]
    with pytest.raises(InputError, match="the saved state expects at least"):
        log.cut(10_000)


@pytest.mark.parametrize(("line", "reason"), [("{torn\n", "line 1 is not JSON"), ("[1]\n", "line 1 is not an event")])
def test_damage_inside_the_log_is_named(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "log.jsonl").write_text(line + '{"event": "epoch"}\n')
    with pytest.raises(InputError, match=reason):
        read_log(tmp_path)


def test_a_file_or_a_signal_asks_to_stop(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with listening(tmp_path) as stop:
        assert stop.code == 0
        request_stop(tmp_path)
        assert str(stopped_by(stop.code)) == "asked to by the file 'stop' in the run folder"
        os.kill(os.getpid(), signal.SIGTERM)
        assert str(stopped_by(stop.code)) == "asked to by SIGTERM"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    with listening(tmp_path) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.code == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_request_of_a_run_before_is_forgotten(tmp_path: Path) -> None:
    request_stop(tmp_path)
    with claimed(tmp_path), listening(tmp_path) as stop:
        assert stop.code == 0


def test_another_thread_listens_to_the_file_alone(tmp_path: Path) -> None:
    codes: list[int] = []

    def work() -> None:
        with listening(tmp_path) as stop:
            request_stop(tmp_path)
            codes.append(stop.code)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert codes == [-1]
