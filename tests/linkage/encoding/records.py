"""Invented records and profiles for the tests of the encoding."""

import random
from collections.abc import Callable, Sequence
from itertools import count

from linkage.encoding import EncodedFile, encode_records
from linkage.encoding.encode import Engine
from linkage.profile import Profile
from linkage.types import KeyedHashName, RecordBatch

ROUND_KEY = bytes(range(32))

Record = dict[str, str | None]

EVERY_KIND = """
format = "tongqiao-profile-v1"
name = "every-kind"
cleaning = "cn-1"
diffusion = 3

[fields]
name = "chinese-name"
latin = "latin-name"
born = "date"
number = "resident-id"
code = "identifier"
phone = "phone"
place = "division"
sex = "sex"
note = "text"

[groups.name]
filter_bits = 192
tokens = [
  { field = "name", kind = "character", hashes = 4, frequent = 2 },
  { field = "name", kind = "character-position", hashes = 3 },
  { field = "name", kind = "pinyin", hashes = 7 },
  { field = "name", kind = "given-pinyin", hashes = 1 },
  { field = "name", kind = "pinyin-position", hashes = 10, frequent = 4 },
  { field = "name", kind = "pinyin-folded", hashes = 5, frequent = 1 },
  { field = "name", kind = "shape-top", hashes = 2 },
  { field = "name", kind = "shape-bottom", hashes = 1 },
  { field = "name", kind = "shape-left", hashes = 3 },
  { field = "name", kind = "shape-right", hashes = 2 },
  { field = "name", kind = "bigram", hashes = 2 },
  { field = "name", kind = "whole", hashes = 2 },
]

[groups.rest]
filter_bits = 64
tokens = [
  { field = "born", kind = "year", hashes = 3 },
  { field = "born", kind = "month", hashes = 2 },
  { field = "born", kind = "day", hashes = 2 },
  { field = "born", kind = "digit-position", hashes = 1 },
  { field = "sex", kind = "whole", hashes = 11 },
]

[groups.more]
filter_bits = 256
tokens = [
  { field = "latin", kind = "bigram", hashes = 9 },
  { field = "note", kind = "bigram", hashes = 8 },
  { field = "code", kind = "bigram", hashes = 1 },
  { field = "code", kind = "bigram-position", hashes = 2 },
  { field = "code", kind = "digit-position", hashes = 3 },
  { field = "phone", kind = "bigram-position", hashes = 8 },
  { field = "phone", kind = "digit-position", hashes = 1 },
  { field = "number", kind = "digit-position", hashes = 1 },
  { field = "number", kind = "bigram-position", hashes = 1 },
  { field = "place", kind = "prefix-2", hashes = 4 },
  { field = "place", kind = "prefix-4", hashes = 4 },
  { field = "place", kind = "prefix-6", hashes = 4 },
]

[[views]]
name = "number"
salt = [{ field = "number", kind = "whole" }]
groups = ["name", "rest", "more"]

[[views]]
name = "names"
salt = [
  { field = "name", kind = "pinyin" },
  { field = "born", kind = "month" },
  { field = "place", kind = "prefix-4" },
]
groups = ["rest", "more"]

[[views]]
name = "given"
salt = [{ field = "name", kind = "given-pinyin" }]
tagged = false
groups = ["name"]

[[views]]
name = "open"
salt = []
groups = ["name", "more"]

[[views]]
name = "tag-only"
salt = [{ field = "phone", kind = "whole" }]
groups = []
"""

HASHED_AS = (
    EVERY_KIND.replace('name = "every-kind"', 'name = "hashed-as"')
    .replace(
        '{ field = "latin", kind = "bigram", hashes = 9 }',
        '{ field = "latin", kind = "bigram", hashes = 9, as = "words" }',
    )
    .replace(
        '{ field = "note", kind = "bigram", hashes = 8 }',
        '{ field = "note", kind = "bigram", hashes = 8, as = "words" }',
    )
    .replace(
        '{ field = "code", kind = "digit-position", hashes = 3 }',
        '{ field = "code", kind = "digit-position", hashes = 3, as = "digits" }',
    )
    .replace(
        '{ field = "number", kind = "digit-position", hashes = 1 }',
        '{ field = "number", kind = "digit-position", hashes = 1, as = "digits" }',
    )
    .replace(
        '{ field = "name", kind = "character", hashes = 4, frequent = 2 }',
        '{ field = "name", kind = "character", hashes = 4, frequent = 2, as = "sign" }',
    )
    .replace(
        '{ field = "name", kind = "whole", hashes = 2 }',
        '{ field = "name", kind = "whole", hashes = 2, as = "written" }',
    )
)
"""The profile above with tokens of several fields hashed as one name, and some renamed."""

SIGNS = """
format = "tongqiao-profile-v1"
name = "signs"
cleaning = "latin-1"
diffusion = 3

[fields]
given = "latin-name"
last = "latin-name"
born = "date"
code = "identifier"
phone = "phone"
note = "text"

[groups.names]
filter_bits = 512
tokens = [
  { field = "given", kind = "sign", hashes = 20 },
  { field = "given", kind = "sign-place", hashes = 9 },
  { field = "last", kind = "sign", hashes = 20 },
  { field = "last", kind = "sign-place", hashes = 9 },
]

[groups.either]
filter_bits = 192
tokens = [
  { field = "given", kind = "sign", hashes = 3, as = "either" },
  { field = "last", kind = "sign", hashes = 3, as = "either" },
  { field = "given", kind = "sign-place", hashes = 2, as = "either" },
  { field = "last", kind = "sign-place", hashes = 2, as = "either" },
]

[groups.code]
filter_bits = 64
tokens = [
  { field = "code", kind = "sign", hashes = 2 },
  { field = "code", kind = "sign-place", hashes = 1 },
]

[groups.rest]
filter_bits = 320
tokens = [
  { field = "born", kind = "sign", hashes = 4 },
  { field = "phone", kind = "sign", hashes = 3 },
  { field = "note", kind = "sign", hashes = 2 },
  { field = "note", kind = "sign-place", hashes = 1 },
]

[[views]]
name = "born"
salt = [{ field = "born", kind = "year" }]
groups = ["names", "either", "code"]

[[views]]
name = "open"
salt = []
groups = ["names", "either", "code", "rest"]
"""
"""The kinds that are not in EVERY_KIND: they came later, and its vectors stay as they were."""

SIGNS_RECORDS: tuple[Record, ...] = tuple(
    dict(zip(("given", "last", "born", "code", "phone", "note"), values, strict=True))
    for values in (
        ("anna", "peter", "2015-01-10", "A1A1", "13800138000", "12 main st"),
        ("peter", "anna", "2015-10-01", "1AA1", "13800138000", "st main 12"),
        ("petre", "aaron", "1988-08-18", "77-12", "1", "a  b"),
        ("mary-jane", "o neill", "2000-02-02", "-", None, "é ü 中"),
        ("maryjane", "oneill", "2000-02-02", "--77--", "00000000000", "-"),
        ("-", "〓", None, "〓〓", None, None),
        ("a〓nn", "ann〓〓a", "2024-12-31", "7〓7-1", "2", "〓 -〓"),
        ("x", None, "1999-12-31", None, "9876543210", "ab" * 40),
        ("𠮷𠮷野", "İi̇", "2011-11-11", "Z" * 33, "1" * 33, "\u2010-\u2010"),
        (None, None, None, None, None, None),
    )
)
"""Exchanged letters and fields, hyphens, lost characters, and nothing at all."""

NAMES = (
    "单雄信",
    "欧阳修",
    "尉迟敬德",
    "扎西·卓玛",
    "扎西卓玛",
    "曾小贤",
    "查理",
    "李",
    "李丽丽",
    "王吕小布",
    "吕布",
    "li ming",
    "LiMing",
    "阿依古丽·买买提",
    "张〓",
    "𠮷野家",
    "黄飞鸿",
    "〓〓",
    "·",
)


def invented_record(draw: random.Random) -> Record:
    """A record of the profile above; each field is missing now and then."""
    born = f"{draw.randint(2008, 2024)}-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}"
    digits = "".join(draw.choice("0123456789") for _ in range(18))
    full: dict[str, str] = {
        "name": draw.choice(NAMES),
        "latin": draw.choice(("peter", "o neill", "x", "anna maria")),
        "born": born,
        "number": digits[:17] + draw.choice("0123456789X"),
        "code": draw.choice(("A1", "77-12", "Z", "0042")),
        "phone": "1" + digits[:10],
        "place": draw.choice(("510104", "513333", "540102")),
        "sex": draw.choice("MF"),
        "note": draw.choice(("12 main st", "é ü 中", "a")),
    }
    return {field: value if draw.random() > 0.15 else None for field, value in full.items()}


def invented_signs(draw: random.Random) -> Record:
    """A record of the profile SIGNS; each field is missing now and then."""
    full = {
        "given": _letters(draw, "aenr-〓 ", 12),
        "last": _letters(draw, "aeinort-中", 20),
        "born": f"{draw.randint(1900, 2024)}-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}",
        "code": _letters(draw, "AB019-〓", 40),
        "phone": _letters(draw, "0123456789", 12),
        "note": _letters(draw, "ab é-〓", 30),
    }
    return {field: value if draw.random() > 0.15 else None for field, value in full.items()}


def _letters(draw: random.Random, of: str, at_most: int) -> str:
    return "".join(draw.choices(of, k=draw.randint(1, at_most)))


def batch_of(records: Sequence[Record], profile: Profile, first_row: int = 1) -> RecordBatch:
    """Records as a batch, ids numbered."""
    return RecordBatch(
        first_row=first_row,
        record_ids=tuple(f"id-{first_row + i}" for i in range(len(records))),
        columns={
            spec.name: tuple(record[spec.name] for record in records) for spec in profile.fields
        },
    )


def numbered_pseudonyms() -> Callable[[], bytes]:
    """Pseudonyms 0, 1, 2 ..., so that rows keep their order."""
    numbers = count()
    return lambda: next(numbers).to_bytes(16, "big")


def encode(
    batches: Sequence[RecordBatch],
    profile: Profile,
    *,
    round_key: bytes = ROUND_KEY,
    new_pseudonym: Callable[[], bytes] | None = None,
    keyed_hash: KeyedHashName = "blake2b",
    engine: Engine = "auto",
    workers: int | None = None,
) -> EncodedFile:
    """Encode with rows in the order of the records."""
    return encode_records(
        batches,
        profile,
        round_key,
        name="office",
        context="offline",
        key_confirmation="0" * 32,
        encoder_version="0.1.0",
        created_at="2026-01-01T00:00:00Z",
        new_pseudonym=new_pseudonym or numbered_pseudonyms(),
        keyed_hash=keyed_hash,
        engine=engine,
        workers=workers,
    )
