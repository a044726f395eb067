"""Catalogues: every text of the pages in every language, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from jwtauth.web.pages import templates

CATALOGUES: Final = sorted((templates() / "locale").glob("*.po"))


def texts() -> Iterator[str]:
    """What the templates have as `_("...")`."""
    for _, _, message, _, _ in extract_from_dir(
        templates(), [("**.html", "jinja2")], {"**.html": {"silent": "false"}}, keywords={"_": None}
    ):
        assert isinstance(message, str)
        yield message


TEXTS: Final = frozenset(texts())


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%(?:\([a-z_]+\)s|.?)", text))


@pytest.fixture(scope="module", params=CATALOGUES, ids=lambda path: path.stem)
def catalogue(request: pytest.FixtureRequest) -> Catalog:
    path: Path = request.param
    with path.open("rb") as file:
        return read_po(file, locale=path.stem.replace("-", "_"), abort_invalid=True)


class TestEveryCatalogue:
    def test_has_a_translation_of_every_text(self, catalogue: Catalog) -> None:
        translated = {message.id for message in catalogue if message.id and message.string}
        assert sorted(TEXTS - translated) == []

    def test_has_no_text_that_no_page_has(self, catalogue: Catalog) -> None:
        assert {message.id for message in catalogue if message.id} <= TEXTS
        assert not catalogue.obsolete

    def test_has_the_placeholders_of_the_english_text(self, catalogue: Catalog) -> None:
        differing = [
            message.id
            for message in catalogue
            if message.id and placeholders(str(message.id)) != placeholders(str(message.string))
        ]
        assert differing == []

    def test_is_certain_of_every_translation(self, catalogue: Catalog) -> None:
        """A fuzzy one is a guess of a tool, which the server would show all the same."""
        assert not catalogue.fuzzy
        assert [message.id for message in catalogue if message.id and message.fuzzy] == []

    def test_ends_its_texts_as_english_does(self, catalogue: Catalog) -> None:
        differing = [
            message.id
            for message in catalogue
            if message.id and str(message.id)[-1] in ".:?…" and str(message.string)[-1] != str(message.id)[-1]
        ]
        assert differing == []

    def test_says_which_language_it_is(self, catalogue: Catalog) -> None:
        assert catalogue.locale is not None
        assert dict(catalogue.mime_headers)["Language"] == str(catalogue.locale)

    def test_has_no_markup(self, catalogue: Catalog) -> None:
        """Translations are not escaped, as they come from us."""
        assert not [message.id for message in catalogue if message.id and re.search(r"[<>&]", str(message.string))]


class TestTexts:
    def test_are_found_in_the_templates(self) -> None:
        assert "Sign in" in TEXTS
        assert len(TEXTS) > 100

    def test_are_there_in_four_languages_with_english(self) -> None:
        assert {path.stem for path in CATALOGUES} >= {"de", "es", "fr"}

    def test_have_no_placeholder_but_named_ones(self) -> None:
        named = re.compile(r"%\([a-z_]+\)s")
        assert all(named.fullmatch(one) for text in TEXTS for one in placeholders(text))

    def test_are_written_with_printers_apostrophes_and_quotes(self) -> None:
        every = [(path.stem, path.read_text(encoding="utf-8")) for path in CATALOGUES]
        messages = {name: "\n".join(re.findall(r'^msgstr "(.*)"$', text, re.MULTILINE)) for name, text in every}
        messages["en"] = "\n".join(TEXTS)
        assert not [name for name, text in messages.items() if re.search(r"'|\\\"|\.\.\.", text)]

    def test_have_unbreakable_spaces_before_french_punctuation(self) -> None:
        text = (templates() / "locale" / "fr.po").read_text(encoding="utf-8")
        translations = "\n".join(re.findall(r'^msgstr "(.*)"$', text, re.MULTILINE))
        assert not re.findall(r".*(?<![\u00a0\u202f])[:;?!].*", translations)
