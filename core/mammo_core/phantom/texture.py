"""Random fields: the power-law texture of breast tissue and the fine curved strands in fat."""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def radial_frequency(shape: tuple[int, ...]) -> Field:
    """Return the distance from zero frequency of every sample of an FFT, in cycles per sample, float32."""
    axes = [np.fft.fftfreq(n).astype(np.float32) for n in shape]
    grids = np.meshgrid(*axes, indexing="ij", sparse=True)
    squares: Field = np.zeros(shape, np.float32)
    for grid in grids:
        squares = squares + grid * grid
    return np.sqrt(squares)


def filtered_pair(rng: np.random.Generator, amplitude: Field) -> tuple[Field, Field]:
    """Return two independent Gaussian fields with amplitude spectrum ``amplitude``, mean 0, variance 1, periodic.

    One complex transform gives both: complex white noise has independent real and imaginary parts, and a real
    even filter mixes neither.
    """
    white = np.empty(amplitude.shape, np.complex64)
    white.real = rng.standard_normal(amplitude.shape, dtype=np.float32)
    white.imag = rng.standard_normal(amplitude.shape, dtype=np.float32)
    power = float(np.mean(np.square(amplitude, dtype=np.float64)))
    white *= amplitude / np.float32(np.sqrt(power * amplitude.size))
    field = np.fft.ifftn(white) * np.float32(amplitude.size)
    return np.ascontiguousarray(field.real), np.ascontiguousarray(field.imag)


def power_law(
    rng: np.random.Generator, shape: tuple[int, ...], beta: float, *, lowest: float = 0.0
) -> tuple[Field, Field]:
    """Return two independent fields whose power spectrum falls as ``1 / f**beta``, mean 0, variance 1.

    ``lowest`` (cycles per sample) is the frequency below which the spectrum is flat; the projection of a 3-D
    field keeps its exponent (central slice theorem), so ``beta`` means the same in two and three dimensions.
    """
    frequency = radial_frequency(shape)
    floor = max(lowest, 0.5 / max(shape))
    amplitude = np.maximum(frequency, np.float32(floor)) ** np.float32(-beta / 2)
    amplitude.flat[0] = 0.0
    return filtered_pair(rng, amplitude)


def band(
    rng: np.random.Generator, shape: tuple[int, int], wavelength: float, *, stretch: float = 1.0
) -> tuple[Field, Field]:
    """Return two independent smooth fields of one ``wavelength`` (samples) down columns, mean 0, variance 1.

    Along rows the wavelength is ``stretch`` times as long.
    """
    vertical = np.fft.fftfreq(shape[0]).astype(np.float32)[:, None] * np.float32(wavelength)
    horizontal = np.fft.fftfreq(shape[1]).astype(np.float32)[None, :] * np.float32(wavelength * stretch)
    frequency = np.sqrt(vertical * vertical + horizontal * horizontal)
    amplitude = np.exp(-np.square((frequency - 1.0) / 0.45))
    amplitude.flat[0] = 0.0
    return filtered_pair(rng, amplitude.astype(np.float32))


def strands(field: Field, width: float) -> Field:
    """Return thin bright curves along the zero crossings of ``field``: float32 in (0, 1].

    The zero set of a smooth random field is a net of curves; ``width`` is in units of the field's deviation.
    """
    curves: Field = np.exp(-np.square(field / np.float32(width)))
    return curves


def smoothstep(values: Field, low: float, high: float) -> Field:
    """Return 0 below ``low``, 1 above ``high`` and a cubic between, float32."""
    t: Field = np.clip((values - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)
