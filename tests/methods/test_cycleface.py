import copy

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F

from ferkit.errors import TrainingError
from ferkit.methods import cycleface
from ferkit.methods.cycleface import CycleFace, CycleFaceSettings
from ferkit.methods.views import Views, ViewSettings
from samples import seeded

PLAIN = ViewSettings(size=24, mean=(0, 0, 0), std=(1, 1, 1))
SMALL = {"stem": "learned", "channels": 16, "blocks": 1, "identity_blocks": 1, "perceptual": 0, "views": PLAIN}


class Tiny(nn.Sequential):
    """(B, 3, 24, 24) -> (B, 8)."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 2, 12, stride=12), nn.Flatten(), nn.Tanh())


def settings(**more):
    return CycleFaceSettings(**SMALL | more)


def build(**more):
    torch.manual_seed(0)
    return CycleFace(Tiny(), 8, settings(**more))


def identity(**more):
    return build(stage="identity", expression="runs/first", **more)


def noise_views(count=2):
    a, b = torch.rand(2, count, 3, 24, 24, generator=seeded())
    return Views(a, b, a.new_empty(0, *a.shape))


def even_views(u, v):
    """Two faces of one colour each, both of the same clip."""
    a, b = (torch.full((1, 3, 24, 24), value) for value in (u, v))
    return Views(a, b, a.new_empty(0, *a.shape))


def without_motion(method):
    """Give a method a flow of nothing, and a generator that draws what it is shown."""
    method.flow.forward = lambda code: (torch.zeros(len(code), 2, 16, 16),) * 2
    method.generator.forward = lambda images, flow=None, noise=0: images
    return method


def light(u, v):
    """SSIM of two even pictures."""
    return (2 * u * v + 1e-4) / (u * u + v * v + 1e-4)


def test_a_face_must_be_drawn_again_from_the_neutral_face_of_its_partner():
    """Colours u and v stay where they are: three of the four reconstructions, 1, 1 and 1.5, have the other's colour."""
    found = without_motion(build())(even_views(0.2, 0.6))
    unlike = 1 - light(0.2, 0.6)
    assert found["pixel"].item() == pytest.approx(3.5 * 0.4)
    assert found["ssim"].item() == pytest.approx(2.5 * unlike, abs=1e-5)
    assert found["symmetry"].item() == pytest.approx(0, abs=1e-6)
    assert found["loss"].item() == pytest.approx(3.5 * 0.4 + 5 * 2.5 * unlike, abs=1e-4)
    assert (found["rebuilt"].item(), found["motion"].item()) == (pytest.approx(0.4), 0)


def test_equal_faces_cost_nothing_but_their_asymmetry():
    views = even_views(0.3, 0.3)
    views.a[..., :6] = views.b[..., :6] = 0.7  # a quarter of each row, whose mirror image is not: half of all pixels
    found = without_motion(build())(views)
    assert found["pixel"].item() == pytest.approx(0, abs=1e-6)
    assert found["symmetry"].item() == pytest.approx(1.5 * 0.5 * 0.4)
    assert found["loss"].item() == pytest.approx(1.5 * 1.5 * 0.5 * 0.4, abs=1e-5)


def test_identity_goes_through_the_mean_of_all_neutral_faces():
    """Colours .2 and .6 in, nobody's face twice as bright: the mean is .8; put in, it is .3 darker for everyone."""
    method = without_motion(identity(margin=0.25))
    shown = []

    def renormalise(features, code, *, put_in):
        shown.append(features)
        return features - 0.3 if put_in else 2 * features

    method.generator.stem.forward = lambda images: [images]
    method.renormalise.forward = renormalise
    found = method(even_views(0.2, 0.6))
    torch.testing.assert_close(shown[1], torch.full_like(shown[1], 0.8))
    apart = ((0.6 - 0.25) + 0) / 2  # of .8 from .2 and .6, beyond the margin
    pixel = 1.8 * (0.3 + 0.1) / 2 + (0.3 + 0.1) / 2
    unlike = 1 - (light(0.5, 0.2) + light(0.5, 0.6)) / 2
    assert found["apart"].item() == pytest.approx(apart)
    assert found["pixel"].item() == pytest.approx(pixel)
    assert found["ssim"].item() == pytest.approx(1.8 * unlike, abs=2e-4)
    assert found["loss"].item() == pytest.approx(pixel + 5 * 1.8 * unlike + apart, abs=1e-3)


def test_perceptual_term_is_that_of_all_pictures_in_one_batch(monkeypatch):
    monkeypatch.setattr(cycleface, "load_imagenet", lambda network: network.requires_grad_(False))
    method = build(perceptual=0.01)
    faces, *images = torch.rand(3, 2, 3, 24, 24, generator=seeded())

    def grams(pictures):
        flat = [found.flatten(2) for found in method.perceptual(pictures)]
        return [torch.einsum("bin,bjn->bij", part, part) / part.shape[2] for part in flat]

    expected = sum(map(F.mse_loss, grams(torch.cat(images)), grams(torch.cat([faces, faces]))))
    torch.testing.assert_close(method._style(tuple(images), faces)["perceptual"], expected)
    assert method._style((faces,), faces)["perceptual"].item() == 0


def step(method, views):
    before = copy.deepcopy(dict(method.named_parameters()))
    optimizer = torch.optim.Adam([weight for weight in method.parameters() if weight.requires_grad], lr=0.01)
    method(views)["loss"].backward()
    optimizer.step()
    return {name.split(".")[0] for name, weight in method.named_parameters() if not torch.equal(weight, before[name])}


def test_identity_leaves_the_expression_stage_as_it_is():
    assert step(identity(), noise_views()) == {"backbone", "renormalise"}
    assert step(build(), noise_views()) == {"backbone", "flow", "generator"}


def test_identity_builds_upon_the_weights_of_the_other_stage():
    first, second = build(), identity()
    with torch.no_grad():
        for weight in first.parameters():
            weight.add_(0.01)
    second.load_parent(first.state_dict())
    torch.testing.assert_close(second.expression.state_dict(), first.backbone.state_dict(), atol=0, rtol=0)
    torch.testing.assert_close(second.generator.state_dict(), first.generator.state_dict(), atol=0, rtol=0)
    torch.testing.assert_close(second.flow.state_dict(), first.flow.state_dict(), atol=0, rtol=0)


@pytest.mark.parametrize("other", [lambda: build(channels=8), lambda: build(blocks=2), identity, nn.Sequential])
def test_identity_refuses_another_run(other):
    with pytest.raises(TrainingError, match="'runs/first'"):
        identity().load_parent(other().state_dict())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"stage": "identity"}, "set expression"),
        ({"stem": "vgg19", "channels": 64}, "set stem=learned"),
        ({"views": ViewSettings(size=30)}, "multiple of 4"),
    ],
)
def test_settings_that_do_not_go_together(wrong, says):
    with pytest.raises(ValidationError, match=says):
        settings(**wrong)


def test_partners_of_the_identity_stage_are_other_people_and_never_mirrored():
    method = identity(mirror=1)
    assert method.batch_fields_with(method.settings) == {"stranger"}
    assert build().batch_fields_with(build().settings) == {"partner"}
    dark, bright = (torch.full((4, 128, 128, 3), level, dtype=torch.uint8) for level in (20, 220))
    views = method.views({"crops": dark, "stranger": bright}, seeded())
    assert views.a.max() < 0.2 < 0.7 < views.b.min()
