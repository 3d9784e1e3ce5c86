"""Which faces of my photos show the same expression as this one?

    python examples/retrieve_same_expression.py photos/ query.jpg --montage found.png

Detects, aligns and embeds every face under PHOTOS once (into emb.npy), then ranks them against the face of QUERY.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ferkit


def main() -> None:
    """Embed, retrieve, print."""
    options = read_options()
    if options.again or not options.set.exists():
        made = ferkit.embed([options.photos], options.set)
        print(f"{made.faces} faces embedded into {options.set}")
    found = ferkit.retrieve(
        options.query, options.set, k=options.k, exclude_identity=options.exclude_identity, montage=options.montage
    )
    for hit in found.hits:
        print(f"{hit.rank:3}  {hit.score:.3f}  {hit.source}  face {hit.face}  {hit.label or ''}")


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Find faces with the same expression.")
    parser.add_argument("photos", type=Path, help="a photo, or a folder of them")
    parser.add_argument("query", type=Path, help="a photo whose face shows the wanted expression")
    parser.add_argument("-k", type=int, default=10, help="how many faces to return")
    parser.add_argument("--set", type=Path, default=Path("emb.npy"), help="where the embeddings are kept")
    parser.add_argument("--again", action="store_true", help="embed again although the set exists")
    parser.add_argument("--exclude-identity", help="a person to leave out, such as that of the query")
    parser.add_argument("--montage", type=Path, help="PNG to draw the answer into")
    return parser.parse_args()


if __name__ == "__main__":
    main()
