import pytest

from ferkit.encoders.licences import list_licences
from ferkit.encoders.registry import load_registry


@pytest.fixture(scope="module")
def lines():
    return list_licences()


def test_the_packages_below_are_listed(lines):
    listed = {line.part for line in lines if line.what == "code"}
    assert {"torch", "timm", "facenet-pytorch", "opencv-python", "faiss-cpu", "scikit-learn"} <= listed
    assert not {"pytest", "lightly"} & listed  # of the developers only


def test_nothing_is_without_a_licence(lines):
    assert [line.part for line in lines if "not stated;" in line.licence] == []


def test_every_encoder_has_three(lines):
    for entry in load_registry().values():
        said = [(line.what, line.licence) for line in lines if line.part == entry.name]
        assert said == list(dict(entry.licences).items())
