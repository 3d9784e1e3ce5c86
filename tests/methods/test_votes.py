import torch

from ferkit.methods.anchors import anchor_points
from ferkit.methods.votes import Votes, VotesSettings
from ferkit.ops.face_swap import inner_face_mask
from samples import Means, seeded


def build(**settings):
    torch.manual_seed(0)
    return Votes(Means(), 3, VotesSettings(views={"size": 32}, **settings).for_labels(["joy", "anger", None]))


def batch_of(votes, crops=None):
    votes = torch.tensor(votes)
    shades = torch.linspace(40, 200, len(votes)).byte() if crops is None else crops
    crops = shades[:, None, None, None].expand(-1, 128, 128, 3).contiguous()
    return {"crops": crops, "label": votes.argmax(1), "votes": votes}


def test_targets_are_the_votes_smoothed():
    method = build(mix=0, smoothing=0.1)
    views = method.views(batch_of([[0.8, 0.2], [0.0, 0.6], [0.0, 0.0]]), seeded())
    wanted = torch.tensor([[0.77, 0.23], [0.03, 0.57], [0.0, 0.0]])
    torch.testing.assert_close(views.target, wanted.repeat(2, 1))


def test_mixed_views_show_both_faces_by_the_share_that_they_have():
    """Without any change but the mixture, the inner face of a view of two even shades tells the votes."""
    plain = dict.fromkeys(("rotation", "flip", "jitter", "gray", "blur"), 0) | {"scale": [1, 1], "aspect": [1, 1]}
    method = Votes(Means(), 3, VotesSettings(views={"size": 32, **plain}, classes=("a", "b"), mix=1, smoothing=0))
    votes = [[1.0, 0.0], [0.0, 1.0]] * 128
    views = method.views(batch_of(votes, torch.tensor([0, 255] * 128, dtype=torch.uint8)), seeded())
    inner = inner_face_mask(anchor_points(), 32, margin=0.1, feather=0.1)
    white = ((views.a[:, 0] * 0.229 + 0.485) * inner).sum((1, 2)) / inner.sum()
    torch.testing.assert_close(views.target[:256, 1], white, atol=1e-3, rtol=0)
    torch.testing.assert_close(views.target.sum(1), torch.ones(512))
    assert 0.1 < (white - torch.tensor(votes)[:, 1]).abs().mean() < 0.5


def test_vectors_weigh_what_tells_classes_apart():
    features = torch.tensor([[0.0, 1, 0], [2.0, 1, 0], [0.0, 3, 1], [2.0, 3, -1]])
    votes = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    assert build(emphasis=1).projection(features, {"votes": votes}) is None
    stretch = build(emphasis=3).projection(features, {"votes": votes})
    along = torch.tensor([2.0, 0, -1]) / 5**0.5  # the means are (0, 2, .5) and (2, 2, -.5)
    torch.testing.assert_close(stretch, torch.eye(3) + 2 * torch.outer(along, along))
