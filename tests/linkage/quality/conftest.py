"""Registers that several tests look at; generating and never changing them."""

import pytest

from linkage.quality.synthetic import Registers, generate


@pytest.fixture(scope="session")
def registers() -> Registers:
    return generate(5_000, seed=20251130)


@pytest.fixture(scope="session")
def doubled() -> Registers:
    return generate(5_000, seed=20251130, error_scale=2.0)
