"""How far a command is, and how long it still takes, as whoever looks from outside reads it."""

from pathlib import Path

import pytest

from mammo_train import progress_file
from mammo_train.console import followed, progress
from mammo_train.progress_file import PROGRESS, Pace, ProgressFile, Step, read_progress


class Clock:
    """Both clocks of a process, moved by hand."""

    def __init__(self) -> None:
        self.now = 5000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now + 1_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress_file, "time", found)
    return found


def said(file: ProgressFile, clock: Clock, at: float, done: float, total: float | None, folder: Path) -> Step:
    """Say something ``at`` seconds after the beginning; what is on the disk then."""
    clock.now = 5000.0 + at
    file.say([Step(what="Preparing", done=done, total=total)])
    (found,) = read_progress(folder)
    return found


def test_how_far_a_command_is_can_be_followed_from_outside(tmp_path: Path) -> None:
    def read() -> list[tuple[str, float, float | None]]:
        return [(step.what, step.done, step.total) for step in read_progress(tmp_path)]

    with followed(tmp_path), progress() as bar:
        task = bar.add_task("Preparing", total=None)
        bar.update(task, completed=3, total=9)
        assert read() == [("Preparing", 3, 9)]
        bar.update(task, description="Writing", completed=1, total=2)
        assert read() == [("Writing", 1, 2)]
    assert read_progress(tmp_path / "nothing") == ()


def test_the_pace_counts_only_what_this_process_did(tmp_path: Path, clock: Clock) -> None:
    file = ProgressFile(tmp_path)
    # 90 of 100 are there from before: the process begins with the other 10.
    assert said(file, clock, 0, 90, 100, tmp_path).time_left(clock.time()) is None
    step = said(file, clock, 10, 92, 100, tmp_path)
    assert step.pace == Pace(begun=90, seconds=10, changed=1_005_010)
    assert step.time_left(clock.time()) == 8 * 5
    # Nothing more is done for 3 s, then for very long: one of the 8 is under way, and no more than one.
    step = said(file, clock, 13, 92, 100, tmp_path)
    assert step.time_left(clock.time()) == 8 * 5 - 3
    assert step.time_left(clock.time() + 1000) == 7 * 5
    assert said(file, clock, 60, 100, 100, tmp_path).time_left(clock.time()) == 0


def test_what_is_done_again_or_is_another_thing_has_a_pace_of_its_own(tmp_path: Path, clock: Clock) -> None:
    file = ProgressFile(tmp_path)
    said(file, clock, 0, 0, 10, tmp_path)
    assert said(file, clock, 10, 5, 10, tmp_path).time_left(clock.time()) == 10
    assert said(file, clock, 20, 1, 10, tmp_path).time_left(clock.time()) is None
    assert said(file, clock, 22, 2, 10, tmp_path).time_left(clock.time()) == 8 * 2
    file.say([Step(what="Writing", done=2, total=4), Step(what="Preparing", done=2, total=10)])
    assert [step.time_left(clock.time()) for step in read_progress(tmp_path)] == [None, 16]


def test_without_a_total_or_a_pace_nobody_knows_the_time_left(tmp_path: Path, clock: Clock) -> None:
    file = ProgressFile(tmp_path)
    said(file, clock, 0, 0, None, tmp_path)
    assert said(file, clock, 10, 5, None, tmp_path).time_left(clock.time()) is None
    (tmp_path / PROGRESS).write_text('{"steps": [{"what": "Preparing", "done": 3, "total": 9}]}')
    assert [step.time_left(clock.time()) for step in read_progress(tmp_path)] == [None]
