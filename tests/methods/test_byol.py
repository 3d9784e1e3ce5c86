import copy

import torch
from lightly.loss import NegativeCosineSimilarity
from lightly.models.utils import update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import nn

from ferkit.methods.byol import Byol, ByolSettings
from samples import Tiny, seeded, two_views


def build(**settings):
    torch.manual_seed(0)
    return Byol(Tiny(), 8, ByolSettings(hidden=16, projection=6, **settings))


def test_second_views_may_have_a_distribution_of_their_own():
    """Gray noise: views that are only blurred lose their contrast, those that are only solarised their bright half."""
    still = {"scale": (1, 1), "aspect": (1, 1), "rotation": 0, "flip": 0, "jitter": 0, "gray": 0, "blur": 0}
    crops = torch.randint(0, 256, (6, 32, 32, 1), dtype=torch.uint8, generator=seeded())
    batch = {"crops": crops.expand(-1, -1, -1, 3).contiguous()}
    bare = {"size": 32, "mean": (0, 0, 0), "std": (1, 1, 1), "sigma": (112, 112)}

    def drawn(**second):
        method = build(views={**still, **bare}, **second)
        return method.views(batch, seeded())

    alike, blurred, turned = drawn(), drawn(second_blur=1), drawn(second_solarise=1)
    assert torch.equal(alike.a, alike.b)
    assert torch.equal(blurred.a, alike.a)
    assert blurred.b.std() < 0.3 * alike.b.std()
    assert turned.a.max() > 0.9
    assert turned.b.max() <= 0.5


def sgd(module):
    return torch.optim.SGD([weight for weight in module.parameters() if weight.requires_grad], lr=0.1)


def test_a_training_equals_lightlys():
    """Its loss (half as large and without the constant), its momentum update and its schedule."""
    method = build(momentum=0.9)
    online = copy.deepcopy(nn.Sequential(method.backbone, method.networks.projector, method.networks.predictor))
    target = copy.deepcopy(online[:2]).requires_grad_(False)
    criterion = NegativeCosineSimilarity()
    ours, theirs = sgd(method), sgd(online)
    for step in range(4):
        pair = two_views(4, step)
        loss = method(pair)["loss"]
        to_a, to_b = target(pair.a), target(pair.b)
        expected = 4 + 2 * criterion(online(pair.a), to_b) + 2 * criterion(online(pair.b), to_a)
        torch.testing.assert_close(loss, expected)
        for optimizer, value in ((ours, loss), (theirs, expected)):
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        method.after_step((step + 1) / 4)
        update_momentum(online[:2], target, m=cosine_schedule(step + 1, 5, 0.9, 1.0))
    torch.testing.assert_close(list(method.networks.target.parameters()), list(target.parameters()))
