import copy
from collections import deque

import pytest
import torch
from lightly.loss import NTXentLoss
from lightly.models.utils import update_momentum
from torch import nn

from ferkit.methods.mocov2 import KeyQueue, MocoV2, MocoV2Settings
from ferkit.methods.views import Views
from samples import Tiny, seeded, two_views, vectors


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
        pair = two_views(4, step)
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


def test_symmetric_loss_is_the_sum_of_both_directions_and_queues_the_keys_of_both_views():
    one, both, pair = build(), build(symmetric=True), two_views(4)
    keys = nn.functional.normalize(torch.cat([one.target(pair.b), one.target(pair.a)]), dim=1)
    both(pair)
    torch.testing.assert_close(both.queue.keys[:8], keys)
    one, both = build().eval(), build(symmetric=True).eval()
    swapped = Views(pair.b, pair.a, pair.warped)
    torch.testing.assert_close(both(pair)["loss"], one(pair)["loss"] + one(swapped)["loss"])


def test_keys_share_statistics_within_their_group_only():
    method = build(key_groups=2)
    before = vectors(8, 3, 16, 16)
    changed = before.clone()
    changed[7] += 1
    keys, others = method._keys(before), method._keys(changed)
    torch.testing.assert_close(others[:4], keys[:4], atol=0, rtol=0)
    assert (others[4:7] - keys[4:7]).abs().max() > 1e-4


def test_head_is_the_papers():
    method = MocoV2(Tiny(), 8, MocoV2Settings())
    assert [type(layer).__name__ for layer in method.projector] == ["Linear", "ReLU", "Linear"]
    assert [tuple(layer.weight.shape) for layer in method.projector[::2]] == [(8, 8), (128, 8)]
    assert method.queue.keys.shape == (4096, 128)
    settings = MocoV2Settings()
    assert (settings.temperature, settings.momentum, settings.symmetric) == (0.2, 0.99, False)
