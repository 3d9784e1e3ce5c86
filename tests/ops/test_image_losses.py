import numpy as np
import pytest
import torch

from ferkit.ops.image_losses import asymmetry, beyond_margin, gram_matrices, ssim
from samples import seeded, vectors


def pictures(seed, size=24, channels=3):
    return torch.rand(channels, channels, size, size, generator=seeded(seed))


def noisy(images):
    return (images + 0.1 * vectors(*images.shape, seed=2)).clamp(0, 1)


def scikit_image_s(a, b):
    metrics = pytest.importorskip("skimage.metrics")
    how = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0, "channel_axis": 0}
    pairs = zip(a.double().numpy(), b.double().numpy(), strict=True)
    return np.mean([metrics.structural_similarity(x, y, **how) for x, y in pairs])


def test_ssim_is_that_of_scikit_image():
    a = pictures(0)
    assert ssim(a, noisy(a)).item() == pytest.approx(scikit_image_s(a, noisy(a)), abs=1e-5)


@pytest.mark.parametrize(("u", "v"), [(0.5, 0.5), (0.2, 0.8), (0.0, 1.0)])
def test_ssim_of_even_pictures_is_that_of_their_light(u, v):
    a, b = (torch.full((1, 1, 11, 12), value) for value in (u, v))
    assert ssim(a, b).item() == pytest.approx((2 * u * v + 1e-4) / (u * u + v * v + 1e-4), abs=1e-5)


def test_mixed_precision_leaves_them_exact():
    a, b = pictures(0), noisy(pictures(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = ssim(a, b), gram_matrices(a)
    torch.testing.assert_close(found, (ssim(a, b), gram_matrices(a)), atol=0, rtol=0)


def test_gram_matrices_are_mean_products_of_channels():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    assert gram_matrices(features).tolist() == [[[2.5, 5.5], [5.5, 12.5]]]


def test_asymmetry_compares_a_picture_with_its_mirror_image():
    rows = torch.tensor([[1.0, 2.0, 4.0, 8.0], [3.0, 5.0, 5.0, 3.0]])
    assert asymmetry(rows.view(1, 1, 2, 4)).item() == pytest.approx((7 + 2 + 2 + 7) / 8)
    assert asymmetry(rows[1:].view(1, 1, 1, 4)).item() == 0


def test_differences_within_the_margin_cost_nothing():
    a, b = torch.tensor([[0.0, 0.05], [0.3, -0.5]]), torch.zeros(1, 2)
    assert beyond_margin(a, b, 0.1).item() == pytest.approx((0.2 + 0.4) / 4)


@pytest.mark.parametrize("light", [0.0, 0.5, 0.9])
def test_ssim_of_faint_texture_does_not_drown_in_the_light(light):
    """Against float64, for textures of a thousandth of the range: float32 knows 7 digits, and these take 6."""
    a, b = (light + 1e-3 * pictures(seed, channels=1) for seed in (0, 1))
    assert ssim(a, b).item() == pytest.approx(scikit_image_s(a, b), abs=2e-6)
