import pytest
import torch

from ferkit.encoders.encoder import Encoder, random_encoder
from ferkit.encoders.runtimes.parity import sample_crops


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """A small untrained encoder of gray 32 px images, which takes off a mean feature."""
    made = random_encoder("resnet10t", input_size=32)
    entry = made.entry.model_copy(update={"gray": True, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)})
    return Encoder(entry, made.backbone, center=torch.linspace(-0.1, 0.1, made.dim), sha256="ab" * 32)


@pytest.fixture(scope="session")
def onnx_model(encoder):
    """The encoder as ONNX."""
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'ferkit[onnx]'")
    from ferkit.encoders.export import onnx_of

    return onnx_of(encoder, 128)


@pytest.fixture(scope="session")
def crops():
    """(24, 128, 128, 3) uint8, half noise, half smooth."""
    return sample_crops(24, 128)
