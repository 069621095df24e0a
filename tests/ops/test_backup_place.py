"""A folder and a bucket keep what is put into them alike."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.backup_objects import client_of
from ops.backup_place import Place, place_at
from ops.children import Cannot
from storage.settings import Settings


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, stores: Settings) -> Place:
    """An empty one of each kind."""
    if request.param == "folder":
        return place_at(str(tmp_path / "place"))
    client = client_of(stores)
    if not client.bucket_exists("backups"):
        client.make_bucket("backups")
    keys = f"{stores.s3_access_key}:{stores.s3_secret_key}"
    host = stores.s3_endpoint.removeprefix("http://")
    return place_at(f"http://{keys}@{host}/backups/{os.urandom(4).hex()}")


def test_what_is_put_is_there_until_it_is_deleted(place: Place) -> None:
    """In parts larger than one of S3's, under names in order; deleting twice is no error."""
    content = os.urandom(20 << 20)
    pieces = [content[at : at + 1_000_003] for at in range(0, len(content), 1_000_003)]
    size, _ = place.put("a/two", pieces)
    place.put("a/one", [b"", b"x", b""])
    assert size == len(content)
    assert b"".join(place.get("a/two")) == content
    assert place.names("a") == ["a/one", "a/two"]
    place.put("a/one", [b"y"])
    assert b"".join(place.get("a/one")) == b"y"
    place.delete("a/one")
    place.delete("a/one")
    assert place.names("a") == ["a/two"]
    with pytest.raises(Cannot, match="hole: a/one"):
        b"".join(place.get("a/one"))


def test_a_stream_that_breaks_off_leaves_nothing(place: Place) -> None:
    """Neither half of it nor a file beside it."""

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise Cannot("away")

    with pytest.raises(Cannot, match="away"):
        place.put("b/half", broken())
    assert place.names("b") == []


def test_the_keys_of_a_bucket_are_never_shown(place: Place, stores: Settings) -> None:
    """Its name in a sentence holds no secret; an address without keys is refused."""
    assert stores.s3_secret_key not in str(place)
    with pytest.raises(Cannot, match="is not like"):
        place_at("https://s3.example.org/bucket")
