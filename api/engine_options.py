"""``--engine`` and what goes with it, for the commands that match."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from api.client.terminal import INPUT_FILE

if TYPE_CHECKING:
    from linkage.matching.engines import Engine

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Where and how chunks are to be computed.

    Attributes:
        kernel: variant of ``linkage.matching.tile``; ``None``: the fastest of each processor.
    """

    scheduler: str | None
    tls_ca_file: Path | None
    tls_cert_file: Path | None
    tls_key_file: Path | None
    kernel: str | None = None

    @contextlib.contextmanager
    def opened(self) -> "Iterator[Engine]":
        """The engine, as long as the block lasts.

        Raises:
            MatchingError: the scheduler cannot be used, or this processor has no such kernel.
        """
        if self.kernel is not None:
            from linkage.matching.tile import variant_called

            variant_called(self.kernel)
        if self.scheduler is None:
            from linkage.matching.engines.local import LocalEngine

            yield LocalEngine()
            return
        from linkage.matching.engines.dask import DaskEngine, TlsFiles

        tls = None
        if self.tls_ca_file and self.tls_cert_file and self.tls_key_file:
            tls = TlsFiles(self.tls_ca_file, self.tls_cert_file, self.tls_key_file)
        with DaskEngine(self.scheduler, tls) as engine:
            yield engine


def engine_options(command: _Command) -> _Command:
    """Add ``--engine``, ``--scheduler``, ``--tls-...`` and ``--kernel``; given as ``engine``."""

    def choose(ctx: click.Context, _param: click.Parameter, value: str) -> EngineChoice:
        given = {name: ctx.params.pop(name, None) for name in _TAKEN}
        kernel = ctx.params.pop("kernel", None)
        if value == "dask" and given["scheduler"] is None:
            raise click.UsageError("--engine dask needs --scheduler ADDRESS.", ctx)
        if value == "local" and any(given.values()):
            raise click.UsageError("--scheduler and --tls-... go with --engine dask.", ctx)
        files = [given[name] for name in _TAKEN[1:]]
        if any(files) and not all(files):
            raise click.UsageError("Give all three: --tls-ca, --tls-cert and --tls-key.", ctx)
        return EngineChoice(**given, kernel=kernel)

    for option in (
        click.option(
            "--engine",
            type=click.Choice(["local", "dask"]),
            default="local",
            show_default=True,
            callback=choose,
            help="local: all cores of this machine. dask: the workers of a dask cluster.",
        ),
        click.option(
            "--kernel",
            is_eager=True,
            metavar="NAME",
            help="Compare CLKs, and filters of views without tags, with these instructions, not "
            "with the fastest that the processor has (docs/pair-scan.md).",
        ),
        click.option(
            "--tls-key",
            "tls_key_file",
            type=INPUT_FILE,
            is_eager=True,
            metavar="PEM",
            help="Key of this program's certificate.",
        ),
        click.option(
            "--tls-cert",
            "tls_cert_file",
            type=INPUT_FILE,
            is_eager=True,
            metavar="PEM",
            help="Certificate that this program shows to the cluster.",
        ),
        click.option(
            "--tls-ca",
            "tls_ca_file",
            type=INPUT_FILE,
            is_eager=True,
            metavar="PEM",
            help="Certificate of the authority that signs for the cluster.",
        ),
        click.option(
            "--scheduler",
            is_eager=True,
            metavar="ADDRESS",
            help="Of the dask scheduler, as tls://10.0.0.5:8786 (docs/cluster.md).",
        ),
    ):
        command = option(command)
    return command


_TAKEN = ("scheduler", "tls_ca_file", "tls_cert_file", "tls_key_file")
