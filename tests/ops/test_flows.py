import pytest
import torch

from ferkit.ops.flows import back_flow, flow_colours, warp_by_flow


def ramp(size, slope_x=1.0, slope_y=0.0):
    """(1, 2, size, size): a linear function of the place, in coordinates from -1 to 1."""
    centers = (torch.arange(size) * 2 + 1) / size - 1
    x, y = centers.expand(size, size), centers[:, None].expand(size, size)
    return torch.stack([slope_x * x, slope_y * y])[None]


def test_a_pixel_shows_what_lies_at_the_end_of_its_flow():
    """A flow of two pixels to the right and one down, given at 1 x 1 as everywhere the same."""
    image = torch.arange(64.0).view(1, 1, 8, 8)
    moved = warp_by_flow(image, torch.tensor([2 * 2 / 8, 2 * 1 / 8]).view(1, 2, 1, 1))
    torch.testing.assert_close(moved[0, 0, :7, :6], image[0, 0, 1:, 2:])


def test_the_way_back_of_an_even_flow_undoes_it():
    image = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    flow = torch.full((1, 2, 4, 4), 2 * 2 / 12)
    back = warp_by_flow(warp_by_flow(image, flow), back_flow(flow))
    torch.testing.assert_close(back[..., 2:-2, 2:-2], image[..., 2:-2, 2:-2])


def test_the_way_back_is_the_flow_at_the_end_of_the_flow_turned_round():
    """For f(p) = a p it is -a (1 + a) p; a below zero keeps all ends of the flow inside."""
    torch.testing.assert_close(back_flow(ramp(16, -0.25, -0.5)), ramp(16, 0.25 * 0.75, 0.5 * 0.5))


@pytest.mark.parametrize(
    ("displacement", "colour"),
    [((0.2, 0.0), (1, 0, 0)), ((-0.2, 0.0), (0, 1, 1)), ((0.0, 0.0), (1, 1, 1)), ((0.1, 0.0), (1, 0.5, 0.5))],
)
def test_colours_tell_direction_and_distance(displacement, colour):
    flow = torch.tensor(displacement).view(1, 2, 1, 1)
    torch.testing.assert_close(flow_colours(flow, 0.2).flatten(), torch.tensor(colour).float(), atol=1e-6, rtol=0)
