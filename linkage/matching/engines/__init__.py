"""Where chunks are computed: ``local`` on all cores of this machine, ``dask`` on many machines.

A task is a pure function of a chunk, so an engine may compute chunks in any order, anywhere, and
more than once; links come out the same to the byte.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


WAKE_S = 0.5


class Engine(Protocol):
    """Computes chunks."""

    @property
    def is_remote(self) -> bool:
        """Whether chunks are computed in other processes, which open the files themselves."""

    @property
    def n_workers(self) -> int:
        """How many chunks are in memory of one machine at a time."""

    def results(
        self,
        task: Callable[[Chunk], Result],
        chunks: Sequence[Chunk],
        while_waiting: Callable[[], None] | None = None,
    ) -> Iterator[tuple[Chunk, Result]]:
        """Each chunk with its result, as they are done, in any order.

        Args:
            task: what is to be done.
            chunks: with what.
            while_waiting: called every :data:`WAKE_S` seconds while no chunk is done, from the
                thread that asks for results; may raise to give up.

        Raises:
            Exception: whatever a task or ``while_waiting`` raised; chunks not yet begun are given
                up.
        """
