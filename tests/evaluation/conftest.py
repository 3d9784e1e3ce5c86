import numpy as np
import pytest

EXPRESSIONS = ("anger", "happiness", "neutral")


@pytest.fixture
def planted():
    """Make faces of `people` persons, `shots` of each of three expressions; vectors hold as much of either as asked."""

    def make(people=12, shots=2, *, expression=0.0, identity=0.0, noise=0.0, dim=32, seed=0):
        random = np.random.default_rng(seed)
        faces, looks = random.normal(size=(people, dim)), random.normal(size=(3, dim))
        who = np.repeat(np.arange(people), 3 * shots)
        what = np.tile(np.repeat(np.arange(3), shots), people)
        vectors = identity * faces[who] + expression * looks[what] + noise * random.normal(size=(len(who), dim))
        return vectors, [EXPRESSIONS[number] for number in what], [f"person {number}" for number in who]

    return make
