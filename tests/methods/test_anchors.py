import torch

from ferkit.faces.template import TEMPLATE
from ferkit.methods.anchors import ANCHORS, MIRRORED, ON_THE_RIGHT, anchor_points, carry_anchors


def pixels(points):
    return (points + 1) * 64 - 0.5


def test_mirror_pairs_are_reflections():
    points = anchor_points()
    torch.testing.assert_close(points[list(MIRRORED)], points * torch.tensor([-1.0, 1.0]))
    assert [name.replace("left", "right") for name in list(ANCHORS)[:5]] == list(ANCHORS)[5:10]
    assert [name for name, right in zip(ANCHORS, ON_THE_RIGHT, strict=True) if right] == list(ANCHORS)[5:10]


def test_the_template_s_own_landmarks_leave_the_anchors_where_they_are():
    carried = carry_anchors(torch.tensor(TEMPLATE)[None])
    torch.testing.assert_close(carried[0], anchor_points(), atol=1e-5, rtol=0)


def test_anchors_follow_an_affine_change_of_the_face():
    matrix, offset = torch.tensor([[0.9, 0.05], [-0.1, 0.95]]), torch.tensor([4.0, 6.0])
    landmarks = torch.tensor(TEMPLATE) @ matrix + offset
    expected = pixels(anchor_points()) @ matrix + offset
    torch.testing.assert_close(pixels(carry_anchors(landmarks[None]))[0], expected, atol=1e-3, rtol=0)
