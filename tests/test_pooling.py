"""From a feature map to one vector: the learnt mean, and the mean over the breast alone."""

import math

import pytest
import torch

from mammo_core.model import Architecture, build_model
from mammo_core.pooling import breast_share, on_breast


def gem_model(**changes: object):
    return build_model(Architecture(backbone="resnet18", in_channels=1, pooling="gem", **changes))


def test_generalised_mean_by_hand():
    model = gem_model()
    assert model.pool.exponent.item() == pytest.approx(3.0)
    features = torch.zeros(1, 2, 2, 2)
    features[0, 0] = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
    features[0, 1] = torch.tensor([[-5.0, 0.0], [0.0, 2.0]])  # what is negative counts as none
    expected = [(36 / 4) ** (1 / 3), (8 / 4) ** (1 / 3)]  # 1 + 8 + 27 = 36
    assert model.pool(features)[0].tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("exponent", [1.0001, 3.0, 50.0])
def test_generalised_mean_lies_between_mean_and_maximum(exponent):
    model = gem_model()
    model.pool.excess.data.fill_(math.log(math.expm1(exponent - 1)))
    features = torch.rand(2, 512, 7, 5, generator=torch.Generator().manual_seed(0)) * 1000
    pooled = model.pool(features)
    mean, peak = features.mean((2, 3)), features.amax((2, 3))
    assert bool((pooled >= mean * (1 - 1e-5)).all())
    assert bool((pooled <= peak * (1 + 1e-5)).all())
    if exponent < 1.001:
        torch.testing.assert_close(pooled, mean, rtol=1e-3, atol=0)
    if exponent > 49:
        torch.testing.assert_close(pooled, peak, rtol=0.1, atol=0)


def test_the_exponent_learns_and_never_falls_below_one():
    model = gem_model()
    model.head.weight.data.fill_(1.0)
    features = torch.rand(4, 512, 3, 3, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.SGD([model.pool.excess], lr=1e-2)
    for _ in range(30):
        optimiser.zero_grad()
        model.logits(features).sum().backward()  # the lower the exponent, the lower the sum
        optimiser.step()
        assert model.pool.exponent.item() >= 1
    assert model.pool.exponent.item() < 1.2


def test_the_gradient_through_the_generalised_mean_is_autograds_by_differences():
    pool = gem_model().pool.double()
    # In double precision the pool's own float32 would blur the differences: the formula itself is compared.
    features = torch.rand(1, 2, 3, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found = torch.autograd.grad(pool(features).sum(), [features, pool.excess])
    plain = torch.pow(torch.pow(features, pool.exponent).mean((2, 3)), 1 / pool.exponent)
    expected = torch.autograd.grad(plain.sum(), [features, pool.excess])
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-30, 1e30])
def test_flat_maps_make_no_nan(value):
    pool = gem_model().pool
    pool.excess.data.fill_(30.0)
    features = torch.full((1, 4, 3, 3), value, requires_grad=True)
    pooled = pool(features)
    pooled.sum().backward()
    assert bool(pooled.isfinite().all() and features.grad.isfinite().all() and pool.excess.grad.isfinite())


def test_the_generalised_mean_is_not_rounded_by_autocast():
    model = gem_model()
    features = torch.rand(1, 512, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model.pool(features), model.pool(features.float()), rtol=0, atol=0)
        assert model.pool(features.bfloat16()).dtype == torch.float32


def picture(*, breast: float = 0.6, air: float = 0.0):
    """One picture of 64 x 64: breast in the left half, air in the right one."""
    image = torch.full((1, 1, 64, 64), air)
    image[:, :, :, :32] = breast
    return image


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1 / 0.229, -0.485 / 0.229), (0.01, 5.0)])
def test_the_breast_is_found_whatever_the_picture_is_normalised_by(scale, shift):
    share = breast_share(picture() * scale + shift, 2, 4)
    assert share.tolist() == [[[[1.0, 1.0, 0.0, 0.0]] * 2]]


def test_a_cell_at_the_edge_counts_by_its_share():
    image = picture()
    image[:, :, :, 24:] = 0.0  # three quarters of the second of four cells are air
    assert breast_share(image, 1, 2).flatten().tolist() == [0.75, 0.0]


def test_every_picture_has_its_own_air():
    both = torch.cat([picture(), picture(breast=0.3, air=0.2).flip(3)])
    assert breast_share(both, 1, 2).flatten().tolist() == [1.0, 0.0, 0.0, 1.0]


def test_faint_noise_in_the_air_is_no_breast():
    image = picture() + 0.005 * torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert breast_share(image, 1, 2).flatten().tolist() == pytest.approx([1.0, 0.0], abs=1e-6)


def test_the_mean_is_over_the_breast():
    features = torch.tensor([[[[2.0, 4.0, 100.0, 100.0]]]])
    weighed = on_breast(features, torch.tensor([[[[1.0, 0.5, 0.0, 0.0]]]]))
    assert weighed.mean().item() == pytest.approx((2.0 + 0.5 * 4.0) / 1.5)
    assert weighed[0, 0, 0, 2:].tolist() == [0.0, 0.0]


def test_a_finer_share_counts_by_the_cell():
    features = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    images = torch.cat([picture(), picture().transpose(2, 3)])
    fine, coarse = breast_share(images, 16, 16), breast_share(images, 4, 4)
    torch.testing.assert_close(on_breast(features, fine), on_breast(features, coarse))


def test_a_picture_of_one_grey_is_averaged_whole():
    features = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    share = breast_share(torch.full((1, 1, 64, 64), 0.4), 2, 2)
    assert not share.any()
    assert torch.equal(on_breast(features, share), features)


def test_air_and_padding_add_nothing_to_a_logit():
    torch.manual_seed(0)
    model = build_model(Architecture(backbone="resnet10t", in_channels=1, pooling="breast")).eval()
    image = torch.zeros(1, 1, 128, 128)
    image[:, :, :, :64] = torch.rand(128, 64, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.4
    with torch.inference_mode():
        features = model.features(image)
        by_hand = model.backbone(image)[:, :, :, :2].mean((2, 3))
    assert not features[:, :, :, 2:].any()
    assert features[:, :, :, :2].any()
    torch.testing.assert_close(model.pooled(features), by_hand)
