"""Pictures that are looked at enlarged: what the backbone sees, and where its heatmap's cells lie."""

import pytest
import torch

from mammo_core.model import Architecture, build_model


def built(**changes):
    torch.manual_seed(0)
    return build_model(Architecture(backbone="resnet10t", in_channels=1, **changes)).eval()


@pytest.mark.parametrize(("factor", "size"), [(1.5, (192, 128)), (2.0, (256, 192)), (1.01, (128, 96))])
def test_a_picture_is_looked_at_enlarged(factor, size):
    model = built(enlarge=factor)
    images = torch.randn(1, 1, 128, 96, generator=torch.Generator().manual_seed(0))
    large = torch.nn.functional.interpolate(images, size, mode="bilinear", align_corners=False)
    with torch.inference_mode():
        torch.testing.assert_close(model.features(images), built().features(large))


def test_enlarged_pictures_have_finer_heatmaps_in_the_same_places():
    model = built(enlarge=2.0, pooling="breast")
    image = torch.zeros(1, 1, 128, 96)
    image[:, :, :60] = 1.0  # breast in the upper half
    with torch.inference_mode():
        features = model.features(image)
    assert features.shape[2:] == (8, 6)
    assert features[:, :, :4].any()
    assert not features[:, :, 4:].any()
