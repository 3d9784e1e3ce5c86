import pytest

from samples import save_run


@pytest.fixture(scope="session")
def small_encoder(tmp_path_factory):
    """Make the folder of a small encoder that has learnt from nothing, or so its card says."""
    return lambda supervision="none": str(
        save_run(tmp_path_factory.mktemp("encoder"), field=32, supervision=supervision)
    )
