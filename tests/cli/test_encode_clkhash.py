"""``tongqiao encode --clkhash-schema``: clkhash's own file, or a plain reason and no file."""

import copy
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import cli
from keys.linkage_secret import new_linkage_secret, save_linkage_secret
from tests.linkage.encoding.clk.oracle import clkhash_clks
from tests.vectors.clkhash.generate import ROWS, SCHEMAS

SCHEMA = SCHEMAS["v3 blake, bits a token"]
SECRET = " 很长的共同秘密 with blanks "
HEADINGS = [feature["identifier"] for feature in SCHEMA["features"]]
PRIVATE = ("曾令仪", "扎西", "lingyi", "2016-02-29", "110105", SECRET.strip())

Encode = Callable[..., Result]


def csv_of(rows: list[list[str]]) -> str:
    return "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in rows)


@pytest.fixture
def office(tmp_path: Path) -> Path:
    (tmp_path / "children.csv").write_text(csv_of([HEADINGS, *ROWS]), encoding="utf-8")
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET + "\n", encoding="utf-8")
    secret.chmod(0o600)
    return tmp_path


@pytest.fixture
def encode(office: Path) -> Encode:
    def call(*more: str, out: str = "clks.json", file: str = "children.csv") -> Result:
        arguments = ["encode", str(office / file), "--clkhash-schema", str(office / "schema.json")]
        arguments += ["--secret-file", str(office / "secret.txt"), "--out", str(office / out)]
        return CliRunner().invoke(cli, [*arguments, *more])

    return call


def refused(result: Result, told: str, office: Path) -> None:
    """Told why, with exit code 1 or 2, no value shown and nothing written."""
    assert result.exit_code in (1, 2), result.output
    assert told in result.output
    for private in PRIVATE:
        assert private not in result.output
    given = {"children.csv", "schema.json", "secret.txt", "other.csv", "tongqiao.key"}
    assert {entry.name for entry in office.iterdir()} <= given


def test_the_file_is_the_one_that_anonlink_client_would_write(office: Path, encode: Encode) -> None:
    from clkhash.clk import generate_clk_from_csv
    from clkhash.schema import from_json_dict
    from clkhash.serialization import serialize_bitarray

    result = encode()
    assert result.exit_code == 0, result.output
    with (office / "children.csv").open(encoding="utf-8") as file:
        clks = generate_clk_from_csv(
            file, SECRET, from_json_dict(copy.deepcopy(SCHEMA)), progress_bar=False, max_workers=1
        )
    expected = json.dumps({"clks": [serialize_bitarray(clk) for clk in clks]})
    assert (office / "clks.json").read_text(encoding="utf-8") == expected
    assert stat.S_IMODE((office / "clks.json").stat().st_mode) == 0o600
    assert "4 records encoded as clkhash does, 1,024 bits each." in result.output
    assert "docs/clkhash.md" in result.output
    for private in PRIVATE:
        assert private not in result.output


def test_a_binary_file_is_the_packed_clks(office: Path, encode: Encode) -> None:
    assert encode(out="clks.bin").exit_code == 0
    expected = b"".join(clkhash_clks(SCHEMA, ROWS, SECRET))
    assert (office / "clks.bin").read_bytes() == expected


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_secret_is_the_text_of_the_file(
    mark: bytes, ending: str, office: Path, encode: Encode
) -> None:
    (office / "secret.txt").write_bytes(mark + (SECRET + ending).encode("utf-8"))
    assert encode(out="clks.bin").exit_code == 0
    assert (office / "clks.bin").read_bytes() == b"".join(clkhash_clks(SCHEMA, ROWS, SECRET))


@pytest.mark.parametrize(
    ("data", "told"),
    [(b"", "is empty"), (b"\n", "is empty"), ("很长的秘密".encode("gbk"), "not text in UTF-8")],
)
def test_other_secret_files_are_refused(
    data: bytes, told: str, office: Path, encode: Encode
) -> None:
    (office / "secret.txt").write_bytes(data)
    refused(encode(), told, office)


def test_our_own_secret_and_one_that_others_may_read_are_refused(
    office: Path, encode: Encode
) -> None:
    (office / "secret.txt").chmod(0o644)
    refused(encode(), "others", office)
    (office / "secret.txt").unlink()
    save_linkage_secret(new_linkage_secret(), office / "secret.txt")
    refused(encode(), "a linkage secret of this program", office)


@pytest.mark.parametrize(
    "case", ["v3 double, not singular", "v1 double", "legacy key derivation", "v2 double"]
)
def test_what_is_weak_needs_to_be_allowed(case: str, office: Path, encode: Encode) -> None:
    (office / "schema.json").write_text(json.dumps(SCHEMAS[case]), encoding="utf-8")
    refused(encode(), "This project is weak", office)
    result = encode("--allow-legacy", out="clks.bin")
    assert result.exit_code == 0, result.output
    assert "Weak: " in result.output
    valid = case != "legacy key derivation"
    expected = clkhash_clks(SCHEMAS[case], ROWS, SECRET, valid=valid)
    assert (office / "clks.bin").read_bytes() == b"".join(expected)


def test_a_short_secret_needs_to_be_allowed(office: Path, encode: Encode) -> None:
    (office / "secret.txt").write_text("horse", encoding="utf-8")
    refused(encode(), "shorter than 16 bytes", office)


@pytest.mark.parametrize("headings", ["check", "ignore", "none"])
@pytest.mark.parametrize("first", ["right", "other", "record"])
def test_headings(headings: str, first: str, office: Path, encode: Encode) -> None:
    top = {"right": HEADINGS, "other": ["x"] * len(HEADINGS), "record": ROWS[0]}[first]
    (office / "children.csv").write_text(csv_of([top, *ROWS[1:]]), encoding="utf-8")
    result = encode("--headings", headings, out="clks.bin")
    if headings == "check" and first != "right":
        refused(result, "Column 1 is not headed 'row'", office)
    elif headings == "none" and first != "record":
        refused(result, "row 1, birth date: it is not a date of the form %Y-%m-%d", office)
    else:
        rows = ROWS if headings == "none" else ROWS[1:]
        assert (office / "clks.bin").read_bytes() == b"".join(clkhash_clks(SCHEMA, rows, SECRET))


def test_values_that_do_not_fit_are_named_by_row_and_feature(office: Path, encode: Encode) -> None:
    rows = copy.deepcopy(ROWS)
    rows[1][3] = "2015.03.07"
    rows[2][4] = "X"
    (office / "children.csv").write_text(csv_of([HEADINGS, *rows]), encoding="utf-8")
    result = encode()
    refused(result, "row 2, birth date: it is not a date of the form %Y-%m-%d", office)
    assert "row 3, sex: it is none of the values that the schema lists" in result.output
    assert "2015.03" not in result.output


def test_format_checks_can_be_left_out(office: Path, encode: Encode) -> None:
    rows = copy.deepcopy(ROWS)
    rows[2][4], rows[1][2] = "X", "UPPER"
    (office / "children.csv").write_text(csv_of([HEADINGS, *rows]), encoding="utf-8")
    refused(encode(), "row 2, latin name: it is not in lower case", office)
    assert encode("--skip-format-checks", out="clks.bin").exit_code == 0
    expected = clkhash_clks(SCHEMA, rows, SECRET, check=False)
    assert (office / "clks.bin").read_bytes() == b"".join(expected)


def test_an_existing_file_is_kept_unless_forced(office: Path, encode: Encode) -> None:
    (office / "clks.json").write_text("kept", encoding="utf-8")
    result = encode()
    assert result.exit_code == 1
    assert "exists already" in result.output
    assert (office / "clks.json").read_text(encoding="utf-8") == "kept"
    assert encode("--force").exit_code == 0
    assert encode("--force", out="children.csv").exit_code == 2


def test_a_file_without_records_is_refused(office: Path, encode: Encode) -> None:
    (office / "children.csv").write_text(csv_of([HEADINGS]), encoding="utf-8")
    refused(encode(), "no records", office)


def test_options_that_do_not_go_together_are_refused(office: Path, encode: Encode) -> None:
    refused(encode("--profile", "cn-child-v1"), "With --clkhash-schema there is no", office)
    arguments = [
        "encode",
        str(office / "children.csv"),
        "--secret-file",
        str(office / "secret.txt"),
    ]
    arguments += ["--out", str(office / "x.tqe")]
    alone = CliRunner().invoke(cli, [*arguments, "--allow-legacy"])
    refused(alone, "belong to --clkhash-schema", office)
    refused(CliRunner().invoke(cli, arguments), "Give --columns, --profile and --map", office)
