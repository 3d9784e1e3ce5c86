from typing import get_type_hints

import pytest

import ferkit
from ferkit.pipeline.face_options import FaceKeywords, FaceOptions
from ferkit.pretraining.settings import PretrainKeywords, PretrainSettings
from ferkit.probing.settings import ProbeKeywords, ProbeOutputs, ProbeSettings
from ferkit.search.moment_settings import MomentKeywords, MomentSettings


def test_a_name_that_no_verb_knows_gets_the_nearest_options(tmp_path):
    with pytest.raises(TypeError, match=r"'min_fce'.*min_face"):
        ferkit.align(tmp_path, tmp_path / "faces", min_fce=40)


@pytest.mark.parametrize(
    ("keywords", "settings"),
    [
        (FaceKeywords, [FaceOptions]),
        (ProbeKeywords, [ProbeSettings, ProbeOutputs, FaceOptions]),
        (PretrainKeywords, [PretrainSettings, FaceOptions]),
        (MomentKeywords, [MomentSettings]),
    ],
)
def test_keyword_arguments_that_mypy_knows_are_the_settings(keywords, settings):
    known = {name: kind for each in settings for name, kind in get_type_hints(each).items()}
    assert get_type_hints(keywords) == known
