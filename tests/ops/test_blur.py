import torch
import torchvision.transforms.v2.functional as TF

from ferkit.ops.blur import gaussian_blur

IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_every_image_has_its_own_sigma():
    sigma = torch.tensor([0.5, 1.0, 0.0, 1.5])
    blurred = gaussian_blur(IMAGES, sigma)
    for image, result, width in zip(IMAGES, blurred, sigma.tolist(), strict=True):
        expected = TF.gaussian_blur(image, [11, 11], [width, width]) if width else image
        torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def test_no_blur_returns_the_same_tensor():
    assert gaussian_blur(IMAGES, torch.zeros(4)) is IMAGES


def test_constant_stays_constant_at_the_borders():
    flat = torch.full((2, 3, 20, 20), 0.3)
    torch.testing.assert_close(gaussian_blur(flat, torch.tensor([2.0, 0.1])), flat)
