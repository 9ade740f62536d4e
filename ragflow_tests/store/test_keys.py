"""Keys of the search service: how they are written, kept, found, and taken back."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragflow.errors import IntegrityError, NotFoundError, UsageError
from ragflow.model import keys as model
from ragflow.model.keys import KeyState, Scope, format_token, parse_token
from ragflow.store.keys import KeyStore

BOTH = (Scope.SEARCH, Scope.READ)


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "secrets")


@given(st.binary(min_size=5, max_size=5), st.binary(min_size=32, max_size=32))
def test_a_key_is_read_as_it_was_written(identifier: bytes, secret: bytes) -> None:
    token = format_token(identifier, secret)
    assert parse_token(token) == (token[4:12], secret)
    assert base64.b32decode(token[4:12].upper()) == identifier
    assert len(token) == 65 and token.count("_") == 2


@given(st.binary(min_size=5, max_size=5), st.binary(min_size=32, max_size=32), st.integers(0, 64), st.characters())
def test_no_two_texts_are_the_same_key(identifier: bytes, secret: bytes, at: int, character: str) -> None:
    """Whatever one character becomes: it is no key, or another one."""
    token = format_token(identifier, secret)
    other = token[:at] + character + token[at + 1 :]
    read = parse_token(other)
    assert read is None or (read == parse_token(token)) == (other == token)


@given(st.text() | st.from_regex(r"rfk_[a-z2-7]{8}_[a-z2-7]{52}\s?", fullmatch=True))
def test_what_is_read_is_written_the_same_way(text: str) -> None:
    read = parse_token(text)
    if read is not None:
        assert format_token(base64.b32decode(read[0].upper()), read[1]) == text


def test_a_key_is_found_by_whoever_holds_it(store: KeyStore) -> None:
    assert store.all() == () and not store.has_active() and not store.root.exists()
    key, token = store.add("  the reading room ", BOTH)
    other, other_token = store.add("metrics", [Scope.METRICS], days=30)
    assert (key.name, key.scopes) == ("the reading room", frozenset(BOTH))
    assert store.find(token) == key and store.find(other_token) == other
    assert key.id == token.split("_")[1] != other.id
    assert store.all() == (key, other) and store.has_active()
    mixed = f"rfk_{key.id}_{other_token.split('_')[2]}"
    for wrong in (mixed, f"rfk_aaaaaaaa_{token.split('_')[2]}", token[:-1], token.upper(), f" {token}", "", key.id):
        assert store.find(wrong) is None


def test_only_a_hash_of_the_secret_is_kept_and_the_file_is_private(store: KeyStore) -> None:
    store.root.mkdir(mode=0o755)
    key, token = store.add("web", BOTH)
    secret = token.split("_")[2]
    kept = store.path.read_text()
    raw = base64.b32decode(secret.upper() + "====")
    assert key.secret_sha256 == hashlib.sha256(raw).hexdigest() and key.secret_sha256 in kept
    assert secret not in kept and secret not in repr(key) and key.secret_sha256 not in repr(key)
    assert "secret_sha256" not in key.row(datetime.now(UTC))
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.root.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in store.root.iterdir()) == ["keys.json", "keys.lock"]


def test_the_file_is_private_under_any_umask(store: KeyStore) -> None:
    before = os.umask(0)
    try:
        store.add("web", BOTH)
    finally:
        os.umask(before)
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_secrets_are_compared_in_constant_time(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real comparison runs; it is counted, for wrong secrets and for unknown ids alike."""
    _, token = store.add("web", BOTH)
    compared = []
    real = model.hmac.compare_digest

    def counted(one: str, other: str) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(model.hmac, "compare_digest", counted)
    wrong = format_token(b"12345", b"x" * 32)
    assert store.find(f"{token[:12]}{wrong[12:]}") is None and len(compared) == 1
    assert store.find(wrong) is None and len(compared) == 2
    assert store.find(token) is not None and len(compared) == 3


def test_a_key_ends_with_its_time(store: KeyStore) -> None:
    key, token = store.add("visitor", BOTH, days=2)
    forever, _ = store.add("house", BOTH)
    made = datetime.fromisoformat(key.created_at)
    assert key.state(made + timedelta(days=1, hours=23)) is KeyState.ACTIVE
    assert key.state(made + timedelta(days=2, seconds=1)) is KeyState.EXPIRED
    assert forever.state(made + timedelta(days=9999)) is KeyState.ACTIVE
    found = store.find(token)
    assert found is not None and found.state(made + timedelta(days=3)) is KeyState.EXPIRED


def test_a_key_is_taken_back_once(store: KeyStore) -> None:
    key, token = store.add("web", BOTH)
    other, _ = store.add("other", BOTH)
    gone, was_active = store.revoke(key.id)
    assert was_active and gone.revoked_at is not None
    assert store.revoke(key.id) == (gone, False)
    found = store.find(token)
    assert found is not None and found.state(datetime.now(UTC)) is KeyState.REVOKED
    assert store.all() == (gone, other)
    with pytest.raises(NotFoundError) as caught:
        store.revoke(token)
    assert token not in str(caught.value)


def test_another_process_is_noticed_at_once(store: KeyStore) -> None:
    key, token = store.add("web", BOTH)
    assert store.find(token) == key
    code = "import sys; from pathlib import Path; from ragflow.store.keys import KeyStore\n"
    revoke = code + "KeyStore(Path(sys.argv[1])).revoke(sys.argv[2])"
    subprocess.run([sys.executable, "-c", revoke, str(store.root), key.id], check=True)
    found = store.find(token)
    assert found is not None and found.state(datetime.now(UTC)) is KeyState.REVOKED
    assert not store.has_active()


def test_processes_that_add_at_the_same_time_lose_nothing(store: KeyStore) -> None:
    code = (
        "import sys; from pathlib import Path; from ragflow.model.keys import Scope\n"
        "from ragflow.store.keys import KeyStore\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for number in range(10): KeyStore(Path(sys.argv[1])).add(f'{sys.argv[2]} {number}', [Scope.READ])\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(store.root), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("first", "second")
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("go\n", timeout=60)
        assert process.returncode == 0
    names = {key.name for key in store.all()}
    assert names == {f"{name} {number}" for name in ("first", "second") for number in range(10)}
    assert len({key.id for key in store.all()}) == 20


@pytest.mark.parametrize(
    ("name", "scopes", "days"),
    [
        ("", BOTH, None),
        (" \n", BOTH, None),
        ("a\x1b[31m", BOTH, None),
        ("n" * 81, BOTH, None),
        ("web", (), None),
        ("web", BOTH, 0),
        ("web", BOTH, -1),
        ("web", BOTH, 3651),
    ],
)
def test_what_cannot_be_a_key(store: KeyStore, name: str, scopes: tuple[Scope, ...], days: int | None) -> None:
    with pytest.raises(UsageError) as caught:
        store.add(name, scopes, days=days)
    assert caught.value.remedy and store.all() == ()


def test_a_key_is_no_name(store: KeyStore) -> None:
    _, token = store.add("web", BOTH)
    with pytest.raises(UsageError) as caught:
        store.add(token, BOTH)
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{torn",
        b"[]",
        b'{"format": "ragflow-keys/9", "keys": []}',
        b'{"format": "ragflow-keys/1", "keys": [{}]}',
        b'{"format": "ragflow-keys/1", "keys": [7]}',
    ],
)
def test_a_damaged_file_is_named_and_not_written_over(store: KeyStore, damage: bytes) -> None:
    _, token = store.add("web", BOTH)
    store.path.write_bytes(damage)
    for act in (store.all, store.has_active, lambda: store.find(token), lambda: store.add("more", BOTH)):
        with pytest.raises(IntegrityError, match=r"keys\.json is damaged") as caught:
            act()
        assert caught.value.remedy
    assert store.path.read_bytes() == damage


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": ["everything"]},
        {"secret_sha256": "0" * 63},
        {"id": "UPPER777"},
        {"created_at": "yesterday"},
        {"expires_at": "2026-11-21T10:00:00"},
        {"name": 7},
        {"more": 1},
    ],
)
def test_an_entry_that_says_nonsense_is_damage(store: KeyStore, changes: dict[str, object]) -> None:
    key, _ = store.add("web", BOTH)
    store.path.write_bytes(orjson.dumps({"format": "ragflow-keys/1", "keys": [{**key.to_dict(), **changes}]}))
    with pytest.raises(IntegrityError) as caught:
        store.all()
    assert key.secret_sha256[:63] not in str(caught.value)


def test_two_entries_with_one_id_are_damage(store: KeyStore) -> None:
    key, _ = store.add("web", BOTH)
    store.path.write_bytes(orjson.dumps({"format": "ragflow-keys/1", "keys": [key.to_dict()] * 2}))
    with pytest.raises(IntegrityError):
        store.all()


@pytest.mark.parametrize(("target", "mode"), [("path", 0o640), ("path", 0o604), ("root", 0o770), ("root", 0o702)])
def test_a_file_that_others_can_read_or_replace_is_refused(store: KeyStore, target: str, mode: int) -> None:
    _, token = store.add("web", BOTH)
    path: Path = getattr(store, target)
    good = path.stat().st_mode & 0o777
    path.chmod(mode)
    with pytest.raises(UsageError, match=r"[Oo]thers than its owner") as caught:
        store.find(token)
    assert f"chmod {good:o} {path}" in caught.value.remedy
    path.chmod(good)
    assert store.find(token) is not None
