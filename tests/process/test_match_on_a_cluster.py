"""A dask cluster of real processes over TLS; one worker is killed in the middle."""

import datetime
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from linkage.clk_files import open_clks, write_clks
from linkage.clk_pipeline import match_clks
from linkage.errors import MatchingError
from linkage.matching.engines.clks import ClkFileRef, ClksByHash
from linkage.matching.engines.dask import DaskEngine, TlsFiles
from linkage.matching.engines.encodings import FOLDERS_VARIABLE
from linkage.pipeline import Resources, match_datasets
from linkage.progress import MatchProgress
from linkage.tqe import open_tqe
from tests.factories import children, encoded_file

pytestmark = pytest.mark.process

_SMALL_MEMORY = 1 << 16  # so that there are many chunks


@dataclass
class Cluster:
    address: str
    tls: TlsFiles
    workers: list[subprocess.Popen[bytes]]


def make_certificate(folder: Path) -> TlsFiles:
    """One self-signed certificate that all of the cluster use and trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test cluster")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cluster.pem", folder / "cluster.key"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return TlsFiles(cert_file, cert_file, key_file)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def encodings(folder: Path) -> dict[str, Path]:
    known = children(300)
    parts = {"civil": known[:220], "police": known[120:], "school": known[60:260]}
    return {name: encoded_file(folder / f"{name}.tqe", part).path for name, part in parts.items()}


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Cluster]:
    tls = make_certificate(folder)
    options = [
        *("--tls-ca-file", str(tls.ca_file), "--tls-cert", str(tls.cert_file)),
        *("--tls-key", str(tls.key_file), "--protocol", "tls", "--no-dashboard"),
    ]
    where = folder / "scheduler.json"
    started = []

    def start(*command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            env={**os.environ, FOLDERS_VARIABLE: str(folder / "elsewhere")},
        )
        started.append(process)
        return process

    try:
        start(
            *("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"),
            *("--scheduler-file", str(where)),
        )
        deadline = time.monotonic() + 60
        while not where.exists() or not where.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        workers = [
            start(
                *("distributed.cli.dask_worker", "--scheduler-file", str(where), "--no-nanny"),
                *("--nthreads", "1", "--local-directory", str(folder / f"worker-{number}")),
            )
            for number in range(2)
        ]
        yield Cluster(json.loads(where.read_text())["address"], tls, workers)
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def clks(folder: Path) -> dict[str, Path]:
    rng = np.random.default_rng(4)
    persons = rng.integers(0, 256, (400, 64), dtype=np.uint8)
    paths = {"ours": folder / "ours.json", "theirs": folder / "theirs.bin"}
    for path in paths.values():
        slips = rng.integers(0, 256, persons.shape, dtype=np.uint8)
        slips &= rng.integers(0, 256, persons.shape, dtype=np.uint8)
        slips &= rng.integers(0, 256, persons.shape, dtype=np.uint8)
        write_clks(path, [persons ^ slips], "json" if path.suffix == ".json" else "binary")
    return paths


def test_clks_are_matched_on_the_cluster_as_here(cluster: Cluster, clks: dict[str, Path]) -> None:
    datasets = [open_clks(path, clk_bytes=64) for path in clks.values()]
    local = match_clks(datasets, threshold=0.6)
    with DaskEngine(cluster.address, cluster.tls) as engine:
        spread = match_clks(datasets, threshold=0.6, resources=Resources(engine=engine, files=clks))
        altered = ClkFileRef("ours", "0" * 64, str(clks["ours"]), 64)
        with pytest.raises(MatchingError, match="does not find the CLKs of 'ours'"):
            list(engine.results(_reads, [ClksByHash((altered,))]))
    assert len(local) > 300
    for name in ("row_a", "row_b", "score", "group"):
        assert getattr(local, name).tobytes() == getattr(spread, name).tobytes()
    assert local.figures == spread.figures


def _reads(clks: ClksByHash) -> int:
    return len(clks())


def test_a_worker_killed_in_the_middle_changes_no_link(
    cluster: Cluster, encodings: dict[str, Path]
) -> None:
    datasets = [open_tqe(path) for path in encodings.values()]
    local = match_datasets(datasets)
    killed: list[float] = []

    def kill_one(now: MatchProgress) -> None:
        if now.stage == "compare" and now.done > 0 and not killed:
            cluster.workers[0].send_signal(signal.SIGKILL)
            killed.append(now.done / now.total)

    with DaskEngine(cluster.address, cluster.tls) as engine:
        engine.wait_for_workers(2)
        resources = Resources(engine=engine, files=encodings, memory_bytes=_SMALL_MEMORY)
        spread = match_datasets(datasets, resources=resources, on_progress=kill_one)
    assert killed
    assert killed[0] < 0.5
    assert cluster.workers[0].wait(10) == -signal.SIGKILL
    for one, other in (
        (local.row_a, spread.row_a),
        (local.row_b, spread.row_b),
        (local.dataset_a, spread.dataset_a),
        (local.dataset_b, spread.dataset_b),
        (local.score, spread.score),
        (local.group, spread.group),
    ):
        assert one.tobytes() == other.tobytes()
    assert len(local) > 300
    assert local.figures == spread.figures


def test_a_file_that_workers_do_not_have_is_named(
    cluster: Cluster, encodings: dict[str, Path], tmp_path: Path
) -> None:
    datasets = [open_tqe(path) for path in encodings.values()]
    elsewhere = {**encodings, "civil": tmp_path / "not-here.tqe"}
    with DaskEngine(cluster.address, cluster.tls) as engine:
        resources = Resources(engine=engine, files=elsewhere)
        with pytest.raises(MatchingError, match="does not find the encodings of 'civil'"):
            match_datasets(datasets, resources=resources)


def test_a_stranger_without_the_certificate_is_not_let_in(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(MatchingError, match="does not answer"):
        DaskEngine(cluster.address, make_certificate(tmp_path), timeout_s=3)
