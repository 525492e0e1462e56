"""Alembic migrations, packaged: `tongqiao server init` and `server migrate` run them."""
