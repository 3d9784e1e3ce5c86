import pytest
import torch

from ferkit.methods.pcl import Pcl, PclSettings
from ferkit.methods.views import Views
from ferkit.ops.losses import nt_xent_loss, orthogonality_loss
from ferkit.ops.warp_losses import own_warps_info_nce_loss
from samples import Means, at, seeded

STILL = {"scale": (1, 1), "aspect": (1, 1), "rotation": 0, "flip": 0, "jitter": 0, "gray": 0, "blur": 0}


def build(**settings):
    torch.manual_seed(0)
    return Pcl(Means(side=2), 12, PclSettings(projection=4, views={"size": 16, **STILL}, **settings)).eval()


def views():
    a, b, c = torch.randn(3, 5, 3, 16, 16, generator=seeded())
    return Views(a, b, c[None])


@pytest.mark.parametrize(("angle_deg", "expected"), [(0, 1.0), (60, 0.25), (90, 0.0), (135, 0.5), (180, 1.0)])
def test_orthogonality_by_hand(angle_deg, expected):
    """The squared cosine; neither norms nor signs matter."""
    assert orthogonality_loss(3 * at(0), 0.1 * at(angle_deg)).item() == pytest.approx(expected, abs=1e-6)


def test_views_are_upright_and_the_third_is_the_mirror_image():
    crops = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8, generator=seeded())
    drawn = build().views({"crops": crops}, seeded())
    assert torch.equal(drawn.a, drawn.b)
    torch.testing.assert_close(drawn.warped[0], drawn.a.flip(3), atol=1e-2, rtol=0)
    assert not torch.allclose(drawn.warped[0], drawn.a, atol=0.1)


def test_the_terms_are_these_of_the_two_codes():
    method = build(pose=0.5, orthogonal=2.0)
    shown = views()
    features = method.backbone(torch.cat([shown.a, shown.b, shown.warped[0]]))
    face, pose = method.face(features), method.pose(features)
    a, b, m = method.face_projector(face).chunk(3)
    alike = (nt_xent_loss(a, b, 0.2) + nt_xent_loss(a, m, 0.2) + nt_xent_loss(b, m, 0.2)) / 3
    a, b, m = method.pose_projector(pose).chunk(3)
    turned = (own_warps_info_nce_loss(a, b, m[None], 0.2) + own_warps_info_nce_loss(b, a, m[None], 0.2)) / 2
    expected = alike + 0.5 * turned + 2 * orthogonality_loss(face, pose)
    torch.testing.assert_close(method(shown)["loss"], expected)


def test_vectors_of_the_encoder_are_the_face_code():
    method, features = build(), torch.randn(6, 12)
    torch.testing.assert_close(features @ method.projection(features, {}), method.face(features))
