"""``tongqiao encode``: both files or neither, for the right round, and nothing told of anybody."""

import csv
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from api.cli import cli
from api.office.links import load_pseudonym_map
from keys.linkage_secret import LinkageSecret, new_linkage_secret, save_linkage_secret
from linkage.errors import EncodingError
from linkage.profile import load_profile
from linkage.tqe import open_tqe
from tests.api.terms_example import example_terms

RECORDS = """编号,姓名,性别,出生日期,身份证号,监护人,电话,户籍,现居
C-001,曾令仪,女,2016-02-29,11010520160229002X,曾国强,13912340001,513333,510104
C-002,扎西·卓玛,男,2015/3/7,,格桑,,513333,510104
C-003,王某之女,女,去年,123,李芳,13912340003,510104,510104
"""
PRIVATE = ("C-001", "曾令仪", "扎西", "王某", "格桑", "李芳", "2016-02-29", "20160229", "1391234")
MAPPING = """[columns]
record_id = "编号"
name = "姓名"
sex = "性别"
birth_date = "出生日期"
id_number = "身份证号"
guardian_name = "监护人"
guardian_phone = "电话"
hukou_division = "户籍"
residence_division = "现居"
"""

Encode = Callable[..., Result]


@pytest.fixture
def office(tmp_path: Path) -> Path:
    (tmp_path / "children.csv").write_text(RECORDS, encoding="utf-8")
    (tmp_path / "columns.toml").write_text(MAPPING, encoding="utf-8")
    save_linkage_secret(LinkageSecret(b"s" * 32), tmp_path / "secret.key")
    return tmp_path


@pytest.fixture
def encode(office: Path) -> Encode:
    def call(*more: str, **replaced: str) -> Result:
        options = {
            "columns": str(office / "columns.toml"),
            "profile": "cn-child-v1",
            "secret-file": str(office / "secret.key"),
            "out": str(office / "children.tqe"),
            "map": str(office / "children.map.csv"),
        }
        options |= {name.replace("_", "-"): value for name, value in replaced.items()}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        return CliRunner().invoke(cli, ["encode", str(office / "children.csv"), *arguments, *more])

    return call


def write_terms(office: Path, **changes: Any) -> str:
    profile = {"name": "cn-child-v1", "sha256": load_profile("cn-child-v1").sha256}
    terms = example_terms(**{"profile": profile, **changes})
    (office / "terms.json").write_text(json.dumps(terms), encoding="utf-8")
    return str(office / "terms.json")


def files_of(office: Path) -> set[str]:
    """All files but those of the fixture, hidden ones included."""
    given = {"children.csv", "columns.toml", "secret.key", "terms.json", "own.toml"}
    return {entry.name for entry in office.iterdir()} - given


def test_records_become_encodings_and_a_map(office: Path, encode: Encode) -> None:
    result = encode()
    assert result.exit_code == 0, result.output
    assert files_of(office) == {"children.tqe", "children.map.csv"}
    dataset = open_tqe(office / "children.tqe")
    secret = LinkageSecret(b"s" * 32)
    assert dataset.manifest.context == "offline"
    assert dataset.manifest.key_confirmation == secret.key_confirmation("offline")
    assert dataset.manifest.profile_sha256 == load_profile("cn-child-v1").sha256
    assert dataset.manifest.statistics["problems"]["placeholder-name"] == 1
    with (office / "children.map.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["pseudonym", "record_id"]
    assert sorted(row[0] for row in rows[1:]) == [dataset.pseudonym(i) for i in range(3)]
    assert [row[1] for row in rows[1:]] == ["C-001", "C-002", "C-003"]
    for file in ("children.tqe", "children.map.csv"):
        assert stat.S_IMODE((office / file).stat().st_mode) == 0o600


def test_the_map_leads_to_the_right_records(office: Path, encode: Encode) -> None:
    encode()
    dataset = open_tqe(office / "children.tqe")
    with (office / "children.map.csv").open(encoding="utf-8", newline="") as stream:
        ids = {row["record_id"]: row["pseudonym"] for row in csv.DictReader(stream)}
    row_of = {dataset.pseudonym(row): row for row in range(3)}
    has = {
        record: [bool(view.present[row_of[pseudonym]]) for view in dataset.views]
        for record, pseudonym in ids.items()
    }
    # identity, birth, name, phone, guardian
    assert has["C-001"] == [True, True, True, True, True]
    assert has["C-002"] == [False, True, True, False, True]
    assert has["C-003"] == [False, False, False, True, True]


def test_nothing_of_a_person_or_a_key_is_shown_or_in_the_encodings(
    office: Path, encode: Encode
) -> None:
    result = encode()
    data = (office / "children.tqe").read_bytes()
    for private in (*PRIVATE, (b"s" * 32).hex()):
        assert private not in result.output
        assert private.encode() not in data
    assert b"s" * 32 not in data


def test_the_summary_says_what_was_encoded(encode: Encode) -> None:
    result = encode()
    assert "3 records encoded for offline by cn-child-v1" in result.stdout
    for line in ("placeholder-name", "date-not-understood", "id-wrong-length", "guardian 0."):
        assert line in result.stdout
    assert "Encoding" in result.stderr


def test_the_same_records_twice_give_the_same_encodings_under_other_pseudonyms(
    office: Path, encode: Encode
) -> None:
    encode()
    first = open_tqe(office / "children.tqe")
    assert encode(out=str(office / "b.tqe"), map=str(office / "b.csv")).exit_code == 0
    second = open_tqe(office / "b.tqe")
    assert not {first.pseudonym(i) for i in range(3)} & {second.pseudonym(i) for i in range(3)}
    for one, other in zip(first.views, second.views, strict=True):
        assert one.tags is not None
        assert other.tags is not None
        assert np.array_equal(np.sort(one.tags), np.sort(other.tags))


# --- rounds ---------------------------------------------------------------------------------


def test_terms_give_the_context(office: Path, encode: Encode) -> None:
    result = encode("--terms", write_terms(office))
    assert result.exit_code == 0, result.output
    manifest = open_tqe(office / "children.tqe").manifest
    assert manifest.context == "sichuan-children/2026-h2"
    secret = LinkageSecret(b"s" * 32)
    assert manifest.key_confirmation == secret.key_confirmation("sichuan-children/2026-h2")


def test_rounds_and_secrets_give_encodings_that_cannot_be_compared(
    office: Path, encode: Encode
) -> None:
    save_linkage_secret(new_linkage_secret(), office / "other.key")
    tags = []
    for name, terms, secret in (
        ("a", write_terms(office), "secret.key"),
        ("b", None, "secret.key"),
        ("c", None, "other.key"),
    ):
        out, map_file = str(office / f"{name}.tqe"), str(office / f"{name}.csv")
        more = ["--terms", terms] if terms else []
        result = encode(*more, out=out, map=map_file, secret_file=str(office / secret))
        assert result.exit_code == 0, result.output
        dataset = open_tqe(Path(out))
        tags.append(
            {int(tag) for view in dataset.views if view.tags is not None for tag in view.tags} - {0}
        )
    assert not tags[0] & tags[1]
    assert not tags[0] & tags[2]
    assert not tags[1] & tags[2]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"profile": {"name": "cn-child-v1", "sha256": "ab" * 32}}, "its hash differs"),
        ({"cleaning": "cn-9"}, "cleaning rules"),
        ({"max_records": 2}, "more records than the terms allow"),
        ({"round": "../evil"}, "round in the terms"),
        ({"format": "tongqiao-terms-v9"}, "format"),
    ],
)
def test_terms_that_do_not_fit_are_refused(
    office: Path, encode: Encode, changes: dict[str, Any], reason: str
) -> None:
    result = encode("--terms", write_terms(office, **changes))
    assert result.exit_code == 1
    assert reason in result.stderr
    assert files_of(office) == set()


@pytest.mark.parametrize("engine", ["plain", "compiled"])
def test_ids_that_hold_line_breaks_are_read_back_from_the_map(
    office: Path, encode: Encode, engine: str
) -> None:
    ids = ["C\r1", "C\r\n2", "C\n3", 'C"4', "C,5"]
    rows = "".join(f'"{text.replace(chr(34), chr(34) * 2)}",曾令仪,女\n' for text in ids)
    (office / "children.csv").write_text(f"编号,姓名,性别\n{rows}", encoding="utf-8", newline="")
    (office / "columns.toml").write_text(
        '[columns]\nrecord_id = "编号"\nname = "姓名"\nsex = "性别"\n', encoding="utf-8"
    )
    result = encode("--accept-risk", "a test", "--engine", engine)
    assert result.exit_code == 0, result.output
    assert list(load_pseudonym_map(office / "children.map.csv").values()) == ids


def test_a_file_that_holds_no_terms_is_refused(office: Path, encode: Encode) -> None:
    (office / "terms.json").write_bytes(b"\xff" * 3_000_000)
    result = encode("--terms", str(office / "terms.json"))
    assert result.exit_code == 1
    assert files_of(office) == set()


# --- nothing half-done ----------------------------------------------------------------------


@pytest.mark.parametrize("existing", ["children.tqe", "children.map.csv"])
def test_existing_files_stay_unless_forced(office: Path, encode: Encode, existing: str) -> None:
    (office / existing).write_text("precious", encoding="utf-8")
    result = encode()
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert (office / existing).read_text(encoding="utf-8") == "precious"
    assert files_of(office) == {existing}
    assert encode("--force").exit_code == 0
    assert open_tqe(office / "children.tqe").n_records == 3
    assert files_of(office) == {"children.tqe", "children.map.csv"}


@pytest.mark.parametrize("forced", [False, True])
def test_outputs_named_like_inputs_are_wrong_use(
    office: Path, encode: Encode, forced: bool
) -> None:
    more = ["--force"] if forced else []
    for name in ("children.csv", "columns.toml", "secret.key"):
        before = (office / name).read_bytes()
        assert encode(*more, out=str(office / name)).exit_code == 2
        assert encode(*more, map=str(office / "." / name)).exit_code == 2
        assert (office / name).read_bytes() == before
    assert encode(*more, map=str(office / "children.tqe")).exit_code == 2
    assert files_of(office) == set()


def test_a_failure_while_encoding_leaves_nothing(office: Path, encode: Encode) -> None:
    (office / "children.csv").write_bytes(RECORDS.encode() + b"C-004,\xff\xfe\xff,\n")
    (office / "columns.toml").write_text(
        f'[source]\nencoding = "utf-8"\n{MAPPING}', encoding="utf-8"
    )
    result = encode()
    assert result.exit_code == 1
    assert result.stderr
    assert files_of(office) == set()


@pytest.mark.parametrize(
    "step",
    [
        "api.office.encoding._map_writer",
        "linkage.shuffle.RowShuffle.add",
        "linkage.tqe_writer.TqeWriter.add",
        "linkage.tqe_writer.TqeWriter.finish",
    ],
)
def test_a_failure_while_writing_leaves_nothing(
    office: Path, encode: Encode, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_arguments: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, full)
    result = encode()
    assert result.exit_code == 1
    assert "disk is full" in result.stderr
    assert files_of(office) == set()


def test_a_map_that_cannot_be_put_in_place_takes_the_encodings_with_it(
    office: Path, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.client import private_files

    publish = private_files._publish_new

    def only_encodings(draft: Path, path: Path) -> None:
        if path.suffix == ".csv":
            raise PermissionError(13, "Permission denied")
        publish(draft, path)

    monkeypatch.setattr(private_files, "_publish_new", only_encodings)
    assert encode().exit_code == 1
    assert files_of(office) == set()


def test_an_unexpected_refusal_of_the_encoder_is_told_plainly(
    office: Path, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise EncodingError("The pinyin table is another one.")

    monkeypatch.setattr("linkage.encoding.encode.verify_readings", refuse)
    result = encode()
    assert result.exit_code == 1
    assert result.stderr.endswith("Error: The pinyin table is another one.\n")
    assert files_of(office) == set()


def test_no_records_no_files(office: Path, encode: Encode) -> None:
    (office / "children.csv").write_text(RECORDS.splitlines()[0] + "\n", encoding="utf-8")
    result = encode()
    assert result.exit_code == 1
    assert "no records" in result.stderr
    assert files_of(office) == set()


# --- preflight ------------------------------------------------------------------------------


def copies(office: Path, n: int) -> None:
    """One child ``n`` times, as when a file was put together from its own copies."""
    first = RECORDS.splitlines()[1]
    lines = [first.replace("C-001", f"C-{i:03d}") for i in range(n)]
    text = "\n".join([RECORDS.splitlines()[0], *lines])
    (office / "children.csv").write_text(text, encoding="utf-8")


def test_the_preflight_is_shown(encode: Encode) -> None:
    result = encode()
    assert "preflight" in result.stdout
    for check in ("hiding of single bits", "most records with one salt", "records that repeat"):
        assert check in result.stdout
    assert "REFUSED" not in result.stdout


def test_what_holds_for_many_parts_of_a_file_is_told_once(office: Path, encode: Encode) -> None:
    """A school's register without divisions had one line for each view: do not send the file."""
    without = [line for line in MAPPING.splitlines() if "division" not in line]
    (office / "own.toml").write_text("\n".join(without), encoding="utf-8")
    result = encode(columns=str(office / "own.toml"))
    told = [line for line in result.stdout.splitlines() if "hidden by t x fill" in line]
    assert result.exit_code == 0
    assert len(told) == 1
    assert "fields of this part are in the mapping" in told[0]
    assert "name/hukou (" in told[0]


def test_a_risky_file_is_refused_and_leaves_nothing(office: Path, encode: Encode) -> None:
    copies(office, 100)
    result = encode()
    assert result.exit_code == 1
    assert "99 of 100 records repeat an earlier one" in result.stderr
    assert "--accept-risk" in result.stderr
    assert "REFUSED" in result.stdout
    assert files_of(office) == set()


def test_a_risk_can_be_accepted_and_is_written_down(office: Path, encode: Encode) -> None:
    copies(office, 100)
    result = encode("--accept-risk", "Test of the upload with copies.")
    assert result.exit_code == 0, result.output
    assert "Refused: 99 of 100" in result.stdout
    manifest = open_tqe(office / "children.tqe").manifest
    assert manifest.accepted_risk == "Test of the upload with copies."


def test_a_reason_that_was_not_needed_is_not_written_down(office: Path, encode: Encode) -> None:
    assert encode("--accept-risk", "To be sure.").exit_code == 0
    assert open_tqe(office / "children.tqe").manifest.accepted_risk is None


@pytest.mark.parametrize("reason", ["", "x" * 501, "two\nlines"])
def test_a_reason_must_be_one_line(office: Path, encode: Encode, reason: str) -> None:
    copies(office, 100)
    assert encode("--accept-risk", reason).exit_code in (1, 2)
    assert files_of(office) == set()


@pytest.mark.parametrize("engine", ["plain", "compiled"])
def test_the_encoder_can_be_chosen_and_is_named(encode: Encode, engine: str) -> None:
    result = encode("--engine", engine)
    assert result.exit_code == 0, result.output
    assert f"with the {engine} encoder" in result.stderr


# --- wrong use ------------------------------------------------------------------------------


def test_a_secret_that_others_may_read_is_refused(office: Path, encode: Encode) -> None:
    (office / "secret.key").chmod(0o644)
    result = encode()
    assert result.exit_code == 1
    assert "chmod 600" in result.stderr
    assert files_of(office) == set()


def test_a_secret_that_is_none_is_refused(office: Path, encode: Encode) -> None:
    (office / "secret.key").unlink()
    (office / "secret.key").touch(mode=0o600)
    result = encode()
    assert result.exit_code == 1
    assert "no linkage secret" in result.stderr


def test_an_unknown_profile_is_refused(office: Path, encode: Encode) -> None:
    result = encode(profile="cn-child-v99")
    assert result.exit_code == 1
    assert "no such profile" in result.stderr
    assert files_of(office) == set()


def test_a_field_without_a_column_is_told_and_missing(office: Path, encode: Encode) -> None:
    lines = [line for line in MAPPING.splitlines() if not line.startswith("guardian_phone")]
    (office / "columns.toml").write_text("\n".join(lines), encoding="utf-8")
    result = encode()
    assert result.exit_code == 0
    assert "guardian_phone" in result.stderr
    phone = open_tqe(office / "children.tqe").views[3]
    assert phone.layout.name == "phone"
    assert not phone.present.any()


def test_a_heading_that_is_not_there_is_refused(office: Path, encode: Encode) -> None:
    (office / "columns.toml").write_text(MAPPING.replace('"姓名"', '"名字"'), encoding="utf-8")
    result = encode()
    assert result.exit_code == 1
    assert files_of(office) == set()


@pytest.mark.parametrize("left_out", ["columns", "profile", "secret-file", "out", "map"])
def test_what_is_needed_is_asked_for(office: Path, left_out: str) -> None:
    options = {
        "columns": "columns.toml",
        "profile": "cn-child-v1",
        "secret-file": "secret.key",
        "out": "x.tqe",
        "map": "x.csv",
    }
    arguments = [
        part
        for name, value in options.items()
        if name != left_out
        for part in (f"--{name}", str(office / value) if "." in value else value)
    ]
    result = CliRunner().invoke(cli, ["encode", str(office / "children.csv"), *arguments])
    assert result.exit_code == 2
    assert f"--{left_out}" in result.stderr


def test_a_secret_cannot_be_given_on_the_command_line_or_in_the_environment(
    office: Path, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert encode("--secret", "s" * 32).exit_code == 2
    monkeypatch.setenv("TONGQIAO_SECRET_FILE", str(office / "secret.key"))
    monkeypatch.setenv("TONGQIAO_ENCODE_SECRET_FILE", str(office / "secret.key"))
    result = CliRunner().invoke(
        cli,
        [
            *("encode", str(office / "children.csv"), "--columns", str(office / "columns.toml")),
            *("--profile", "cn-child-v1", "--out", str(office / "x"), "--map", str(office / "y")),
        ],
    )
    assert result.exit_code == 2


def test_the_help_has_an_example() -> None:
    result = CliRunner().invoke(cli, ["encode", "--help"])
    assert result.exit_code == 0
    assert "tongqiao encode children.xlsx --columns map.toml" in result.stdout
    assert "never send it to anybody" in " ".join(result.stdout.split())
