import pytest

from ferkit.errors import InputError
from ferkit.ops.device import pick_device


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta:x", ""])
def test_device_that_is_not_there_is_one_sentence(name):
    with pytest.raises(InputError, match="try cpu"):
        pick_device(name)
