"""The servers do what the tests need of them: the good ones heed conditions, the bad one does not."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import obstore
import pytest

# Few: SeaweedFS lets writers of one key wait for a second each.
WRITERS = 4
ROUNDS = 2


def race(write):
    """Calls `write` from many threads at once. Returns the bytes of those that were told that they won."""
    start = threading.Barrier(WRITERS)

    def writer(_):
        mine = uuid.uuid4().hex.encode()
        start.wait()
        try:
            write(mine)
        # A swap that lost is told so, or that it is in conflict with another.
        except (obstore.exceptions.AlreadyExistsError, obstore.exceptions.PreconditionError):
            return None
        return mine

    with ThreadPoolExecutor(WRITERS) as pool:
        return [won for won in pool.map(writer, range(WRITERS)) if won]


def test_one_of_many_writers_makes_an_object(store):
    client = store.client()
    for turn in range(ROUNDS):
        key = f"races/make-{turn}"
        [won] = race(lambda mine: obstore.put(client, key, mine, mode="create"))
        assert obstore.get(client, key).bytes() == won


def test_one_of_many_writers_replaces_an_object(store):
    client = store.client()
    obstore.put(client, "races/swap", b"first")
    for _ in range(ROUNDS):
        found = obstore.head(client, "races/swap")
        tag = {name: found[name] for name in ("e_tag", "version") if found[name]}
        [won] = race(lambda mine: obstore.put(client, "races/swap", mine, mode=tag))
        assert obstore.get(client, "races/swap").bytes() == won


def test_bad_store_tells_every_writer_that_it_won(bad_store):
    client = bad_store.client()
    won = race(lambda mine: obstore.put(client, "races/make", mine, mode="create"))
    assert len(won) == WRITERS


@pytest.mark.parametrize("key", ["a b", "day=2025-06-01/a", "100%25", "ñandú", "a+b"])
def test_keys_with_special_characters(store, key):
    client = store.client()
    obstore.put(client, f"keys/{key}", b"here")
    assert f"keys/{key}" in [entry["path"] for page in obstore.list(client, "keys") for entry in page]
    assert obstore.get(client, f"keys/{key}").bytes() == b"here"


def test_long_listings_are_whole_and_sorted(store):
    client = store.client()
    # One more than a page.
    made = sorted(f"long/{number % 20}/{number}" for number in range(1_001))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: obstore.put(client, key, b"-"), made))
    listed = [entry["path"] for page in obstore.list(client, "long") for entry in page]
    assert listed == made
    found = obstore.list_with_delimiter(client, "long")
    assert found["common_prefixes"] == sorted({key.rpartition("/")[0] for key in made})


def test_large_objects_in_parts(store):
    client = store.client()
    data = b"a" * (6 << 20) + b"b" * (6 << 20)
    obstore.put(client, "large", data, use_multipart=True, chunk_size=5 << 20)
    assert obstore.head(client, "large")["size"] == len(data)
    middle = 6 << 20
    assert obstore.get_range(client, "large", start=middle - 2, end=middle + 2) == b"aabb"
    obstore.delete(client, ["large"])
    with pytest.raises(FileNotFoundError):
        obstore.head(client, "large")
