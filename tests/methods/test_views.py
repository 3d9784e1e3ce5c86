import numpy as np
import pytest
import torch
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression
from torchvision.transforms.functional import solarize

from ferkit.methods.views import ViewMaker, ViewSettings, to_float
from ferkit.methods.warps import WarpSettings, draw_warps
from samples import seeded

PLAIN = ViewSettings(scale=(1, 1), aspect=(1, 1), rotation=0, flip=0, jitter=0, gray=0, blur=0, size=128)


def crops(count, size=128, cells=16, seed=0):
    """(count, size, size, 3) uint8 smooth random pictures."""
    coarse = torch.rand(count, 3, cells, cells, generator=seeded(seed))
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    return smooth.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


@pytest.mark.parametrize("as_given", [lambda images: images, to_float], ids=["uint8", "float"])
def test_plain_view_only_normalises(as_given):
    images = crops(2)
    view = ViewMaker(PLAIN)(as_given(images), seeded())
    expected = (to_float(images) - torch.tensor(PLAIN.mean).view(3, 1, 1)) / torch.tensor(PLAIN.std).view(3, 1, 1)
    torch.testing.assert_close(view, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("warped", [False, True])
def test_uint8_on_the_cpu_shows_the_same_picture_as_float_anywhere(warped):
    """The path of the CPU and that of accelerators draw the same numbers, and differ by rounding to whole levels."""
    images = crops(24)
    settings = ViewSettings(size=112)
    warp = draw_warps(24, WarpSettings(kind=("bumps", "tps", "field")), seeded(5)) if warped else None
    ours, theirs = (ViewMaker(settings)(faces, seeded(1), warp) for faces in (images, to_float(images)))
    levels = (ours - theirs).abs() * torch.tensor(settings.std).view(3, 1, 1) * 255
    # Rounding twice is one level at most; brightness and contrast may multiply it by 1.96, hue and saturation by more.
    assert levels.mean() < 0.5
    assert levels.max() < 4


FULL = ViewSettings(size=56)


def texture(views):
    """(N, 6) logarithms of the energy of first and second differences, of their ratio to each other, and brightness."""
    across, down = views.diff(dim=3), views.diff(dim=2)
    steps = (across, down, across.diff(dim=3), down.diff(dim=2), across.diff(dim=2), views)
    return np.log(torch.stack([step.square().mean((1, 2, 3)) for step in steps], 1).numpy())


def hits_of_a_classifier(ones, others):
    """How many of the held-out third a logistic regression on texture tells apart, and how many there are."""
    features, label = texture(torch.cat([ones, others])), np.repeat([0, 1], [len(ones), len(others)])
    order = np.random.default_rng(0).permutation(len(label))
    fit, held = np.split(order, [2 * len(order) // 3])
    center, spread = features[fit].mean(0), features[fit].std(0)
    model = LogisticRegression(C=100, max_iter=2000).fit((features[fit] - center) / spread, label[fit])
    return int((model.predict((features[held] - center) / spread) == label[held]).sum()), len(held)


def test_resampling_gives_no_shortcut():
    """Views behind a warp of zero strength cannot be told from views behind none: at chance, two-sided at 95 %.

    At this strength every kind of warp moves nothing, see test_warps.py.
    """
    images = crops(450, cells=64)
    still = draw_warps(450, WarpSettings(strength=(0, 0)), seeded(3))
    maker = ViewMaker(FULL)
    hits, count = hits_of_a_classifier(maker(images, seeded(1)), maker(images, seeded(2), still))
    low, high = binom.interval(0.95, count, 0.5)
    assert low <= hits <= high


def test_the_classifier_would_find_a_second_resampling():
    """The control: pictures that were bent and bent back beforehand lose sharpness, and the same classifier sees it."""
    images = crops(450, cells=64)
    turned = ViewSettings(**PLAIN.model_dump() | {"mean": (0, 0, 0), "std": (1, 1, 1), "rotation": 10.0})
    twice = ViewMaker(turned)(images, seeded(4)).clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1)
    maker = ViewMaker(FULL)
    hits, count = hits_of_a_classifier(maker(images, seeded(1)), maker(twice.contiguous(), seeded(2)))
    assert hits > binom.ppf(0.999, count, 0.5)


def test_masks_lie_over_the_mouth_or_an_eye_in_the_views_mean_colour():
    """Where each of many views is flat: three ellipses, left and right as the picture shows them, by hand."""
    plain = {"rotation": 0, "jitter": 0, "gray": 0, "blur": 0, "flip": 0, "aspect": (1, 1), "scale": (1, 1)}
    images = crops(1, cells=32).expand(300, -1, -1, -1)
    maker = {mask: ViewMaker(ViewSettings(size=128, mask=mask, **plain)) for mask in (0, 0.8)}
    view, masked = (maker[mask](images, seeded()) for mask in (0, 0.8))
    hidden = (view != masked).any(1)
    # Centre (x, y) and half axes of mouth, left and right eye, pixels of the crop, with the authors' 10 px around them.
    ellipses = [((63.5, 90.5), (26.6, 16.0)), ((43.5, 43.5), (19.5, 13.5)), ((83.5, 43.5), (19.5, 13.5))]
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    places = torch.stack([((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1 for (cx, cy), (rx, ry) in ellipses])
    which = [[int(torch.equal(one, place)) for place in places] for one in hidden]
    assert all(sum(row) == 1 or not one.any() for row, one in zip(which, hidden, strict=True))
    shares = torch.tensor(which).float().mean(0)
    torch.testing.assert_close(shares, torch.full((3,), 0.8 / 3), atol=0.08, rtol=0)
    first = hidden.flatten(1).any(1).nonzero()[0, 0]
    colour = masked[first].permute(1, 2, 0)[hidden[first]]
    torch.testing.assert_close(colour, view[first].mean((1, 2)).expand_as(colour))


def test_solarised_views_are_negatives_where_they_are_bright_by_hand():
    """Levels 51, 102, 153 and 204 of 255: .2 and .4 stay, .6 and .8 become .4 and .2, as torchvision has it."""
    levels = torch.tensor([51, 102, 153, 204], dtype=torch.uint8).repeat_interleave(32)
    images = levels[None, :, None, None].expand(40, -1, 128, 3).contiguous()
    bare = PLAIN.model_copy(update={"solarise": 0.25, "mean": (0, 0, 0), "std": (1, 1, 1)})
    view = ViewMaker(bare)(images, seeded())[:, :, 16::32, 5]
    turned = (view - torch.tensor([0.2, 0.4, 0.4, 0.2])).abs().amax((1, 2)) < 1e-5
    kept = (view - torch.tensor([0.2, 0.4, 0.6, 0.8])).abs().amax((1, 2)) < 1e-5
    assert (turned ^ kept).all()
    assert 3 <= turned.sum() <= 18  # of 40, 10 expected
    picture = solarize(images[0].movedim(-1, 0), 128)[:, 16::32, 5] / 255
    torch.testing.assert_close(view[turned][0], picture, atol=1e-5, rtol=0)


def test_erased_rectangles_hold_the_mean_colour():
    """At chance 1 every view has one, of 2 to 25 % of the area less what lies beyond the edge."""
    faces = torch.full((64, 128, 128, 3), 200, dtype=torch.uint8)
    plain = dict.fromkeys(("rotation", "flip", "jitter", "gray", "blur"), 0)
    view = ViewMaker(ViewSettings(size=64, erase=1, **plain))(faces, torch.Generator().manual_seed(0))
    share = (view == 0).all(1).float().mean((1, 2))
    assert share.min() > 0
    assert share.max() <= 0.26
    assert 0.05 < share.mean() < 0.12
