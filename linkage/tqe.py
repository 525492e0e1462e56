"""The exchange file ``.tqe``: an Arrow IPC file with a manifest; TQE.md specifies the bytes."""
