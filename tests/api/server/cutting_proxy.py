"""A network that breaks: forwards bytes to a server and cuts connections after so many of them."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_READ_BYTES = 65536


@dataclass
class CuttingProxy:
    """A listener that forwards to ``target_port``.

    Attributes:
        budgets: bytes from the client after which a connection is cut, one for each connection
            that carries so many; when they are used up, nothing is cut any more.
        n_cut: connections that were cut.
        on_cut: called after each cut, as to kill the server in that moment.
    """

    target_port: int
    budgets: list[int] = field(default_factory=list)
    n_cut: int = 0
    on_cut: Callable[["CuttingProxy"], None] | None = None
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port), timeout=10)
            server.settimeout(None)
        except OSError:
            client.close()
            return
        answers = threading.Thread(target=_pump, args=(server, client), daemon=True)
        answers.start()
        sent = 0
        with contextlib.suppress(OSError):
            while chunk := client.recv(_READ_BYTES):
                if self.budgets and sent + len(chunk) >= self.budgets[0]:
                    server.sendall(chunk[: self.budgets.pop(0) - sent])
                    self.n_cut += 1
                    _close(client, server)
                    if self.on_cut is not None:
                        self.on_cut(self)
                    return
                server.sendall(chunk)
                sent += len(chunk)
        _close(client, server)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_READ_BYTES):
            target.sendall(chunk)
    _close(source, target)


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextlib.contextmanager
def cutting_proxy(target_port: int, budgets: list[int]) -> Iterator[CuttingProxy]:
    """Listen on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = CuttingProxy(target_port, budgets, port=listener.getsockname()[1])
        thread = threading.Thread(target=proxy.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(5)
