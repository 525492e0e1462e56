"""Speed and memory of encoding: from a file of records to a ``.tqe`` file.

    python -m benchmarks.encoding --quick
    python -m benchmarks.encoding --json FILE
    python -m benchmarks.encoding --only memory,reading

Each question is one function; each measurement runs in a process of its own, so that peak memory is
its own.  Records are invented (``benchmarks.encoding_corpus``).  Where another load shares the
machine, records a second of processor time say more than records a second of the clock, and both
are printed.
"""

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.encoding_clkhash import clkhash
from benchmarks.encoding_corpus import BenchmarkFile, write_register
from linkage.encoding.encode import Engine, available_cores
from linkage.encoding.encode_file import encode_to_tqe
from linkage.profile import load_profile
from linkage.records.reading import read_records

_PROFILE = "cn-child-v1"
_TARGET_PER_CORE = 40_000

Row = Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small files: under two minutes")
    parser.add_argument("--only", metavar="NAMES", help=f"of {', '.join(QUESTIONS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--folder", type=Path, help="where to put the files (3 GB free)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(_CHILDREN[json.loads(options.child)["do"]](json.loads(options.child))))
        return 0
    names = options.only.split(",") if options.only else list(QUESTIONS)
    figures: dict[str, Any] = {"machine": _machine(), "quick": options.quick}
    console = Console()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name in names:
            rows = QUESTIONS[name](Path(folder), options.quick)
            figures[name] = rows
            _show(console, QUESTIONS[name], rows)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


# --- the questions ----------------------------------------------------------------------------


def speed(folder: Path, quick: bool) -> list[Row]:
    """How many records a second, from CSV to .tqe, on one core and on all."""
    file = write_register(folder / "speed.csv", 60_000 if quick else 1_000_000)
    rows: list[Row] = []
    for label, cores in (("one core", 1), ("all cores", available_cores())):
        found = _in_child(_job("encode", file, cores=cores, times=2, out=folder / "speed.tqe"))
        for when, run in zip(("cold", "warm"), found["runs"], strict=True):
            rows.append(
                {
                    "run": f"{label}, {when}",
                    "cores": cores,
                    "records": file.n_rows,
                    "records a second": file.n_rows / run["wall_s"],
                    "records a core-second": file.n_rows / run["cpu_s"],
                    "share of target": file.n_rows / run["cpu_s"] / _TARGET_PER_CORE,
                }
            )
    return rows


def national(folder: Path, quick: bool) -> list[Row]:
    """What HMAC-SM3 costs in place of BLAKE2b (cipher suite ``gm``), compiled encoder, warm."""
    file = write_register(folder / "national.csv", 60_000 if quick else 300_000)
    rows: list[Row] = []
    for label, cores in (("one core", 1), ("all cores", available_cores())):
        usual = 0.0
        for keyed_hash in ("blake2b", "hmac-sm3"):
            job = _job("encode", file, cores=cores, times=2, out=folder / "national.tqe")
            run = _in_child(job | {"keyed_hash": keyed_hash})["runs"][-1]
            a_second = file.n_rows / run["wall_s"]
            usual = usual or a_second
            rows.append(
                {
                    "run": f"{keyed_hash}, {label}",
                    "records": file.n_rows,
                    "records a second": a_second,
                    "records a core-second": file.n_rows / run["cpu_s"],
                    "share of the usual": a_second / usual,
                }
            )
    return rows


def compiling(folder: Path, _quick: bool) -> list[Row]:
    """What the very first run after an installation waits for the compiler."""
    file = write_register(folder / "first.csv", 6_000)
    rows: list[Row] = []
    for label, keep in (("kernels kept on disk", True), ("nothing compiled yet", False)):
        job = _job("encode", file, cores=available_cores(), out=folder / "first.tqe")
        found = _in_child(job | {"keep": keep})
        rows.append({"run": label, "records": file.n_rows, "seconds": found["runs"][0]["wall_s"]})
    plain = _job("encode", file, cores=1, engine="plain", out=folder / "first.tqe")
    seconds = _in_child(plain)["runs"][0]["wall_s"]
    rows.append({"run": "plain encoder instead", "records": file.n_rows, "seconds": seconds})
    return rows


def reference(folder: Path, _quick: bool) -> list[Row]:
    """The compiled encoder beside the plain one in NumPy, one core, reading left out."""
    file = write_register(folder / "reference.csv", 6_000)
    found = _in_child(_job("engines", file, cores=1))
    return [
        {
            "encoder": engine,
            "records a core-second": file.n_rows / found[engine],
            "ratio": found["plain"] / found[engine],
        }
        for engine in ("plain", "compiled")
    ]


def memory(folder: Path, quick: bool) -> list[Row]:
    """Peak memory of the whole process, by the number of records."""
    sizes = (20_000, 60_000, 200_000) if quick else (100_000, 500_000, 2_000_000)
    rows: list[Row] = []
    for n_rows in sizes:
        file = write_register(folder / "memory.csv", n_rows)
        job = _job("encode", file, cores=available_cores(), out=folder / "memory.tqe")
        found = _in_child(job)
        smallest = rows[0]["peak MB"] if rows else found["peak_mb"]
        rows.append(
            {
                "records": n_rows,
                "peak MB": found["peak_mb"],
                "against the smallest": found["peak_mb"] / smallest,
                "file MB": (folder / "memory.tqe").stat().st_size / 1e6,
            }
        )
    return rows


def reading(folder: Path, quick: bool) -> list[Row]:
    """Reading and cleaning alone, in every kind of file, one core; the same records in all."""
    _compile_scanner(folder)
    sizes = (20_000, 60_000) if quick else (100_000, 1_000_000)
    rows: list[Row] = []
    records_of: dict[int, str] = {}
    first_s: dict[int, float] = {}
    for name, encoding in (
        ("CSV, UTF-8", "utf-8"),
        ("CSV, UTF-8 with BOM", "utf-8-sig"),
        ("CSV, GB18030", "gb18030"),
        ("CSV, UTF-16", "utf-16"),
        ("workbook .xlsx", "xlsx"),
    ):
        suffix = ".xlsx" if encoding == "xlsx" else ".csv"
        peaks: list[float] = []
        for n in sizes:
            file = write_register(folder / f"reading{suffix}", n, encoding)
            found = _in_child(_job("read", file, cores=1))
            peaks.append(found["peak_mb"])
            if found["sha256"] != records_of.setdefault(n, found["sha256"]):
                raise AssertionError(f"{name}: other records than in UTF-8")
            rows.append(
                {
                    "file": name,
                    "records": n,
                    "records a core-second": n / found["cpu_s"],
                    "time against UTF-8": found["cpu_s"] / first_s.setdefault(n, found["cpu_s"]),
                    "peak MB": found["peak_mb"],
                    "against the smaller": peaks[-1] / peaks[0],
                }
            )
    return rows


def workbooks(folder: Path, quick: bool) -> list[Row]:
    """A workbook beside CSV of the same records, from file to .tqe; and its rows alone."""
    _compile_scanner(folder)
    sizes = (20_000, 60_000) if quick else (100_000, 1_000_000)
    rows: list[Row] = []
    for n in sizes:
        files = {
            name: write_register(folder / f"workbooks.{name}", n, "utf-8")
            for name in ("csv", "xlsx")
        }
        for name, file in files.items():
            job = _job("encode", file, cores=1, out=folder / "workbooks.tqe")
            rows.append(_workbook_row(f"encode .{name}", n, _in_child(job), rows))
        for reader in ("calamine", "tongqiao"):
            found = _in_child(_job("rows", files["xlsx"], cores=1, reader=reader))
            rows.append(_workbook_row(f"rows of .xlsx, {reader}", n, found, rows))
    return rows


def _compile_scanner(folder: Path) -> None:
    """What is compiled is kept: no run that is timed waits for the compiler."""
    file = write_register(folder / "first.xlsx", 30_000)
    _in_child(_job("encode", file, cores=1, out=folder / "first.tqe"))


def _workbook_row(run: str, n_rows: int, found: Mapping[str, Any], above: Sequence[Row]) -> Row:
    """Ratios are to the line before (CSV, calamine) and to the same run with the fewest rows."""
    measured = found["runs"][0]
    is_compared = run.endswith(("xlsx", "tongqiao"))
    smaller = next((row for row in above if row["run"] == run), None)
    return {
        "run": run,
        "records": n_rows,
        "seconds": measured["wall_s"],
        "core-seconds": measured["cpu_s"],
        "against the line above": measured["cpu_s"] / above[-1]["core-seconds"]
        if is_compared
        else 1.0,
        "peak MB": found["peak_mb"],
        "MB against the smaller": found["peak_mb"]
        / (smaller or {"peak MB": found["peak_mb"]})["peak MB"],
    }


QUESTIONS: Mapping[str, Callable[[Path, bool], list[Row]]] = {
    "speed": speed,
    "national": national,
    "compiling": compiling,
    "reference": reference,
    "memory": memory,
    "reading": reading,
    "workbooks": workbooks,
    "clkhash": clkhash,
}
"""What ``--only`` names."""


# --- one measurement, in a process of its own -------------------------------------------------


def _job(do: str, file: BenchmarkFile, *, cores: int, **more: Any) -> dict[str, Any]:
    job = {"do": do, "path": file.path, "columns": dict(file.mapping.columns), "cores": cores}
    return {name: str(v) if isinstance(v, Path) else v for name, v in (job | more).items()}


def _in_child(job: Mapping[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.encoding", "--child", json.dumps(job)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _records(job: Mapping[str, Any]) -> Any:
    from linkage.records.mapping import ColumnMapping

    profile = load_profile(_PROFILE)
    mapping = ColumnMapping(job["columns"])
    return read_records(Path(job["path"]), mapping, profile.fields, cleaning=profile.cleaning)


def _keep_to(job: Mapping[str, Any]) -> None:
    """Use no more cores than the job says."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job["cores"]])


def _child_encode(job: Mapping[str, Any]) -> Row:
    _keep_to(job)
    engine: Engine = job.get("engine", "compiled")
    if not job.get("keep", True):
        _forget_kernels()
    runs = []
    for _ in range(job.get("times", 1)):
        Path(job["out"]).write_bytes(b"")
        wall, cpu = time.perf_counter(), time.process_time()
        encode_to_tqe(
            _records(job),
            load_profile(_PROFILE),
            bytes(32),
            Path(job["out"]),
            context="offline",
            key_confirmation="0" * 32,
            encoder_version="benchmark",
            keyed_hash=job.get("keyed_hash", "blake2b"),
            engine=engine,
            workers=job["cores"],
        )
        runs.append({"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu})
    return {"runs": runs, "peak_mb": _peak_mb()}


def _child_engines(job: Mapping[str, Any]) -> Row:
    from linkage.encoding.encode import StreamEncoder

    _keep_to(job)
    profile = load_profile(_PROFILE)
    batches = list(_records(job))
    seconds = {}
    for engine in ("compiled", "plain"):
        for _ in range(2):  # the first is for warming up
            encoder = StreamEncoder(profile, bytes(32), engine=engine, workers=1)
            cpu = time.process_time()
            for _block in encoder.blocks(batches):
                pass
            seconds[engine] = time.process_time() - cpu
    return seconds


def _child_read(job: Mapping[str, Any]) -> Row:
    """Reads a file; the digest of its records is not counted."""
    _keep_to(job)
    digest = hashlib.sha256()
    cpu_s, cpu = 0.0, time.process_time()
    for batch in _records(job):
        cpu_s += time.process_time() - cpu
        for column in (batch.record_ids, *batch.columns.values()):
            digest.update("\n".join(value or "" for value in column).encode() + b"\0")
        cpu = time.process_time()
    cpu_s += time.process_time() - cpu
    return {"cpu_s": cpu_s, "peak_mb": _peak_mb(), "sha256": digest.hexdigest()}


def _child_rows(job: Mapping[str, Any]) -> Row:
    """Goes through a workbook's rows, and does nothing with them."""
    from linkage.records.cells import plain_cell
    from linkage.records.workbooks import read_workbook_rows

    _keep_to(job)
    wall, cpu = time.perf_counter(), time.process_time()
    if job["reader"] == "calamine":
        import python_calamine

        with python_calamine.load_workbook(job["path"]) as book:
            sheet = book.get_sheet_by_index(0)
        n_rows = sum(1 for row in sheet.iter_rows() if [plain_cell(cell) for cell in row])
    else:
        n_rows = sum(1 for _ in read_workbook_rows(Path(job["path"]), 1))
    run = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    return {"runs": [run], "peak_mb": _peak_mb(), "rows": n_rows}


def _forget_kernels() -> None:
    """Look for compiled kernels where there are none, as after an installation."""
    from linkage import compiled

    folder = Path(tempfile.mkdtemp())
    compiled.cache_folders = lambda: (folder,)


_CHILDREN: Mapping[str, Callable[[Mapping[str, Any]], Row]] = {
    "encode": _child_encode,
    "engines": _child_engines,
    "read": _child_read,
    "rows": _child_rows,
}


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # unlike getrusage, this does not count the process that started us
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def _machine() -> Row:
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": available_cores(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in ("numpy", "numba", "pyarrow")},
    }


def _show(console: Console, question: Callable[..., Any], rows: Sequence[Row]) -> None:
    table = Table(title=(question.__doc__ or "").strip(), title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="left" if isinstance(rows[0][name], str) else "right")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    console.print(table)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main())
