"""What a phase of training is: which layers learn, from which images, at which rates, for how long.

A phase is data, not code. Knows nothing of models, tables or optimisers: they are told by these values what
to do.
"""

from typing import Annotated, Literal

from pydantic import Field

from mammo_core.settings import Settings

_SMALLEST_CROP = 32
"""Pixels that most backbones make one cell of."""

Share = Annotated[float, Field(ge=0, le=1)]


class Subset(Settings):
    """Which images of the training part a phase learns from."""

    kind: Literal["all", "balanced_groups", "balanced_images", "natural"] = "all"
    """"all" of the part; "balanced_groups": every positive breast and as many random negative ones;
    "balanced_images": half of ``images`` from positive breasts, half from negative ones; "natural": random
    breasts at the part's own prevalence, as many images as "balanced_groups" has, or ``images``."""
    images: int | None = Field(default=None, ge=2)
    """Number of images, fewer where there are not so many; needed for "balanced_images", possible for "natural"."""
    seed: int = 0
    """Seed of the random choice."""

    def model_post_init(self, _context: object) -> None:
        """Refuse a number of images where it is missing or would be ignored."""
        if self.kind == "balanced_images" and self.images is None:
            raise ValueError('images is missing: the subset "balanced_images" needs a number')
        if self.kind in ("all", "balanced_groups") and self.images is not None:
            raise ValueError(f'images is {self.images}, but the subset "{self.kind}" has a size of its own')


class Augmentation(Settings):
    """How training images are varied at random, each time anew. The defaults leave them as they are.

    Ranges are drawn from evenly; black around the breast stays black, and what is turned or moved in from
    outside is black.
    """

    flip_vertical: Share = 0.0
    """Chance that an image is turned upside down."""
    flip_horizontal: Share = 0.0
    """Chance that an image is mirrored left to right, by which the chest wall comes to the right."""
    rotation: float = Field(default=0.0, ge=0, le=180)
    """Largest turn to either side, in degrees."""
    scale: float = Field(default=0.0, ge=0, lt=1)
    """Largest change of size, as a part: 0.1 draws between 0.9 and 1.1 times."""
    translation: float = Field(default=0.0, ge=0, lt=1)
    """Largest shift along each axis, as a part of the image's side."""
    brightness: float = Field(default=0.0, ge=0, lt=1)
    """Largest change of brightness, as a factor on every pixel: 0.1 draws between 0.9 and 1.1."""
    contrast: float = Field(default=0.0, ge=0, lt=0.5)
    """Largest change of the slope at mid-grey, black and white staying: 0.1 draws between 0.9 and 1.1."""
    gamma: float = Field(default=0.0, ge=0, lt=1)
    """Largest change of the exponent on pixels in [0, 1]: 0.1 draws between 1 / 1.1 and 1.1."""
    blur: Share = 0.0
    """Chance of a Gaussian blur."""
    blur_sigma: float = Field(default=1.0, gt=0, le=8)
    """Largest standard deviation of the blur, in pixels."""
    noise: float = Field(default=0.0, ge=0, lt=1)
    """Largest standard deviation of Gaussian noise on the breast, pixels being in [0, 1]."""
    erase: Share = 0.0
    """Chance that one rectangle is blackened (Zhong et al., Random Erasing, AAAI 2020)."""
    erase_area: float = Field(default=0.2, gt=0, lt=1)
    """Largest part of the image that is blackened."""


class Phase(Settings):
    """One stretch of training with the same layers, images and settings from its first step to its last."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")
    """Name in the log and in the curves."""
    about: str = ""
    """Why it is so: the sentence of the study or the published evidence that it follows."""
    trained: Literal["all"] | Annotated[int, Field(ge=1)] = "all"
    """How many of the last layer groups learn, the head included: 1 is the head alone. The rest is frozen."""
    subset: Subset = Subset()
    """Images that are learnt from."""
    epochs: int = Field(ge=1)
    """Passes over the subset."""
    batch_size: int = Field(default=32, ge=1)
    """Images in a step of the optimiser at most, over all processes together; every epoch divides evenly."""
    accumulate: int = Field(default=1, ge=1)
    """Forward passes that a step is divided into, where memory does not hold it at once."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW (Loshchilov and Hutter 2019), or stochastic gradient descent with Nesterov's momentum."""
    learning_rate: float = Field(gt=0, le=10)
    """Highest learning rate, that of the head."""
    backbone_rate: float = Field(default=1.0, gt=0, le=1)
    """The last backbone group's rate as a part of the head's."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Each group's rate as a part of that of the group after it, from the last stage towards the stem."""
    weight_decay: float = Field(default=0.01, ge=0, lt=1)
    """On weights alone: biases, norms and the pooling exponent are never decayed."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of stochastic gradient descent and first moment of AdamW."""
    gradient_clip: float = Field(default=0.0, ge=0)
    """Largest norm of a step's gradient; 0 clips nothing."""
    schedule: Literal["constant", "cosine", "one_cycle", "plateau"] = "cosine"
    """How the rate goes after the warm-up: stays; falls to 0 along half a cosine; falls to 1/250,000 of its
    height after a rise from 1/25 (Smith and Topin 2019); falls by ``plateau_factor`` whenever validation stalls."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Part of the phase's steps over which the rate rises."""
    plateau_epochs: int = Field(default=2, ge=1)
    """Epochs without a better validation metric after which "plateau" lowers the rate."""
    plateau_factor: float = Field(default=0.1, gt=0, lt=1)
    """What "plateau" multiplies the rate by."""
    batch_norm: Literal["train", "frozen"] = "train"
    """Whether trained groups normalise by the batch and move their running statistics. Frozen groups never do."""
    pos_weight: Literal["balance"] | Annotated[float, Field(gt=0)] = 1.0
    """How often the loss counts a positive; "balance": negatives / positives as sampled in this phase."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Labels become ``y (1 - s) + s / 2`` (Szegedy et al. 2016)."""
    sampling: Literal["shuffle", "positive_in_batch", "balanced"] = "shuffle"
    """Every image once per epoch; at least one positive in every batch, repeated where they are too few; as many
    positives as negatives in every batch, the rarer class repeated."""
    crop: int = Field(default=0, ge=0)
    """Side in pixels of square crops to learn from, at least 32; 0: whole images. Crops lie around the lesions of
    positive images, which need a mask, and anywhere in negative ones (Shen et al., Sci Rep 9:12495, 2019). The last
    epoch is handed on, because validation on whole images does not measure what crops teach."""
    lesion_loss: float = Field(default=0.0, ge=0)
    """Weight of a second loss that asks every cell of the feature map whether a lesion of a positive image lies
    there, for sets with lesion masks: it teaches where to look. 0 asks nothing."""
    augmentation: Augmentation = Augmentation()
    """How the images are varied."""
    feature_copies: int = Field(default=1, ge=1)
    """Augmented copies of every image where features of a frozen backbone are computed once and kept."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay per step of the exponential moving average of the weights, which is then what is validated and kept; less
    at first, so that the average forgets where it started. 0 keeps none."""
    patience: int = Field(default=0, ge=0)
    """Epochs without a better validation metric after which the phase ends; 0: never."""

    def model_post_init(self, _context: object) -> None:
        """Refuse fields that contradict each other."""
        if self.accumulate > self.batch_size:
            raise ValueError(f"accumulate is {self.accumulate}, more than batch_size {self.batch_size}")
        if 0 < self.crop < _SMALLEST_CROP:
            raise ValueError(f"crop is {self.crop}, expected 0 or at least {_SMALLEST_CROP} pixels")
        if self.schedule == "one_cycle" and self.warmup == 0:
            raise ValueError('warmup is 0, but the schedule "one_cycle" needs a rise: give a part of the steps')
