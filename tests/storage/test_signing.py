"""Canonical JSON has one spelling, and a signature over it shows every changed bit."""

import pytest

from storage import canonical, signing
from storage.canonical import NotCanonical
from storage.signing import BadKey, Why

SEED = bytes(range(32))
PUBLIC = signing.public_of(SEED)
BODY = {"z": [1, None, True, {"ә": "җ"}], "a": 'ә ө ү җ ң һ \u2028\x7f\n"\\/', "n": 2**53 - 1}


def test_a_value_has_one_spelling_whatever_the_order_it_was_made_in() -> None:
    """Names in the order of UTF-16, as RFC 8785 asks for: an emoji stands before U+FB33."""
    assert canonical.dumps({"b": 1, "a": 2}) == b'{"a":2,"b":1}'
    assert canonical.dumps({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()
    assert canonical.loads(canonical.dumps(BODY)) == BODY


@pytest.mark.parametrize(
    "written",
    [
        *(
            b"",
            b"{",
            b'{"a": 1}',
            b'{"b":1,"a":2}',
            b'{"a":1,"a":1}',
            b"1.0",
            b"1e3",
            b"-0",
            b"NaN",
        ),
        *(b'"\\u0041"', b'"\\ud800"', b"9007199254740992", b"[" * 100, b"\xff", b"1\n"),
    ],
)
def test_another_spelling_is_refused(written: bytes) -> None:
    """Signed or not: two spellings of one value would be two documents."""
    with pytest.raises(NotCanonical):
        canonical.loads(written)


def test_every_changed_bit_of_a_signed_file_and_of_a_line_is_seen() -> None:
    """Of content, key id, signature, and of what holds them together."""
    file, line = signing.encode(signing.sign(SEED, BODY)), signing.line(SEED, {"c": "x"}).encode()
    assert signing.verify([bytes(32), PUBLIC], file).body == BODY
    for at in range(8 * len(file)):
        changed = bytearray(file)
        changed[at // 8] ^= 1 << at % 8
        assert not signing.verify([PUBLIC], bytes(changed)).genuine
    for at in range(7 * len(line)):
        changed = bytearray(line)
        changed[at // 7] ^= 1 << at % 7
        assert not signing.verify_line([PUBLIC], changed.decode()).genuine


def test_a_signature_for_one_purpose_serves_no_other() -> None:
    """A line is no document, and a key that was not given signs nothing."""
    line = signing.line(SEED, {"c": "x"})
    body = {"c": "x", "y": signing.key_id(PUBLIC)}
    signed = signing.Signed(body, signing.key_id(PUBLIC), line.partition(".")[2])
    assert signing.verify([PUBLIC], signed).why is Why.CHANGED
    assert signing.verify([], signing.sign(SEED, {})).why is Why.OTHER_KEY


def test_public_keys_are_read_from_pem_and_nothing_else_is_one() -> None:
    """Several in one file, as a house with several organisations hands them out."""
    other = signing.public_of(bytes(32))
    both = signing.pem(PUBLIC) + signing.pem(other)
    assert signing.public_keys_in(both) == [PUBLIC, other]
    for text in ("", "x", signing.pem(PUBLIC).replace("M", "N", 1)):
        with pytest.raises(BadKey):
            signing.public_keys_in(text)
