import pytest
import torch

from ferkit.encoders.backbones import (
    UnknownBackboneError,
    build_backbone,
    feature_dim,
    outline_backbone,
    require_room_for_weights,
)
from ferkit.errors import WeightsError


@pytest.mark.parametrize(
    ("arch", "dim"),
    [
        *(("resnet18", 512), ("mobilenetv3_small_050", 1024), ("convnext_atto", 320)),
        *(("cycleface", 256), ("cycleface-map", 128 * 4 * 4), ("resnet18-half", 256)),
        ("resnet18-quarters", 4 * (128 + 256)),
    ],
)
def test_features_are_pooled_and_of_the_stated_length(arch, dim):
    backbone = build_backbone(arch).eval()
    with torch.inference_mode():
        features = backbone(torch.zeros(2, 3, 64, 64))
    assert features.shape == (2, dim)
    assert feature_dim(backbone) == dim


def test_quarters_are_the_means_of_two_stages_over_each_quarter():
    quarters, usual = (build_backbone(arch).eval() for arch in ("resnet18-quarters", "resnet18"))
    rest = quarters.load_state_dict(usual.state_dict(), strict=False)
    assert (rest.missing_keys, {name.split(".")[0] for name in rest.unexpected_keys}) == ([], {"layer4"})
    seen = []
    for stage in (usual.layer2, usual.layer3):
        stage.register_forward_hook(lambda stage, images, maps: seen.append(maps))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features, _ = quarters(images), usual(images)
    halves = [maps.unflatten(3, (2, -1)).unflatten(2, (2, -1)).mean((3, 5)) for maps in seen]  # (2, C, rows, columns)
    expected = torch.cat([half.flatten(1) for half in halves], 1)
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("arch", ["", "hf-hub:owner/repo", "local-dir:/tmp", "resnet18.a1_in1k", "resnet18.nothing"])
def test_names_that_point_at_weights_are_refused(arch):
    with pytest.raises(UnknownBackboneError):
        build_backbone(arch)


def test_a_giant_network_is_refused_before_memory_is_taken_for_it(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"x" * 100_000)
    with pytest.raises(WeightsError, match=r"does not fit 'vit_giant_patch14_clip_224'"):
        require_room_for_weights("vit_giant_patch14_clip_224", 224, tmp_path / "x.safetensors")
    with (tmp_path / "y.safetensors").open("wb") as file:
        file.truncate(30_000_000)
    require_room_for_weights("resnet18", 112, tmp_path / "y.safetensors")
    assert all(weight.is_meta for weight in outline_backbone("resnet18").parameters())
