"""A children's book: memory makes the difference between the known mistakes and none."""

from collections import Counter

import pytest

from examples import childrens_book as book


def test_one_word_of_memory_makes_the_known_mistakes() -> None:
    """Each comes in its share: with one word known, a name is followed by `saw` or a full stop, half of the time each.

    So half of all sentences end after one name; of the others, which saw a second name that may be the first again,
    half end there, a third of them with "Doug saw Doug."; the rest goes on.
    """
    written = book.write(book.one_word(book.TRAIN), 3000, remembers=False)
    found = Counter(map(book.judge, written))
    expected = {book.ALONE: 1 / 2, book.CHAIN: 1 / 4, book.RIGHT: 1 / 6, book.SELF: 1 / 12}
    assert {kind: found[kind] / len(written) for kind in expected} == pytest.approx(expected, abs=0.05)
    assert min(found[kind] for kind in expected) > 100


def test_lstm_writes_only_sentences_of_the_book() -> None:
    """All six sentences come, each about as often as the others, and not one that is not in the book."""
    written = book.write(book.lstm(book.TRAIN, 6), 3000, remembers=True)
    found = Counter((*sentence, ".") for sentence in written)
    assert set(found) == set(book.SENTENCES)
    assert Counter(map(book.judge, written)) == {book.RIGHT: 3000}
    assert min(found.values()) > 3000 / 6 * 0.8


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("Doug saw Jane", book.RIGHT),
        ("Jane saw Jane", book.SELF),
        ("Spot saw Jane saw Spot", book.CHAIN),
        ("Doug", book.ALONE),
        ("", book.OTHER),
        ("Doug saw", book.OTHER),
        ("Doug Jane Spot", book.OTHER),
        ("saw Doug saw", book.OTHER),
    ],
)
def test_sentences_are_judged_by_their_words(sentence: str, kind: str) -> None:
    """One of each kind, by hand; what does not alternate between names and `saw` is no sentence at all."""
    assert book.judge(tuple(sentence.split())) == kind
