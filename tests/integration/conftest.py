"""What several integration tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.running_platform import Platform, running


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One running platform for all tests that only look at it from outside."""
    with running(tmp_path_factory.mktemp("platform") / "home") as platform:
        yield platform
