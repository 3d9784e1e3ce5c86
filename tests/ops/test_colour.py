import colorsys
import math

import pytest
import torch
import torchvision.transforms.v2.functional as TF

from ferkit.ops.colour import LUMA, apply_colour, jitter_matrices

IMAGES = 0.25 + 0.5 * torch.rand(3, 3, 10, 10, generator=torch.Generator().manual_seed(0))
ONES, ZEROS, NEVER = torch.ones(3), torch.zeros(3), torch.zeros(3, dtype=torch.bool)


def jitter(brightness=ONES, contrast=ONES, saturation=ONES, hue=ZEROS, gray=NEVER, images=IMAGES):
    matrix, about = jitter_matrices(brightness, contrast, saturation, hue, gray)
    return apply_colour(images, matrix, torch.einsum("bij,bjhw->bi", about, images) / images[0, 0].numel())


@pytest.mark.parametrize("setting", ["brightness", "contrast", "saturation"])
def test_equals_torchvision(setting):
    # Factors near one, where torchvision's clipping to [0, 1] does nothing; it rounds its luma weights to four digits.
    oracle = getattr(TF, f"adjust_{setting}")
    torch.testing.assert_close(jitter(**{setting: 1.2 * ONES}), oracle(IMAGES, 1.2), atol=2e-4, rtol=0)


def test_brightness_comes_before_contrast():
    expected = TF.adjust_contrast(TF.adjust_brightness(IMAGES, 0.9), 1.1)
    torch.testing.assert_close(jitter(0.9 * ONES, 1.1 * ONES), expected, atol=2e-4, rtol=0)


def test_gray_is_luma_in_every_channel():
    luma = torch.einsum("c,bchw->bhw", torch.tensor(LUMA), IMAGES)
    torch.testing.assert_close(jitter(gray=~NEVER), luma[:, None].expand(-1, 3, -1, -1))


def test_hue_turns_red_towards_green_and_keeps_luma():
    red = torch.tensor([0.8, 0.2, 0.2]).view(1, 3, 1, 1)
    one = torch.ones(1)
    turned = jitter(one, one, one, torch.tensor([2 * math.pi / 3]), one < 0, red)
    hue = colorsys.rgb_to_hsv(*turned.flatten().tolist())[0]
    assert hue == pytest.approx(1 / 3, abs=0.09) or hue == pytest.approx(2 / 3, abs=0.09)
    luma = torch.tensor(LUMA).view(1, 3, 1, 1)
    assert (turned * luma).sum().item() == pytest.approx((red * luma).sum().item(), abs=1e-3)
