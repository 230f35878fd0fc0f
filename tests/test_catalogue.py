"""The list of papers: finding one, suggesting the nearest, and what its parts say."""

from __future__ import annotations

import pytest

from reglab import catalogue

NAME = catalogue.SLUGS[0]
SLUG = NAME.split("/")[1]


def test_a_paper_is_found_by_slug_and_by_full_name() -> None:
    assert catalogue.find(SLUG) == catalogue.find(NAME) == NAME
    assert catalogue.module(SLUG).PAPER is catalogue.paper(NAME)
    assert [paper.name for paper in catalogue.papers()] == list(catalogue.SLUGS)


@pytest.mark.parametrize("wrong", ["early_lerning", "labels/early_lerning", "noise/early_learning_"])
def test_a_misspelled_paper_suggests_the_nearest(wrong: str) -> None:
    with pytest.raises(KeyError, match=f"no paper named '{wrong}'; did you mean 'early_learning'"):
        catalogue.find(wrong)


def test_an_unknown_paper_lists_the_known() -> None:
    with pytest.raises(KeyError, match=f"known papers: .*{SLUG}"):
        catalogue.find("qqqq")


def test_experiments_are_found_by_name_whatever_its_case() -> None:
    first, second = catalogue.experiments(NAME)[:2]
    assert catalogue.experiment(NAME) is first
    assert catalogue.experiment(SLUG, second.__name__.upper()) is second
    with pytest.raises(KeyError, match=f"no experiment '{second.__name__}x'; did you mean '{second.__name__}'"):
        catalogue.experiment(NAME, second.__name__ + "x")


def test_slugs_are_unique_across_parts_and_their_parts_exist() -> None:
    parts, slugs = zip(*(name.split("/") for name in catalogue.SLUGS), strict=True)
    assert len(set(slugs)) == len(slugs)
    assert set(parts) <= set(catalogue.PARTS)
    order = list(catalogue.PARTS)
    assert list(parts) == sorted(parts, key=order.index)


def test_parts_say_what_unites_them() -> None:
    for part in catalogue.PARTS.values():
        assert 2 <= len(part.title.split()) <= 8 and 8 <= len(part.idea.split()) <= 40 and part.idea.endswith(".")


def test_papers_are_selected_by_name_or_part() -> None:
    slug = catalogue.SLUGS[0].split("/")[1]
    assert catalogue.select([slug, catalogue.SLUGS[1]]) == list(catalogue.SLUGS[:2])
    for part in catalogue.PARTS:
        assert catalogue.select([part]) == [name for name in catalogue.SLUGS if name.startswith(f"{part}/")]
    with pytest.raises(KeyError, match="did you mean"):
        catalogue.select(["early_lerning"])
