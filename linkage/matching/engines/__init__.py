"""Where chunks are computed: ``local`` on all cores of this machine, ``dask`` on many machines.

A task is a pure function of a chunk, so an engine may compute chunks in any order, anywhere, and
more than once; links come out the same to the byte.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


class Engine(Protocol):
    """Computes chunks."""

    @property
    def is_remote(self) -> bool:
        """Whether chunks are computed in other processes, which open the files themselves."""

    @property
    def n_workers(self) -> int:
        """How many chunks are in memory of one machine at a time."""

    def results(
        self, task: Callable[[Chunk], Result], chunks: Sequence[Chunk]
    ) -> Iterator[tuple[Chunk, Result]]:
        """Each chunk with its result, as they are done, in any order.

        Raises:
            Exception: whatever a task raised; chunks not yet begun are given up.
        """
