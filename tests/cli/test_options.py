"""Options that commands share."""

import pytest

from worldling.cli.options import training_verdict


@pytest.mark.parametrize(
    "card, said",
    [
        ({"quality": {"verdict": "plays well", "summary": "33 dB"}}, "plays well: 33 dB"),
        ({"quality": {"psnr_h1_db": 30.0}}, None),  # of an older training
        ({"quality": [1]}, None),
        ({}, None),
    ],
)
def test_the_verdict_of_training_is_repeated_where_there_is_one(card, said):
    assert training_verdict(card) == said
