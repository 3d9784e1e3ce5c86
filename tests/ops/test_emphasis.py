import pytest
import torch

from ferkit.ops.emphasis import class_emphasis
from samples import vectors


def test_only_the_space_of_class_means_is_stretched():
    """Means at (0, 0, 2) and (3, 4, 2), whatever lies within the classes: (3, 4, 0) / 5 grows, the rest stays."""
    features = torch.tensor([[1.0, 0, 3], [-1, 0, 1], [3, 5, 2], [3, 3, 2]])
    stretch = class_emphasis(features, torch.eye(2).repeat_interleave(2, 0), 3.0)
    along, across = torch.tensor([0.6, 0.8, 0]), torch.tensor([-0.8, 0.6, 0])
    torch.testing.assert_close(stretch @ along, 3 * along)
    torch.testing.assert_close(stretch @ across, across)
    torch.testing.assert_close(stretch @ torch.tensor([0, 0, 1.0]), torch.tensor([0, 0, 1.0]))


@pytest.mark.parametrize("classes", [2, 5, 8])
def test_there_are_as_many_stretched_directions_as_differences(classes):
    features = vectors(200, 16)
    shares = torch.eye(10)[torch.arange(200) % classes]  # the other classes nobody shows
    values = torch.linalg.eigvalsh(class_emphasis(features, shares, 4.0))
    torch.testing.assert_close(values, torch.tensor([1.0] * (17 - classes) + [4.0] * (classes - 1)))
