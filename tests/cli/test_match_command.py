"""``tongqiao match`` with lists of decided pairs, and with options that contradict each other."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.operator.match_command import LINK_COLUMNS, match_command
from tests.factories import children, encoded_file


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("encoded")
    known = children(120)
    parts = {"civil, east": known[:90], "school": known[30:]}
    return [str(encoded_file(folder / f"{name}.tqe", part).path) for name, part in parts.items()]


def match(files: list[str], out: Path, *options: str) -> list[dict[str, str]]:
    result = CliRunner().invoke(match_command, [*files, "--out", str(out), *options])
    assert result.exit_code == 0, result.output
    with out.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, LINK_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def ends(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in LINK_COLUMNS[:4])


@pytest.mark.parametrize("solve", ["groups", "one-to-one", "one-to-one-optimal", "pairs"])
def test_links_of_one_run_are_the_known_and_refuted_pairs_of_the_next(
    files: list[str], tmp_path: Path, solve: str
) -> None:
    plain = match(files, tmp_path / "links.csv", "--solve", solve)
    assert {row["dataset_a"] for row in plain} == {"civil, east"}
    refuted = write(tmp_path / "refuted.csv", plain[:5])
    known = write(tmp_path / "known.csv", plain[5:8])
    options = ("--solve", solve, "--known", known, "--refuted", refuted, "--threshold", "0.999999")
    again = {ends(row): row for row in match(files, tmp_path / "again.csv", *options)}
    assert not again.keys() & {ends(row) for row in plain[:5]}
    assert all(float(again[ends(row)]["score"]) == 1.0 for row in plain[5:8])


def test_links_are_never_written_over_the_encodings(files: list[str]) -> None:
    before = Path(files[0]).read_bytes()
    result = CliRunner().invoke(match_command, [*files, "--out", files[0], "--force"])
    assert (result.exit_code, "given twice" in result.stderr) == (2, True)
    assert Path(files[0]).read_bytes() == before


def test_which_file_is_damaged_is_told(files: list[str], tmp_path: Path) -> None:
    """Somebody with five files of five offices has to know whom to ask."""
    cut = tmp_path / "cut.tqe"
    cut.write_bytes(Path(files[1]).read_bytes()[:-20])
    result = CliRunner().invoke(
        match_command, [*files, str(cut), "--out", str(tmp_path / "links.csv")]
    )
    assert result.exit_code == 1
    assert "File 3 of the 3 given: The file is not a .tqe file, or its end" in result.stderr
    assert not (tmp_path / "links.csv").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset_a": "police"}, "Row 2 of a list of pairs names a dataset"),
        ({"record_a": "0" * 32}, "Row 2 of a list of pairs names a record"),
        ({"record_a": "王"}, "Row 2 of a list of pairs names a record"),
        ({"record_b": ""}, "Row 2 of a list of pairs names a record"),
    ],
)
def test_a_list_that_names_what_is_not_there_is_refused_by_row(
    files: list[str], tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    plain = match(files, tmp_path / "links.csv")
    path = write(tmp_path / "known.csv", [{**plain[0], **change}])
    command = [*files, "--out", str(tmp_path / "x.csv"), "--known", path]
    result = CliRunner().invoke(match_command, command)
    assert result.exit_code == 1
    assert reason in result.output.replace("\n", " ")
    assert not (tmp_path / "x.csv").exists()


def test_a_list_with_other_columns_is_refused(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    command = [*files, "--out", str(tmp_path / "x.csv"), "--known", str(tmp_path / "known.csv")]
    result = CliRunner().invoke(match_command, command)
    assert "needs the columns dataset_a, record_a, dataset_b, record_b" in result.output


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--engine", "dask"], "needs --scheduler"),
        (["--scheduler", "tls://10.0.0.5:8786"], "go with --engine dask"),
        (["--engine", "dask", "--scheduler", "tcp://10.0.0.5:8786"], "needs TLS"),
        (["--engine", "dask", "--scheduler", "x", "--tls-ca", __file__], "Give all three"),
    ],
)
def test_engine_options_that_do_not_fit_are_refused(
    files: list[str], tmp_path: Path, options: list[str], reason: str
) -> None:
    result = CliRunner().invoke(match_command, [*files, "--out", str(tmp_path / "x.csv"), *options])
    assert result.exit_code != 0
    assert reason in result.output
