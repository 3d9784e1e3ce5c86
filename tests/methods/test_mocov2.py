import copy
from collections import deque

import pytest
import torch
from lightly.loss import NTXentLoss
from lightly.models.utils import update_momentum
from torch import nn

from ferkit.methods.mocov2 import KeyQueue, MocoV2, MocoV2Settings
from ferkit.methods.views import Views


class Tiny(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 8, 5, stride=3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count, seed=0):
    return torch.randn(count, 3, 16, 16, generator=seeded(seed))


def views(count, seed=0):
    a, b = pictures(count, seed), pictures(count, seed + 100)
    return Views(a, b, a.new_empty(0, *a.shape))


def build(**settings):
    torch.manual_seed(0)
    return MocoV2(Tiny(), 8, MocoV2Settings(**{"queue": 12, "projection": 6, "key_groups": 1, **settings}))


def sgd(module):
    return torch.optim.SGD([weight for weight in module.parameters() if weight.requires_grad], lr=0.1)


def test_a_training_equals_lightlys():
    """Its loss with a memory bank, its momentum update; five steps, so that the queue of three batches goes round."""
    method = build(momentum=0.9)
    online = copy.deepcopy(nn.Sequential(method.backbone, method.projector))
    target = copy.deepcopy(online).requires_grad_(False)
    criterion = NTXentLoss(temperature=0.2, memory_bank_size=(12, 6))
    criterion.memory_bank.bank.copy_(method.queue.keys)
    ours, theirs = sgd(method), sgd(online)
    for step in range(5):
        pair = views(4, step)
        loss, expected = method(pair)["loss"], criterion(online(pair.a), target(pair.b))
        torch.testing.assert_close(loss, expected)
        for optimizer, value in ((ours, loss), (theirs, expected)):
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        method.after_step(0.5)
        update_momentum(online, target, m=0.9)
    torch.testing.assert_close(method.queue.keys, criterion.memory_bank.bank)
    torch.testing.assert_close(list(method.target.parameters()), list(target.parameters()))


@pytest.mark.parametrize("size", [1, 5, 7, 12])
def test_queue_is_first_in_first_out_whatever_the_batch(size):
    """Python's own bounded queue is the oracle; the batches do not divide the size, and one is longer than it."""
    queue, oracle = KeyQueue(size, 3), deque(maxlen=size)
    oracle.extend(queue.keys.tolist())
    for step, count in enumerate([3, 3, 4, 1, 13, 2, 3]):
        keys = nn.functional.normalize(torch.randn(count, 3, generator=seeded(step)), dim=1)
        queue.push(keys)
        oracle.extend(keys.tolist())
        from_the_oldest = queue.keys.roll(-int(queue.next), 0)
        torch.testing.assert_close(from_the_oldest, torch.tensor(list(oracle)))


def test_queue_stays_out_of_training():
    method = build().eval()
    before = method.queue.keys.clone()
    method(views(4))
    torch.testing.assert_close(method.queue.keys, before, atol=0, rtol=0)


def test_symmetric_loss_is_the_sum_of_both_directions():
    one, both = build(), build(symmetric=True)
    pair = views(4)
    swapped = Views(pair.b, pair.a, pair.warped)
    one.eval(), both.eval()
    torch.testing.assert_close(both(pair)["loss"], one(pair)["loss"] + one(swapped)["loss"])


def test_symmetric_loss_queues_the_keys_of_both_views():
    method, twin = build(symmetric=True), build()
    pair = views(4)
    method(pair)
    keys = nn.functional.normalize(torch.cat([twin.target(pair.b), twin.target(pair.a)]), dim=1)
    torch.testing.assert_close(method.queue.keys[:8], keys)


def test_keys_share_statistics_within_their_group_only():
    method = build(key_groups=2)
    before = pictures(8)
    changed = before.clone()
    changed[7] += 1
    keys, others = method._keys(before), method._keys(changed)
    torch.testing.assert_close(others[:4], keys[:4], atol=0, rtol=0)
    assert (others[4:7] - keys[4:7]).abs().max() > 1e-4


@pytest.mark.parametrize("faces", [2, 3, 9])
def test_small_batches_have_fewer_groups(faces):
    assert build(key_groups=8)(views(faces))["loss"].isfinite()


def test_head_is_the_papers():
    method = MocoV2(Tiny(), 8, MocoV2Settings())
    assert [type(layer).__name__ for layer in method.projector] == ["Linear", "ReLU", "Linear"]
    assert [tuple(layer.weight.shape) for layer in method.projector[::2]] == [(8, 8), (128, 8)]
    assert method.queue.keys.shape == (4096, 128)
    settings = MocoV2Settings()
    assert (settings.temperature, settings.momentum, settings.symmetric) == (0.2, 0.99, False)
