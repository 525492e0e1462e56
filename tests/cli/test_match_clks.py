"""An office's way with CLKs: encode, match, evaluate; and files that are refused."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import cli
from linkage.clk_files import write_clks
from linkage.matching.tile import fitting_variant
from tests.linkage.encoding.clk.test_encode import SCHEMA, rows_of
from tests.linkage.test_clk_files import as_json, clks_of

Match = Callable[..., Result]
N_RECORDS = 120
N_SHARED = 80


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two registers that share 80 persons, whose birth dates differ here and there."""
    headings = [feature["identifier"] for feature in SCHEMA["features"]]
    everybody = rows_of(2 * N_RECORDS - N_SHARED)
    for name, rows in (("a", everybody[:N_RECORDS]), ("b", everybody[-N_RECORDS:])):
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(headings)
            for number, row in enumerate(rows):
                slip = name == "b" and number % 7 == 0
                writer.writerow([*row[:2], "2011-11-11" if slip else row[2], *row[3:]])
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    secret = tmp_path / "secret.txt"
    secret.write_text("sixteen bytes or more", encoding="utf-8")
    secret.chmod(0o600)
    return tmp_path


def encode(folder: Path, name: str, ending: str) -> None:
    result = run(
        *("encode", folder / f"{name}.csv", "--clkhash-schema", folder / "schema.json"),
        *("--secret-file", folder / "secret.txt", "--out", folder / f"{name}{ending}"),
    )
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("solve", ["groups", "one-to-one"])
def test_encode_match_evaluate(solve: str, folder: Path) -> None:
    for name in ("a", "b"):
        encode(folder, name, ".json")
    files = (folder / "b.json", folder / "a.json")
    matched = run("match", *files, "--solve", solve, "--out", folder / "links.csv")
    assert matched.exit_code == 0, matched.output
    with (folder / "truth.csv").open("w", encoding="utf-8") as file:
        file.write("dataset,record,entity\n")
        file.writelines(f"a,{n},{n}\nb,{n},{n + N_RECORDS - N_SHARED}\n" for n in range(N_RECORDS))
    judged = run("evaluate", folder / "links.csv", "--truth", folder / "truth.csv", "--json")
    assert judged.exit_code == 0, judged.output
    figures = json.loads(judged.stdout)["a - b"]
    assert figures["n_true"] == N_SHARED
    assert figures["f1"] > 0.97


def test_binary_files_give_the_same_links(folder: Path) -> None:
    for name in ("a", "b"):
        encode(folder, name, ".json")
        encode(folder, name, ".bin")
    links = []
    for ending in (".json", ".bin"):
        out = folder / f"links{ending}.csv"
        files = [folder / f"{name}{ending}" for name in ("a", "b")]
        more = ("--clk-bytes", "64") if ending == ".bin" else ()
        assert run("match", *files, *more, "--threshold", "0.8", "--out", out).exit_code == 0
        links.append(out.read_text(encoding="utf-8"))
    assert links[0] == links[1]
    assert "a,119,b,79," in links[0]


def refused(result: Result, told: str, folder: Path) -> None:
    assert result.exit_code in (1, 2), result.output
    assert told in result.output
    assert not (folder / "links.csv").exists()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"clks": ["AA==",', "cut off"),
        (b'{"clks": [', "cut off"),
        (b'{"clknblocks": []}', "blocks"),
        (as_json(clks_of(50, 32)), "have 256 bits, and those of 'a' 512"),
    ],
)
def test_files_that_cannot_be_matched_are_refused(data: bytes, told: str, folder: Path) -> None:
    write_clks(folder / "a.json", [clks_of(50, 64)])
    (folder / "b.json").write_bytes(data)
    files = (folder / "a.json", folder / "b.json")
    refused(run("match", *files, "--out", folder / "links.csv"), told, folder)


def test_options_and_files_that_do_not_go_together_are_refused(folder: Path) -> None:
    write_clks(folder / "a.json", [clks_of(50, 64)])
    write_clks(folder / "b.bin", [clks_of(50, 64)], "binary")
    (folder / "c.tqe").write_bytes(b"ARROW1\x00\x00")
    a, b, c = folder / "a.json", folder / "b.bin", folder / "c.tqe"
    out = ("--out", folder / "links.csv")
    refused(run("match", a, b, *out), "--clk-bytes 128", folder)
    refused(run("match", a, c, *out), "cannot be compared", folder)
    refused(run("match", a, b, *out, "--known", folder / "schema.json"), "are for .tqe", folder)
    refused(run("match", a, b, *out, "--clk-bytes", "32"), "have 64 bytes, not 32", folder)


def test_the_kernel_can_be_forced_and_is_named(folder: Path) -> None:
    for name in ("a", "b"):
        encode(folder, name, ".json")
    files = [folder / "a.json", folder / "b.json"]
    links = []
    for kernel in ((), ("--kernel", "128-bit")):
        out = folder / f"links{len(kernel)}.csv"
        more = ("--work-dir", folder / "work", "--threshold", "0.8")
        result = run("match", *files, *more, *kernel, "--out", out)
        assert result.exit_code == 0, result.output
        used = kernel[1] if kernel else fitting_variant().name
        assert f"Compared with {used}." in result.stderr
        links.append(out.read_text(encoding="utf-8"))
    assert links[0] == links[1]
    assert not list((folder / "work").iterdir())
    unknown = run("match", *files, "--kernel", "mmx", "--out", folder / "links.csv")
    refused(unknown, "There is no kernel 'mmx' for this processor. Choose one of:", folder)
