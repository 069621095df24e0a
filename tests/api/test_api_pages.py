"""The UI's files: a path, a folder, and nothing besides."""

from pathlib import Path

import pytest
from litestar.exceptions import NotFoundException

from api.pages import Pages


def test_a_folder_answers_with_its_index(tmp_path: Path) -> None:
    """So that /trust is an address people can type."""
    for name in ("index.html", "trust/index.html", "trust/trust.css"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    pages = Pages(tmp_path)
    found = {p: pages.answer(p, packed=False).content for p in ("", "trust", "trust/trust.css")}
    assert found == {
        "": b"index.html",
        "trust": b"trust/index.html",
        "trust/trust.css": b"trust/trust.css",
    }
    for missing in ("tru", "trust/nothing", "assets"):
        with pytest.raises(NotFoundException):
            pages.answer(missing, packed=False)
