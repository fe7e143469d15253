"""Random fields: their power law, measured by a periodogram written here."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from mammo_core.phantom.texture import band, power_law, radial_frequency, smoothstep, strands


def fitted_exponent(field: NDArray[np.float32]) -> float:
    """Slope of log power over log frequency, averaged over rings, between 2 and 60 cycles per field."""
    power = np.abs(np.fft.fftn(field.astype(np.float64))) ** 2
    axes = np.meshgrid(*(np.fft.fftfreq(n) * n for n in field.shape), indexing="ij")
    cycles = np.sqrt(sum(axis**2 for axis in axes))
    edges = np.geomspace(2, min(60, min(field.shape) / 2), 12)
    rings = [(cycles >= low) & (cycles < high) for low, high in pairwise(edges)]
    x = [np.log(cycles[ring].mean()) for ring in rings]
    y = [np.log(power[ring].mean()) for ring in rings]
    return float(-np.polyfit(x, y, 1)[0])


@pytest.mark.parametrize("beta", [2.5, 3.2, 4.0])
def test_power_law_has_the_exponent_asked_for(beta: float) -> None:
    fields = power_law(np.random.default_rng(1), (256, 200), beta)
    assert [fitted_exponent(field) for field in fields] == pytest.approx([beta, beta], abs=0.15)


def test_the_shadow_of_a_volume_keeps_the_exponent() -> None:
    volume = power_law(np.random.default_rng(2), (96, 96, 96), 3.2)[0]
    assert fitted_exponent(volume.sum(axis=0)) == pytest.approx(3.2, abs=0.3)


def test_both_fields_are_normalised_and_unrelated() -> None:
    first, second = power_law(np.random.default_rng(3), (256, 256), 3.2, lowest=0.05)
    assert first.dtype == np.float32
    assert [first.std(), second.std()] == pytest.approx([1, 1], abs=0.1)
    assert abs(float(np.mean(first * second))) < 0.15


def test_radial_frequency_of_a_small_grid() -> None:
    expected = [[0.0, 0.25, 0.5, 0.25], [0.5, np.hypot(0.5, 0.25), np.hypot(0.5, 0.5), np.hypot(0.5, 0.25)]]
    np.testing.assert_allclose(radial_frequency((2, 4)), expected, rtol=1e-6)


def test_a_stretched_band_changes_faster_down_columns() -> None:
    field = band(np.random.default_rng(4), (256, 256), 16.0, stretch=4.0)[0]
    down, along = (np.abs(np.diff(field, axis=axis)).mean() for axis in (0, 1))
    assert down > 2 * along


def test_strands_are_bright_where_the_field_crosses_zero() -> None:
    field = np.array([[0.0, 0.2, -0.2, 0.6]], np.float32)
    np.testing.assert_allclose(strands(field, 0.2), [[1, np.exp(-1), np.exp(-1), np.exp(-9)]], rtol=1e-5)


def test_smoothstep() -> None:
    values = np.array([-1.0, 0.0, 0.5, 1.0, 2.0], np.float32)
    assert smoothstep(2 * values, 0.0, 2.0).tolist() == [0, 0, 0.5, 1, 1]
