"""Activations that runs leave for one another: found again by what they were made from, and never mixed up."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mammo_train.shelf import Shelf, fingerprint


def pairs(*found: tuple[int, int]) -> np.ndarray:
    return np.array(found, np.intp).reshape(-1, 2)


def test_what_was_put_there_is_found_again_whatever_the_order(tmp_path: Path) -> None:
    page = Shelf(tmp_path, "set").page({"seed": 0})
    nothing = page.look_up(pairs((0, 3)))
    assert not nothing.known.any()
    assert (nothing.values, nothing.seconds) == (None, 0.0)
    page.add(pairs((0, 3), (1, 3)), torch.tensor([[[[3.0, 0.5]]], [[[13.0, 0.5]]]]), 6.0)
    page.add(pairs((0, 7), (0, 8)), torch.tensor([[[[7.0, 0.5]]], [[[8.0, 0.5]]]]), 1.0)
    found = Shelf(tmp_path, "set").page({"seed": 0}).look_up(pairs((0, 7), (1, 7), (1, 3), (0, 3)))
    assert found.known.tolist() == [True, False, True, True]
    assert found.values is not None
    assert found.values[torch.from_numpy(found.known)].flatten(1).tolist() == [[7.0, 0.5], [13.0, 0.5], [3.0, 0.5]]
    assert found.seconds == 0.5 + 3.0 + 3.0


@pytest.mark.parametrize(("data", "made_from"), [("set", {"seed": 1}), ("another", {"seed": 0}), ("set", {})])
def test_another_set_or_setting_has_another_page(tmp_path: Path, data: str, made_from: dict[str, object]) -> None:
    Shelf(tmp_path, "set").page({"seed": 0}).add(pairs((0, 0)), torch.ones(1, 2), 1.0)
    assert not Shelf(tmp_path, data).page(made_from).look_up(pairs((0, 0))).known.any()


def test_a_damaged_file_is_as_good_as_absent_and_made_again(tmp_path: Path) -> None:
    page = Shelf(tmp_path, "set").page({})
    page.add(pairs((0, 0)), torch.ones(1, 2), 1.0)
    (file,) = page.folder.iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    assert not page.look_up(pairs((0, 0))).known.any()
    page.add(pairs((0, 0)), torch.ones(1, 2), 1.0)
    assert page.look_up(pairs((0, 0))).known.all()


def test_a_folder_that_cannot_be_written_ends_no_run(tmp_path: Path) -> None:
    (tmp_path / "shelf").write_text("in the way")
    page = Shelf(tmp_path / "shelf", "set").page({})
    page.add(pairs((0, 0)), torch.ones(1, 2), 1.0)
    assert not page.look_up(pairs((0, 0))).known.any()


def test_a_fingerprint_is_of_names_and_values() -> None:
    one = fingerprint([("a", torch.ones(2)), ("b", torch.tensor(1))])
    assert one == fingerprint([("a", torch.ones(2)), ("b", torch.tensor(1))])
    assert one != fingerprint([("a", torch.ones(2)), ("c", torch.tensor(1))])
    assert one != fingerprint([("a", torch.tensor([1.0, 1.5])), ("b", torch.tensor(1))])
