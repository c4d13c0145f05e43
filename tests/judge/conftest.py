import pytest
from judge_worlds import write_squares


@pytest.fixture(scope="session")
def squares(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("squares"))
