import pytest

from ferkit.encoders.encoder import random_encoder, save_encoder


@pytest.fixture(scope="session")
def small_encoder(tmp_path_factory):
    """Make the folder of a small encoder that has learnt from nothing, or so its card says."""

    def make(supervision="none"):
        folder = tmp_path_factory.mktemp("encoder")
        encoder = random_encoder("test_resnet", 32)
        card = encoder.entry.model_copy(update={"field": 32, "supervision": supervision})
        save_encoder(folder, encoder.backbone.state_dict(), card)
        return str(folder)

    return make
