import pytest

from ferkit.methods.parts.settings import PartsSettings
from ferkit.methods.parts.strategy import PairStrategy


@pytest.mark.parametrize(
    ("learnt_from", "supervision"),
    [("none", "unsupervised"), ("unknown", "unsupervised"), ("weak", "weak"), ("supervised", "weak")],
)
def test_labels_reach_the_method_through_its_descriptor(small_encoder, learnt_from, supervision):
    settings = PartsSettings(parts="mask-fn", descriptor=small_encoder(learnt_from))
    assert PairStrategy(settings).supervision == supervision


def test_a_descriptor_that_nobody_asks_is_not_loaded():
    assert PairStrategy(PartsSettings(parts="time-aug", descriptor="nobody")).supervision == "unsupervised"
