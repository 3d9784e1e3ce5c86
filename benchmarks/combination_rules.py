"""Which rule combines examples and counter-examples better: ``mean`` or ``best`` of `ferkit.search.queries`.

    python benchmarks/combination_rules.py people.npy          as made for fit_expression_head.py

Three faces of a class are asked with, each of another person; counter-examples are three faces of another class.
Precision at 10 and average precision among all other people, 100 draws for each pair of classes with at least 20
people, classes weighted alike; people of training decide, those of the test quarter are the check.
"""

from __future__ import annotations

import argparse
from itertools import permutations

import numpy as np
from development_data import is_test_person

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.search.queries import Query
from ferkit.search.retrieve_settings import RULES

DRAWS, EXAMPLES, PEOPLE = 100, 3, 20


def measure(vectors: np.ndarray, labels: np.ndarray, people: np.ndarray, rule: str, counter: bool) -> np.ndarray:
    classes = [name for name in np.unique(labels) if len(np.unique(people[labels == name])) >= PEOPLE]
    random, found = np.random.default_rng(0), []
    for wanted, other in permutations(classes, 2):
        for _ in range(DRAWS):
            like, unlike = (draw(np.flatnonzero(labels == name), people, random) for name in (wanted, other))
            query = Query(vectors[like], vectors[unlike] if counter else vectors[:0], rule)
            asked = ~np.isin(people, people[np.concatenate([like, unlike])])
            scores = np.round(query.scores(vectors[asked]), 6)
            right = (labels[asked] == wanted)[np.argsort(-scores, kind="stable")]
            precision = right.cumsum() / np.arange(1, len(right) + 1)
            found.append((right[:10].mean(), precision[right].mean()))
    return np.mean(found, axis=0)


def draw(rows: np.ndarray, people: np.ndarray, random: np.random.Generator) -> np.ndarray:
    chosen = random.permutation(rows)
    _, first = np.unique(people[chosen], return_index=True)
    return chosen[random.choice(first, EXAMPLES, replace=False)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", nargs="+", help="embedding sets of the photos of people")
    for path in parser.parse_args().people:
        faces = EmbeddingSet.open(path)
        labels, people = (np.array(faces.column(name).to_pylist(), object) for name in ("label", "identity"))
        test = np.array([is_test_person(who) for who in people])
        for part, rows in (("training people", ~test), ("test people", test)):
            kept = rows & ~np.isin(labels, ["smiling", "fear"])
            given = np.asarray(faces.vectors)[kept], labels[kept].astype(str), people[kept].astype(str)
            for counter in (False, True):
                for rule in RULES:
                    precision, average = measure(*given, rule, counter)
                    print(f"{path} {part}, {'with' if counter else 'no'} counter-examples, {rule}: ", end="")
                    print(f"precision at 10 {precision:.3f}, average precision {average:.3f}")


if __name__ == "__main__":
    main()
