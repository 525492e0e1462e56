"""What the server does: the only place, with the worker, that opens transactions."""
