"""Pictures on their way to the model: the same from memory and from the disk, with any number of threads."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from made import made_header
from mammo_core.errors import InputError
from mammo_core.inputs import InputSettings, model_input
from mammo_core.mammogram import Mammogram
from mammo_core.phases import Augmentation
from mammo_train.dataset import Images, as_input
from mammo_train.sampling import Batch

STRONG = Augmentation(flip_vertical=0.5, rotation=20, gamma=0.2, noise=0.05)


class Pictures:
    """A prepared set of noise that counts how often each picture is read."""

    def __init__(self, dtype: type = np.uint8) -> None:
        random = np.random.default_rng(0)
        self.all = random.integers(0, np.iinfo(dtype).max, (10, 48, 32)).astype(dtype)
        self.read: list[int] = []

    def image(self, row: int) -> np.ndarray:
        self.read.append(row)
        if row == 9:
            raise InputError("9.png", "is no picture")
        return self.all[row]


def batches_of(*parts: list[int]) -> list[Batch]:
    return [Batch(np.array(part), np.zeros(len(part), np.intp), len(part)) for part in parts]


@pytest.fixture
def images_of():
    """Open images, and let their threads go afterwards."""
    opened = []

    def open_images(data, rows, **options):
        opened.append(Images(data, np.array(rows), **options))
        return opened[-1]

    yield open_images
    for images in opened:
        images.close()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("memory_share", [0.0, 0.3])
def test_plain_pictures_are_the_sets(images_of, dtype, memory_share):
    data = Pictures(dtype)
    images = images_of(data, [3, 5, 8], memory_share=memory_share)
    assert images.in_memory == (memory_share > 0)
    for _ in range(2):
        found = images.plain(np.array([8, 3]))
        assert found.shape == (2, 1, 48, 32)
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found[:, 0], data.all[[8, 3]] / np.iinfo(dtype).max, atol=1e-6)


def test_what_fits_is_read_once_and_what_does_not_each_time(images_of):
    for memory_share, expected in ((0.3, 1), (0.0, 3)):
        data = Pictures()
        images = images_of(data, [0, 1], memory_share=memory_share, threads=1)
        data.read.clear()
        for _ in range(3):
            images.plain(np.array([1]))
        assert data.read == [1] * expected


def test_varied_pictures_do_not_depend_on_memory_threads_or_batches(images_of):
    rows, data = list(range(8)), Pictures()
    found = {}
    for memory_share, threads in ((0.0, 1), (0.3, 1), (0.3, 4)):
        for parts in ([rows], [[4, 5, 6, 7], [0, 1], [2], [3]]):
            images = images_of(data, rows, memory_share=memory_share, threads=threads)
            pictures = {}
            for batch, shown in images.varied(batches_of(*parts), STRONG, seed=1, epoch=2):
                pictures.update(zip(batch.rows.tolist(), shown[:, 0].numpy(), strict=True))
            found[memory_share, threads, len(parts)] = np.stack([pictures[row] for row in rows])
    first, *others = found.values()
    assert all(np.array_equal(first, other) for other in others)


def test_a_repeated_image_and_another_epoch_are_varied_anew(images_of):
    images = images_of(Pictures(), [0, 1])
    batch = Batch(np.array([1, 1]), np.array([0, 1]), 2)
    (_, first), (_, second) = (next(iter(images.varied([batch], STRONG, seed=0, epoch=epoch))) for epoch in (0, 1))
    pictures = {picture.numpy().tobytes() for picture in (*first, *second)}
    assert len(pictures) == 4


def test_batches_come_in_order_and_whole(images_of):
    images = images_of(Pictures(), list(range(9)), threads=3)
    parts = [[0, 1, 2], [3], [4, 5], [6, 7, 8], [0], [1]]
    found = [batch.rows.tolist() for batch, shown in images.varied(batches_of(*parts), STRONG, seed=0, epoch=0)]
    assert found == parts


def test_only_a_few_batches_are_made_in_advance(images_of):
    data = Pictures()
    images = images_of(data, list(range(9)), memory_share=0.0, threads=1)
    data.read.clear()
    going = images.varied(batches_of(*[[row] for row in range(9)]), STRONG, seed=0, epoch=0)
    next(going)
    assert len(data.read) <= 3
    going.close()
    assert len(data.read) <= 4


def test_a_picture_that_cannot_be_read_is_told(images_of):
    images = images_of(Pictures(), [0, 9])
    with pytest.raises(InputError, match=r"9\.png"):
        list(images.varied(batches_of([0], [9], [0]), STRONG, seed=0, epoch=0))


@pytest.mark.parametrize(("mean", "std"), [((0.25,), (0.25,)), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
def test_the_model_is_given_what_reading_gives_it(mean, std):
    pixels = np.random.default_rng(0).integers(0, 65536, (128, 96)).astype(np.uint16)
    mammogram = Mammogram(made_header(128, 96), pixels)
    expected, _ = model_input(mammogram, InputSettings(height=128, width=96, margin=0, mean=mean, std=std))
    plain, _ = model_input(mammogram, InputSettings(height=128, width=96, margin=0))
    given = as_input(torch.from_numpy(plain)[None], InputSettings(height=128, width=96, mean=mean, std=std))
    torch.testing.assert_close(given[0], torch.from_numpy(expected))
    assert given.is_contiguous(memory_format=torch.channels_last)


def test_no_rows_are_no_images(images_of):
    assert not images_of(SimpleNamespace(), []).in_memory
