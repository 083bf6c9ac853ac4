"""One work folder for all, so that each model is exported once; tiny sizes, generated reviews."""

import pytest

from benchmarks.harness.contract import Settings


@pytest.fixture(scope="session")
def settings(tmp_path_factory):
    return Settings(mode="tiny", work=tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture(autouse=True, scope="session")
def _generated_reviews():
    """The tests need no data that a clone does not have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENT_IMDB", "none")
        yield
