"""Options that commands share."""

import pytest

from worldling.cli.options import parse_pairs, training_verdict


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


def test_numbers_are_numbers_with_or_without_a_leading_zero():
    texts = ["a=.25", "b=-.5", "c=5.", "d=1e-3", "e=0.1", "f=x:0,y:1", "g=.", "h=True"]
    assert parse_pairs(texts, "set") == {
        "a": 0.25, "b": -0.5, "c": 5.0, "d": 1e-3, "e": 0.1, "f": "x:0,y:1", "g": ".", "h": True,
    }  # fmt: skip
