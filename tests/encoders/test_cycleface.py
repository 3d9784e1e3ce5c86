import pytest
import torch
from torch.nn import functional as F

from ferkit.encoders.cycleface import ChannelAttention, CycleFaceEncoder


def random_weights(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
    return module.eval()


def test_attention_gathers_by_place_and_spreads_by_channel():
    """One channel: what is gathered, a mean by the softmax over places, goes to every place alike."""
    block = ChannelAttention(1)
    with torch.no_grad():
        for layer, slope in ((block.what, 3.0), (block.where, 1.0), (block.which, 5.0)):
            layer.weight.fill_(slope)
            layer.bias.zero_()
    x = torch.tensor([0.0, 1.0, -2.0, 0.5])
    gathered = (3 * x * x.exp() / x.exp().sum()).sum()
    expected = F.leaky_relu(x + gathered, 0.1)
    torch.testing.assert_close(block(x.view(1, 1, 2, 2)).flatten(), expected)


def test_attention_of_two_channels_mixes_what_each_has_found():
    """Softmaxes with no preference: each channel finds the mean, and every pixel gets half of both."""
    block = ChannelAttention(2)
    with torch.no_grad():
        for layer in (block.what, block.where, block.which):
            layer.weight.zero_()
            layer.bias.zero_()
        block.what.weight.copy_(torch.eye(2)[..., None, None])
    x = torch.tensor([[1.0, 3.0], [10.0, 30.0]]).view(1, 2, 1, 2)
    assert block(x).flatten().tolist() == [3.0, 5.0, 30.0, 50.0]


@pytest.mark.parametrize(("size", "side"), [(64, 4), (100, 7), (112, 7)])
def test_the_map_has_a_sixteenth_of_the_side(size, side):
    network = CycleFaceEncoder(size, code=False).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, size, size)).shape == (1, 128 * side * side)
    assert network.num_features == 128 * side * side


def test_the_map_is_what_the_code_is_made_of():
    code = random_weights(CycleFaceEncoder(64))
    only = CycleFaceEncoder(64, code=False)
    only.load_state_dict({name: value for name, value in code.state_dict().items() if name in only.state_dict()})
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        codes = code(images)
        torch.testing.assert_close(code.code(only(images)), codes)
    assert codes.shape == (2, 256)
    assert codes.abs().max() <= 1
    assert not torch.equal(codes[0], codes[1])
