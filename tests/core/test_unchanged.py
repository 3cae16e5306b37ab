"""What counts as a told object in an answer."""

from core.unchanged import newly_said, says


def test_words_are_compared_whole_and_in_any_case() -> None:
    assert says("She is a Nurse.", "nurse")
    assert says("made of oranges", "orange")
    assert not says("the nursery", "nurse")


def test_only_what_the_answer_before_did_not_say_is_newly_said() -> None:
    assert newly_said("He lives in Lisbon.", "He lives in Rome.", {"Lisbon", "Oslo"})
    assert not newly_said("He is from Lisbon.", "He lives in Lisbon.", {"Lisbon", "Oslo"})
    assert not newly_said("He lives in Porto.", "He lives in Rome.", {"Lisbon", "Oslo"})
