import pytest
import torch

from ferkit.errors import WeightsError
from ferkit.faces import networks
from ferkit.faces.networks import output_network, proposal_network, refine_network
from ferkit.faces.openvino_networks import OpenVinoNetwork


def pixels(*shape):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).float()


def theirs(name, image):
    """Face probability and the other heads, side by side, of facenet-pytorch's own network."""
    from facenet_pytorch.models import mtcnn

    with torch.inference_mode():
        *others, probability = getattr(mtcnn, name)()((image - 127.5) * 0.0078125)
    return probability[:, 1], torch.cat(others, dim=1)


@pytest.mark.parametrize(
    ("name", "build", "shape"),
    [
        ("PNet", proposal_network, (2, 3, 48, 60)),
        ("PNet", proposal_network, (1, 3, 12, 12)),
        ("RNet", refine_network, (5, 3, 24, 24)),
        ("ONet", output_network, (5, 3, 48, 48)),
    ],
)
def test_the_folded_network_is_the_shipped_one(name, build, shape):
    image = pixels(*shape)
    with torch.inference_mode():
        heads = build()(image)
    probability, others = theirs(name, image)
    torch.testing.assert_close(heads[:, 0].sigmoid(), probability, atol=1e-5, rtol=0)
    torch.testing.assert_close(heads[:, 1:], others, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("build", "shapes"),
    [
        (proposal_network, [(1, 46, 118, 3), (2, 46, 118, 3), (1, 12, 12, 3)]),
        (refine_network, [(5, 24, 24, 3), (0, 24, 24, 3)]),
        (output_network, [(5, 48, 48, 3), (0, 48, 48, 3), (1, 48, 48, 3)]),
    ],
)
def test_openvino_computes_the_same(build, shapes):
    pytest.importorskip("openvino")
    network = build()
    compiled = OpenVinoNetwork(network, threads=2)
    for shape in shapes:
        image = pixels(*shape)
        with torch.inference_mode():
            heads = network(image.permute(0, 3, 1, 2))
        torch.testing.assert_close(compiled(image.to(torch.uint8)), heads, atol=1e-4, rtol=1e-4)


def test_where_bfloat16_is_forbidden_float32_computes(monkeypatch):
    """With ONEDNN_MAX_CPU_ISA=AVX2 OpenVINO still lists BF16, and has no kernel for it."""
    openvino = pytest.importorskip("openvino")
    compile_model = openvino.Core.compile_model

    def without_bfloat16(core, model, device, settings):
        if settings["INFERENCE_PRECISION_HINT"] == "bf16":
            raise RuntimeError("Supported primitive descriptors list is empty for node: MaxPool_11")
        return compile_model(core, model, device, settings)

    monkeypatch.setattr(openvino.Core, "compile_model", without_bfloat16)
    image, network = pixels(1, 12, 12, 3), proposal_network()
    with torch.inference_mode():
        heads = network(image.permute(0, 3, 1, 2))
    found = OpenVinoNetwork(network, threads=1, half=True)(image.to(torch.uint8))
    torch.testing.assert_close(found, heads, atol=1e-4, rtol=1e-4)


def test_damaged_weights_are_named(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pnet.pt").write_bytes(b"not weights")
    package = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(networks, "find_spec", lambda name: package)
    with pytest.raises(WeightsError, match=r"pnet\.pt'"):
        proposal_network()
