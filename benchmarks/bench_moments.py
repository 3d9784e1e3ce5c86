"""Moments of planted expressions: how far off onset and offset are, and how many are found, beside a plain threshold.

    python benchmarks/bench_moments.py            tables, and benchmarks/results/moments.json
    python benchmarks/bench_moments.py --people training     people to choose settings on, in place of the test quarter

A video is made for each person of ``studio-smiles`` (``$FERKIT_DATA``): the neutral portrait turns into the smiling one
and back, twice, by cross-fades of 0.2 s, so that half of the way is known to the frame; between them stand pauses and
smiles of random lengths (0.4 to 1.6 s). All the time the picture moves, grows, and changes its brightness a little, and
the film is compressed. A clip of the GRID corpus, whose speaker talks and does not smile, follows each: whatever is
found there is wrong.

The plain threshold is what one would write first: every run of frames whose score is at least .5 (probabilities), or
half of the way between the least and the highest score of the clip (cosines).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from development_data import DATA, identity_of, photos
from numpy.typing import NDArray

import ferkit
from ferkit.data.face_selection import clips_of
from ferkit.search.moments import find_moments
from ferkit.search.searcher import Searcher

RESULT = Path(__file__).parent / "results" / "moments.json"
FPS, SIDE, FADE = 25, 256, 5
LEAST_IOU = 0.5

Span = tuple[float, float]
Pixels = NDArray[np.uint8]


def portrait(path: Path) -> Pixels:
    picture = cv2.imread(str(path))
    height, width = picture.shape[:2]
    side = min(height, width)
    square = picture[(height - side) // 2 :, (width - side) // 2 :][:side, :side]
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def planted(neutral: Pixels, smiling: Pixels, random: np.random.Generator) -> tuple[list[Pixels], list[Span]]:
    """Frames of a face that smiles twice, and from when to when it does, in seconds."""
    shares: list[float] = []
    spans = []
    fade = (np.arange(1, FADE + 1) / (FADE + 1)).tolist()
    for _ in range(2):
        shares += [0.0] * int(random.integers(10, 40)) + fade
        onset = len(shares) - FADE / 2 - 0.5
        shares += [1.0] * int(random.integers(10, 40)) + fade[::-1]
        spans.append((onset / FPS, (len(shares) - FADE / 2 - 0.5) / FPS))
    shares += [0.0] * int(random.integers(10, 40))
    return [moved(neutral, smiling, share, number, random) for number, share in enumerate(shares)], spans


def moved(neutral: Pixels, smiling: Pixels, share: float, number: int, random: np.random.Generator) -> Pixels:
    mixed = (1 - share) * neutral.astype(np.float32) + share * smiling
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 3 * np.sin(number / 23), 1 + 0.06 * np.sin(number / 31))
    matrix[:, 2] += 5 * np.sin(number / np.array([17, 29]))
    mixed = cv2.warpAffine(mixed, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
    noise = random.normal(0, 3, mixed.shape)
    return np.clip(mixed * (1 + 0.08 * np.sin(number / 37)) + noise, 0, 255).astype(np.uint8)


def write_videos(folder: Path, people: Sequence[str], neutral: Sequence[Path], smiling: Sequence[Path]) -> dict:
    truth = {}
    talkers = sorted((DATA / "video" / "grid").glob("*.mpg"))
    for number, person in enumerate(people):
        random = np.random.default_rng(number)
        frames, spans = planted(portrait(neutral[number]), portrait(smiling[number]), random)
        path = folder / f"{person}.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, (SIDE, SIDE))
        for frame in frames:
            writer.write(frame)
        capture = cv2.VideoCapture(str(talkers[number % len(talkers)]))
        for _ in range(50):
            good, frame = capture.read()
            if good:
                writer.write(cv2.resize(frame[:, 72:-72], (SIDE, SIDE)))
        writer.release()
        truth[str(path)] = spans
    return truth


def threshold_spans(times: NDArray, scores: NDArray, measure: str) -> list[Span]:
    limit = 0.5 if measure == "probability" else (scores.min() + scores.max()) / 2
    edges = np.flatnonzero(np.diff(np.pad((scores >= limit).astype(int), 1)))
    return [(times[first], times[end - 1]) for first, end in zip(edges[::2], edges[1::2], strict=True)]


def overlap(a: Span, b: Span) -> float:
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / max(a[1] - a[0] + b[1] - b[0] - shared, 1e-9)


def judged(found: dict[str, list[Span]], truth: dict[str, list[Span]]) -> dict[str, float]:
    """Match by falling overlap; errors in frames over what is matched."""
    hits, onsets, offsets = 0, [], []
    for path, spans in truth.items():
        pairs = sorted(((overlap(a, b), a, b) for a in found.get(path, []) for b in spans), reverse=True)
        used: set[Span] = set()
        for share, a, b in pairs:
            if share >= LEAST_IOU and not {a, b} & used:
                used |= {a, b}
                hits += 1
                onsets.append(abs(a[0] - b[0]) * FPS)
                offsets.append(abs(a[1] - b[1]) * FPS)
    wanted, given = sum(map(len, truth.values())), sum(map(len, found.values()))
    figures = {"found": given, "planted": wanted, "precision": hits / max(given, 1), "recall": hits / wanted}
    for name, errors in (("onset", onsets), ("offset", offsets)):
        figures |= {f"{name} error, median": float(np.median(errors)) if errors else float("nan")}
        figures |= {f"{name} error, 90 %": float(np.quantile(errors, 0.9)) if errors else float("nan")}
    return {name: round(value, 3) for name, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", choices=["test", "training"], default="test")
    parser.add_argument("--encoder", "-e")
    parser.add_argument("--most", type=int, default=12, help="people")
    asked = parser.parse_args()
    shots = photos("studio-smiles", test=asked.people == "test")
    neutral = [path for path in shots if path.parent.name == "neutral"][: asked.most]
    smiling = [path for path in shots if path.parent.name == "smiling"][: asked.most]
    people = [identity_of(path) for path in neutral]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth = write_videos(folder, people, neutral, smiling)
        chosen = {"encoder": asked.encoder} if asked.encoder else {}
        ferkit.embed(list(truth), folder / "emb.npy", min_face=60, faces="largest", **chosen)
        searcher = Searcher(folder / "emb.npy")
        # Each person's picture asks in the next one's video, so that nobody is asked with the own face.
        result = {}
        queries = {"a smile of somebody else": smiling[1:] + smiling[:1]}
        if searcher.encoder.head is not None:
            queries["happiness"] = ["happiness"] * len(people)
        for about, likes in queries.items():
            moments: dict[str, list[Span]] = {}
            plain: dict[str, list[Span]] = {}
            for path, like in zip(truth, likes, strict=True):
                times, scores, measure = scores_of(searcher, path, like)
                least = 0.5 if measure == "probability" else 0.0
                for clip, when in times.items():
                    kept = find_moments(when, scores[clip], least=least)
                    moments.setdefault(path, []).extend((each.onset_s, each.offset_s) for each in kept)
                    plain.setdefault(path, []).extend(threshold_spans(when, scores[clip], measure))
            result[about] = {"ferkit moments": judged(moments, truth), "plain threshold": judged(plain, truth)}
    result["people"] = f"{len(people)} of the {asked.people} people"
    print(json.dumps(result, indent=1))
    if asked.people == "test":
        RESULT.write_text(json.dumps(result, indent=1) + "\n")


def scores_of(searcher: Searcher, path: str, like: str | Path) -> tuple[dict, dict, str]:
    """Times and scores of the clips of one video."""
    from ferkit.pipeline.face_options import FaceOptions
    from ferkit.pipeline.likeness import faces_like
    from ferkit.progress import Silent

    liked = faces_like(searcher, like, None, FaceOptions(min_face=60), None, Silent())
    clips = [clip for clip in clips_of(searcher.set.table) if clip.name.rpartition("@")[0] == path]
    times = {clip.name: clip.times for clip in clips}
    return times, {clip.name: liked.scores[clip.rows] for clip in clips}, liked.measure


if __name__ == "__main__":
    main()
