"""Results in words: numbers as text, and what the headline says."""

from __future__ import annotations

import numpy as np
import pytest
from made_results import ARMS, growing, results

from reglab.pictures.words import blocks, estimate, even, measured, number, sentence, tally

NUMBERS = {0: "0", 0.5: "0.50", -1.234: "−1.23", 0.0123456: "0.0123", -1e-5: "−1e−05", 1234.5: "1.23e+03"}


@pytest.mark.parametrize(("value", "text"), [*NUMBERS.items(), (float("nan"), "none")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def said(effect: float, seeds: int = 6) -> str:
    data = results(seeds, effect=effect)
    data["score"][1] = data.score[0] + effect + np.linspace(-0.05, 0.06, seeds)[:, None]
    return sentence(data, "score", ARMS)


def test_a_clear_difference_is_said_with_its_direction() -> None:
    for effect, word in ((0.3, "higher"), (-0.3, "lower")):
        text = said(effect)
        for part in (word, "plain", "new", "6 seeds", "At time 8", "score", "95 % interval"):
            assert part in text
        assert "no clear difference" not in text


def test_an_interval_around_zero_is_no_clear_difference() -> None:
    text = said(0.0)
    for part in ("no clear difference", "plain", "new", "6 seeds", "may be random variation"):
        assert part in text


def test_one_seed_may_be_chance() -> None:
    assert "one seed gives no interval, so this may be random variation" in said(0.3, seeds=1)


def test_the_sentence_says_the_numbers() -> None:
    data = results()
    last = data.score.isel(time=-1).mean("seed")
    text = sentence(data, "score", ARMS)
    for arm in ("plain", "new"):
        assert number(float(last.sel(arm=arm))) in text
    assert sentence(growing(data, 0), "score", ARMS) == "Nothing to report yet."
    assert f"At time 8: score {number(float(last.mean()))}" not in text
    assert "At time 3" in sentence(growing(data, 4), "score", ARMS)


def test_without_a_pair_of_arms_the_sentence_says_the_mean() -> None:
    data = results().sel(arm="new").drop_vars("arm")
    assert "score 0.7" in sentence(data, "score", {})


def test_an_arm_without_the_headline_quantity_does_not_silence_the_sentence() -> None:
    data = results()
    text = sentence(data, "score", ARMS)
    data["score"][2] = np.nan
    assert sentence(data, "score", ARMS) == text


def test_blocks_of_seeds_in_words() -> None:
    assert blocks([0, 0]) == "the building seeds 0, 1, …"
    assert blocks([2000, 0]) == "the building seeds 0, 1, … and exam seeds 2000, 2001, …"


def test_verdicts_are_counted_in_a_sentence() -> None:
    verdicts = ["holds", "unclear", "unclear", "does not hold", "does not hold"]
    assert tally(verdicts, " of 2 papers") == "Of 5 claims of 2 papers, 1 holds, 2 are unclear and 2 do not hold."
    assert tally(["unclear"]) == "Of 1 claim, 0 hold, 1 is unclear and 0 do not hold."


def test_an_effect_is_written_with_its_interval_if_it_has_one() -> None:
    assert measured(0.25, 0.125, 0.5) == "0.25 [0.12, 0.50]"
    assert measured(0.25, 0.125, 0.5, " lower") == "0.25 lower [0.12, 0.50]"
    assert estimate(0.25, 0.125, 0.5) == "0.25 (95 % interval 0.12 to 0.50)"
    assert estimate(0.25, np.nan, np.nan) == number(0.25)
    assert measured(0.25, None, None) == number(0.25) and measured(None, None, None) == "not defined"


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((0.05, -0.0032, 0.1032), ["0.05", "0.00", "0.10"]),  # half the interval is 0.053
        ((0.836, 0.8325, 0.8395), ["0.836", "0.833", "0.840"]),
        ((-0.0016, -0.0032, 0.0001), ["−0.0016", "−0.0032", "0.0001"]),
        ((1234.5, 1200, 1269), ["1234", "1200", "1269"]),
        ((0.5, 0.5, 0.5), ["0.50", "0.50", "0.50"]),  # no interval: each alone
        ((1e-9, 0, 2e-9), ["0", "0", "0"]),
        ((3e6, 2e6, 4e6), ["3e+06", "2e+06", "4e+06"]),
        ((0.5, np.nan, np.nan), ["0.50", "none", "none"]),
        ((0.5, 0.3, 0.7, 0.123, 5), ["0.50", "0.30", "0.70", "0.12", "5.00"]),
    ],
)
def test_numbers_that_belong_together_have_the_same_decimals(values: tuple[float, ...], texts: list[str]) -> None:
    assert even(*values) == texts


def test_an_interval_ends_where_no_value_can_be() -> None:
    data = results().sel(arm="new").drop_vars("arm")
    data["score"][:, -1] = [0.8, 1, 1, 1, 1, 1]
    assert "0.97 (95 % interval 0.88 to 1.00, 6 seeds)" in sentence(data, "score", {})
