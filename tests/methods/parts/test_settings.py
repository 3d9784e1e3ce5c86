import pytest
from pydantic import ValidationError

from ferkit.methods import METHODS, PRESETS, Preset, find_method, find_preset
from ferkit.methods.parts.settings import PartsSettings, needs_of

MOMENTS = ("moment", "positive_moment", "hard_negative_moment", "hard_positive_moment")


def parts(given):
    return PartsSettings(parts=given).parts


def test_parts_may_be_typed_in_any_order_and_stand_in_one():
    assert parts("mask-fn, time-aug,hard-neg") == parts(["hard-neg", "mask-fn", "time-aug"])
    assert parts("mask-fn,time-aug") == ("time-aug", "mask-fn")
    assert parts("") == parts(()) == ()
    assert parts("time-aug,time-aug") == ("time-aug",)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("time-agu", "'time-agu'; did you mean time-aug"),
        ("?", "time-aug, hard-neg, face-swap, mask-fn, cutmix"),
        ("hard-neg,mask-fn", "hard-neg needs time-aug"),
        ("time-aug,cutmix,mask-fn", "cutmix and mask-fn"),
    ],
)
def test_parts_that_make_no_sense(given, says):
    with pytest.raises(ValidationError, match=says):
        parts(given)


def test_presets_are_the_rows_of_the_paper():
    """AffectNet table of the poster: T(imeAug), H(ardNeg), F(aceSwap), M(askFN), C(utMix)."""
    initials = {"time-aug": "T", "hard-neg": "H", "face-swap": "F", "mask-fn": "M", "cutmix": "C"}
    rows = {
        name: "".join(initials[part] for part in find_method(method).settings_type(**settings).parts)
        for name, (method, settings, _) in PRESETS.items()
        if method == "ssl-fer"
    }
    assert rows == {
        "ssl-fer-a": "T",
        "ssl-fer-b": "TH",
        "ssl-fer-c": "THC",
        "ssl-fer-d": "TFM",
        "ssl-fer-e": "THF",
        "ssl-fer-f": "THM",
        "ssl-fer-g": "THFM",
    }
    assert find_preset("ssl-fer-b") == PRESETS["ssl-fer-b"]
    assert find_preset("simclr") == Preset("simclr")
    assert not PRESETS.keys() & METHODS.keys()


HARD = {"hard_negative", "hard_positive", "hard_negative_landmarks", *MOMENTS}


@pytest.mark.parametrize(
    ("given", "needs"),
    [
        ("", set()),
        ("time-aug", {"positive", "moment", "positive_moment"}),
        ("face-swap", {"clip"}),
        ("time-aug,hard-neg", {"positive", *HARD}),
        ("time-aug,hard-neg,mask-fn", {"clip", "positive", "hard_negative_clip", *HARD}),
    ],
)
def test_only_what_the_parts_use_is_read(given, needs):
    assert needs_of(PartsSettings(parts=given), "landmarks") == needs | {"landmarks"}
