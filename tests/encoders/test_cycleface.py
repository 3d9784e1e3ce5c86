import torch

from ferkit.encoders.cycleface import CycleFaceEncoder


def random_weights(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
    return module.eval()


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
