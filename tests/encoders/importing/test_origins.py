"""Every origin's names, on synthetic files: the network computes the same before and after."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

from ferkit.encoders.importing.mapping import fit_network, networks_to_try, take_encoder
from ferkit.encoders.importing.origins import ORIGINS, pick_origin
from ferkit.errors import WeightsError


@pytest.fixture(scope="module")
def resnet():
    """A ResNet-18 with batch norms that have seen something, so that no two layers are alike."""
    torch.manual_seed(0)
    network = timm.create_model("resnet18", num_classes=0)
    network(torch.rand(2, 3, 32, 32))
    return network.eval()


@pytest.fixture(scope="module")
def transformer():
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=32).eval()


def under(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def noise(state, prefix):
    """What a checkpoint holds beside the encoder under look-alike names."""
    return {f"{prefix}{name}": torch.full_like(tensor, 7) for name, tensor in state.items()}


def imported(tensors, origin, arch=None, input_size=None):
    """The network after the whole way, with what was dropped."""
    source = pick_origin(origin)
    state, dropped = take_encoder(tensors, source)
    fitted = fit_network(state, source, networks_to_try(state, source, arch), input_size)
    network = timm.create_model(
        fitted.arch, num_classes=0, **({"img_size": fitted.input_size} if "vit" in fitted.arch else {})
    )
    network.load_state_dict(fitted.state)
    return network.eval(), fitted, dropped


def same(one, other, size=32):
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return torch.equal(one(images), other(images))


def shortcut(state):
    return {name.replace("downsample", "shortcut"): tensor for name, tensor in state.items()}


def numbered(state):
    """torchvision's ResNet as `nn.Sequential(*children[:-1])`."""
    places = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    return {".".join([str(places.index(name.split(".")[0])), *name.split(".")[1:]]): t for name, t in state.items()}


HEAD = {"fc.0.weight": torch.ones(512, 512), "fc.2.weight": torch.ones(128, 512)}

CASES = {
    "ssl-fer": lambda s: under("backbone.", s | HEAD),
    "crs-cont, one card": lambda s: under("encoder.", shortcut(s)) | {"head.0.weight": torch.ones(2, 2)},
    "crs-cont, several cards": lambda s: under("encoder.module.", shortcut(s)),
    "mmselfsup, BYOL": lambda s: under("backbone.", s) | noise(s, "target_net.module.0.") | {"head.x": torch.ones(1)},
    "mmselfsup, extracted": lambda s: s,
    "solo-learn": lambda s: under("backbone.", s) | noise(s, "momentum_backbone.") | {"classifier.bias": torch.ones(9)},
    "solo-learn, old": lambda s: under("encoder.", s) | noise(s, "momentum_encoder."),
    "lightly, numbered": lambda s: under("backbone.", numbered(s)) | noise(numbered(s), "backbone_momentum."),
    "lightly, DINO": lambda s: under("teacher_backbone.", numbered(s)) | noise(numbered(s), "student_backbone."),
    "lightly, exported": lambda s: s,
    "moco": lambda s: (
        under("module.encoder_q.", s | HEAD) | noise(s, "module.encoder_k.") | {"module.queue": torch.ones(1)}
    ),
    "timm": lambda s: s | {"fc.weight": torch.ones(1000, 512), "fc.bias": torch.ones(1000)},
    "timm, compiled": lambda s: under("_orig_mod.", s),
}


@pytest.mark.parametrize("case", CASES)
def test_a_resnet_computes_the_same(resnet, case):
    network, fitted, _ = imported(CASES[case](resnet.state_dict()), case.split(",")[0])
    assert (fitted.arch, fitted.dim) == ("resnet18", 512)
    assert same(network, resnet)


def in_mmcls_words(name):
    """The names of mmcls's VisionTransformer, written down from its modules."""
    words = {"patch_embed.proj.": "patch_embed.projection.", "norm.": "ln1.", "norm1.": "ln1.", "norm2.": "ln2."}
    words |= {"mlp.fc1.": "ffn.layers.0.0.", "mlp.fc2.": "ffn.layers.1.", "blocks.": "layers."}
    head, _, rest = name.partition(".")
    if head != "blocks":
        return next((theirs + name.removeprefix(ours) for ours, theirs in words.items() if name.startswith(ours)), name)
    layer, _, rest = rest.partition(".")
    return f"layers.{layer}." + next((b + rest.removeprefix(a) for a, b in words.items() if rest.startswith(a)), rest)


VIT_CASES = {
    "mmselfsup": lambda s: {f"backbone.{in_mmcls_words(name)}": tensor for name, tensor in s.items()},
    "moco": lambda s: (
        under("module.base_encoder.", s | {"head.0.weight": torch.ones(4096, 192)})
        | noise(s, "module.momentum_encoder.")
    ),
    "mae": lambda s: s | noise(s, "decoder_") | {"mask_token": torch.ones(1, 1, 128)},
    "timm": lambda s: s | {"head.weight": torch.ones(1000, 192)},
}


@pytest.mark.parametrize("origin", VIT_CASES)
def test_a_transformer_computes_the_same_at_its_own_size(transformer, origin):
    tensors = VIT_CASES[origin](transformer.state_dict())
    if origin == "mmselfsup":
        assert "backbone.layers.3.ffn.layers.0.0.weight" in tensors
        assert "backbone.ln1.weight" in tensors
    network, fitted, _ = imported(tensors, origin)
    assert (fitted.arch, fitted.input_size) == ("vit_tiny_patch16_224", 32)
    assert same(network, transformer)


class Attention(nn.Module):
    """FaceCycle's ``selfattention``: out = leaky(x + (phi(x) softmax_n(theta(x))^T) softmax_c(g(x)))."""

    def __init__(self, width):
        super().__init__()
        self.g, self.theta, self.phi = (nn.Conv2d(width, width, 1) for _ in range(3))

    def forward(self, x):
        g, theta, phi = (layer(x).flatten(2).numpy() for layer in (self.g, self.theta, self.phi))
        theta = np.exp(theta) / np.exp(theta).sum(2, keepdims=True)
        g = np.exp(g) / np.exp(g).sum(1, keepdims=True)
        mixed = np.einsum("bcd,bdm->bcm", np.einsum("bcn,bdn->bcd", phi, theta), g)
        return leaky(x + torch.from_numpy(mixed).view(x.shape))


class Block(nn.Module):
    """FaceCycle's ``BasicBlockNormal``."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(128, 128, 3, 1, 1), nn.Conv2d(128, 128, 3, 1, 1)

    def forward(self, x):
        return leaky(x + self.conv2(leaky(self.conv1(x))))


def leaky(x):
    return torch.where(x > 0, x, 0.1 * x)


class CodeGeneration(nn.Module):
    """FaceCycle's ``codegeneration`` at 64 px, by its layer table: (name, channels in, out, kernel, stride)."""

    LAYERS = (
        *(("conv1", 3, 64, 7, 2), ("conv1", 64, 64, 3, 1)),
        *(("layer1", 64, 64, 3, 1), ("layer1", 64), ("layer1", 64, 64, 3, 1)),
        *(("layer2_1", 64, 128, 3, 2), ("layer2_1", 128), ("layer2_1", 128, 128, 3, 1)),
        *(("resblock1",), ("resblock2",)),
        *(("layer2_2", 128, 128, 3, 2), ("layer2_2", 128, 128, 3, 1)),
        *(("layer3_1", 128, 256, 3, 2), ("layer3_1", 256, 256, 3, 1)),
        *(("layer3_2", 256, 256, 3, 1), ("layer3_2", 256, 128, 3, 1)),
    )

    def __init__(self):
        super().__init__()
        for name, *shape in self.LAYERS:
            if not shape:
                self.add_module(name, Block())
                continue
            if not hasattr(self, name):
                self.add_module(name, nn.Sequential())
            inside = getattr(self, name)
            if len(shape) == 1:
                inside.append(Attention(*shape))
            else:
                inputs, outputs, kernel, stride = shape
                inside.extend([nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.LeakyReLU(0.1)])
        self.expresscode = nn.Sequential(nn.Linear(2048, 512), nn.LeakyReLU(0.1), nn.Linear(512, 256))

    def forward(self, x):
        for name in dict.fromkeys(name for name, *_ in self.LAYERS):
            x = getattr(self, name)(x)
        return self.expresscode(x.flatten(1)).tanh()


def test_cycleface_computes_what_facecycle_does():
    from ferkit.encoders.backbones import build_backbone

    torch.manual_seed(0)
    theirs = CodeGeneration().eval()
    source = pick_origin("cycleface")
    state, dropped = take_encoder(theirs.state_dict(), source)
    fitted = fit_network(state, source, networks_to_try(state, source))
    ours = build_backbone(fitted.arch, fitted.input_size).eval()
    ours.load_state_dict(fitted.state)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-6)
    assert (fitted.dim, fitted.input_size, dropped, fitted.dropped) == (256, 64, {}, {})
    of_the_map = fit_network(state, source, networks_to_try(state, source, "cycleface-map"), 100)
    assert (of_the_map.dim, of_the_map.dropped) == (128 * 7 * 7, {"code": 4})


@pytest.mark.parametrize(
    ("extra", "origin", "arch", "what"),
    [
        ({"conv1.weight": torch.ones(64, 3, 3, 3)}, "timm", None, r"conv1\.weight.*\(64, 3, 7, 7\)"),  # for tiny images
        ({}, "timm", "resnet34", r"layer1\.2\.bn1\.bias"),
        ({"extra.weight": torch.ones(1)}, "timm", "resnet18", r"extra\.weight"),
        ({}, "ssl-fer", None, "bn1"),  # another origin's names
    ],
)
def test_what_does_not_fit_is_named(resnet, extra, origin, arch, what):
    with pytest.raises(WeightsError, match=what):
        imported(resnet.state_dict() | extra, origin, arch=arch)


def test_neither_another_size_nor_names_of_no_family_fit(transformer):
    with pytest.raises(WeightsError, match="pos_embed"):
        imported(transformer.state_dict(), "timm", arch="vit_tiny_patch16_224", input_size=64)
    with pytest.raises(WeightsError, match=r"stage1\.0\.weight"):
        networks_to_try({"stage1.0.weight": torch.ones(1)}, ORIGINS["timm"])
