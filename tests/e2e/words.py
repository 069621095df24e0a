"""The catalogues of the pages, so that a test can look for a sentence in the reader's language."""

import json
import re
from typing import Any

from house import ROOT

LANGUAGES = ("ru", "tt", "en")


def catalogue(language: str, feature: str) -> dict[str, Any]:
    """All sentences of one feature in one language."""
    path = ROOT / "web" / "src" / "i18n" / language / f"{feature}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def sentence(language: str, key: str, **params: object) -> str:
    """One sentence with its parameters filled in, as the page shows it."""
    feature, name = key.split(".")
    text = str(catalogue(language, feature)[name])
    return re.sub(r"\{(\w+)\}", lambda match: str(params[match[1]]), text)
