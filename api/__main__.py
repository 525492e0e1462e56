"""``python -m api`` is the ``tongqiao`` command."""

from api.cli import main

main()
