"""Sentences for what leaves the server as text: the page's own catalogues, read from its sources.

A person reads the same words in a letter and on the screen, and a sentence that is missing in one
of the three languages fails the page's tests.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

CATALOGUES = Path(__file__).resolve().parents[1] / "web" / "src" / "i18n"
LANGUAGES = ("ru", "tt", "en")
_PARAM = re.compile(r"\{(\w+)\}")


class NoSentence(Exception):  # noqa: N818 - a mistake of ours, named as the fact
    """No catalogue has this key."""


@lru_cache(maxsize=64)
def catalogue(language: str, feature: str) -> Mapping[str, str | dict[str, str]]:
    """Give every sentence of a feature; a plural one by its forms."""
    if language not in LANGUAGES or not feature.isidentifier():
        raise NoSentence(f"{language}/{feature}")
    found: dict[str, str | dict[str, str]] = json.loads(
        (CATALOGUES / language / f"{feature}.json").read_text(encoding="utf-8")
    )
    return found


def sentence(language: str, key: str, params: Mapping[str, str | int] | None = None) -> str:
    """Give the sentence `feature.key` in a language; `count` chooses its plural form.

    Raises NoSentence.
    """
    feature, _, name = key.partition(".")
    message = catalogue(language if language in LANGUAGES else "ru", feature).get(name)
    if message is None:
        raise NoSentence(key)
    given = params or {}
    if isinstance(message, dict):
        message = message[plural_form(language, int(given.get("count", 0)))]
    return _PARAM.sub(lambda found: str(given.get(found[1], found[0])), message)


def decimal(language: str, number: float) -> str:
    """Write a number as the language does: only English has a point."""
    written = f"{number:g}"
    return written if language == "en" else written.replace(".", ",")


def plural_form(language: str, count: int) -> str:
    """CLDR's form for a whole number; a Tatar noun stays singular after a numeral."""
    if language == "en":
        return "one" if count == 1 else "other"
    if language != "ru":
        return "other"
    tens, ones = abs(count) % 100, abs(count) % 10
    if ones == 1 and tens != 11:  # noqa: PLR2004 - CLDR's rule is made of such numbers
        return "one"
    few = 2 <= ones <= 4 and not 12 <= tens <= 14  # noqa: PLR2004
    return "few" if few else "many"
