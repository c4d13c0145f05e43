"""What a world is called and says of itself."""

import pytest

from worldling.about import LONGEST_SENTENCE, LONGEST_TITLE, about_world, first_sentence, title_of


@pytest.mark.parametrize(
    "env_id, title",
    [
        ("my_game.py:MyGame", "My game"),
        ("my_game:MyGame-v0", "My game"),
        ("ALE/Pong-v5", "Pong"),
        ("CartPole-v1", "Cart pole"),
        ("MiniGrid-Empty-8x8-v0", "Mini grid empty 8x8"),
        ("folder/game.py", "game"),
        ("", ""),
    ],
)
def test_titles_are_made_of_names(env_id, title):
    assert title_of(env_id) == title


@pytest.mark.parametrize(
    "doc, sentence",
    [
        ("Keep the ball up.", "Keep the ball up."),
        ("\n    Keep the ball\n    up.\n\n    More.", "Keep the ball up."),
        ("## Description\nA pole.", ""),
        (None, ""),
        ("no full stop", ""),
        ("A\x1b[31m red one.", ""),
        ("A" * 300 + ".", ""),
    ],
)
def test_an_environment_says_what_it_is_in_a_sentence_or_not_at_all(doc, sentence):
    assert first_sentence(doc) == sentence


def test_the_card_comes_first_and_strange_cards_are_cut():
    card = {"about": {"title": "T", "what": "W.", "how": "H."}, "source": {"env_id": "a:B", "about": "S."}}
    assert about_world(card, "n").title == "T" and about_world(card, "n").how == "H."
    assert about_world({"source": {"about": "S."}}, "n") == about_world({"about": {"what": "S."}}, "n")
    long = about_world({"about": {"title": "t" * 999, "what": "w" * 999, "how": ["x"]}}, "n")
    assert (len(long.title), len(long.what), long.how) == (LONGEST_TITLE, LONGEST_SENTENCE, "")
    assert about_world({"about": "x", "source": 3}, "n").title == "n"
    assert about_world({"about": {"what": "a\u202eb"}}, "n").what == ""
