"""Every act that the audit keeps has a sentence for whoever reads it, in three languages."""

import ast
import json
from functools import cache
from pathlib import Path

import pytest

from people.policy import Act

ROOT = Path(__file__).parents[2]
ROOMS = ("people", "telemed", "eschool", "api")
# What keeps an act, and helpers that pass it on; its word is their third or fourth argument.
KEEPERS = frozenset({"acted", "_kept", "_told", "_changed"})


@cache
def codes() -> set[str]:
    """Words that are given to the audit where they are written down."""
    found = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            found |= {code for call in ast.walk(ast.parse(path.read_text())) for code in _of(call)}
    return found


def _of(call: ast.AST) -> set[str]:
    if not isinstance(call, ast.Call):
        return set()
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    if name not in KEEPERS:
        return set()
    inside = [node for argument in call.args[2:4] for node in ast.walk(argument)]
    return {n.value for n in inside if isinstance(n, ast.Constant) and isinstance(n.value, str)}


@pytest.mark.parametrize("language", ["ru", "tt", "en"])
def test_every_act_has_a_sentence(language: str) -> None:
    """Those of the policy too: an attempt at any of them is kept."""
    path = ROOT / "web" / "src" / "i18n" / language / "looked.json"
    said = {key.removeprefix("act_") for key in json.loads(path.read_text()) if "act_" in key}
    given_to_all = {Act.SIGN_IN.value, Act.LOOK_AT_SERVICE.value}  # nobody is refused these
    assert {"signed_in", "visit_closed", "card_issued"} <= codes()
    assert (codes() | {act.value for act in Act}) - given_to_all - said == set()
