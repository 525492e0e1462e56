"""Files for who runs a server: systemd units, a container file, a proxy's settings."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent
"""Where they are."""
