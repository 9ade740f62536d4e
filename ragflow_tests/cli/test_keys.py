"""``ragflow keys``: a key is shown once, listed without its secret, and taken back."""

from __future__ import annotations

from pathlib import Path

from ragflow.store.keys import KeyStore
from ragflow_tests.e2e.launcher import Launcher


def test_a_key_is_made_shown_once_listed_and_revoked(launcher: Launcher, tmp_path: Path) -> None:
    empty = launcher.run(tmp_path, "keys", "list")
    assert empty.exit_code == 0 and "ragflow keys add" in empty.stdout
    made = launcher.run(tmp_path, "keys", "add", "the web page", "--scope", "search", "--days", "30", "--json")
    assert made.exit_code == 0, made.stderr
    token, identifier = made.json["key"], made.json["id"]
    assert token.startswith(f"rfk_{identifier}_") and made.json["scopes"] == ["search"]
    assert made.json["state"] == "active" and made.json["expires_at"] is not None
    found = KeyStore(tmp_path / "secrets").find(token)
    assert found is not None and found.name == "the web page"

    secret = token.split("_")[2]
    listed = launcher.run(tmp_path, "keys", "list", "--json")
    assert [entry["id"] for entry in listed.json["keys"]] == [identifier]
    told = launcher.run(tmp_path, "keys", "list")
    assert identifier in told.stdout and "'the web page'" in told.stdout and "active" in told.stdout
    for done in (listed, told):
        assert secret not in done.stdout + done.stderr and found.secret_sha256 not in done.stdout + done.stderr

    gone = launcher.run(tmp_path, "keys", "revoke", identifier, "--json")
    assert gone.exit_code == 0 and gone.json["state"] == "revoked" and gone.json["was_active"]
    assert "revoked" in launcher.run(tmp_path, "keys", "list").stdout
    again = launcher.run(tmp_path, "keys", "revoke", identifier, "--json")
    assert again.exit_code == 0 and not again.json["was_active"]
    assert again.json["revoked_at"] == gone.json["revoked_at"]


def test_for_a_person_the_key_stands_on_a_line_of_its_own(launcher: Launcher, tmp_path: Path) -> None:
    made = launcher.run(tmp_path, "keys", "add", "me")
    assert made.exit_code == 0, made.stderr
    token = made.stdout.splitlines()[0]
    found = KeyStore(tmp_path / "secrets").find(token)
    assert found is not None and sorted(found.scopes) == ["read", "search"]
    assert "only now" in made.stdout and token not in made.stderr
    # Whoever gives the whole key means the same one; it is not repeated.
    gone = launcher.run(tmp_path, "keys", "revoke", token)
    assert gone.exit_code == 0 and token not in gone.stdout + gone.stderr
    assert not KeyStore(tmp_path / "secrets").has_active()


def test_wrong_usage(launcher: Launcher, tmp_path: Path) -> None:
    for arguments, code, words in (
        (("add", " "), 2, "needs a name"),
        (("add", "me", "--scope", "everything"), 2, "'search', 'read', 'metrics'"),
        (("add", "me", "--days", "0"), 2, "0 days"),
        (("revoke", "aaaaaaaa"), 3, "no key with this id"),
    ):
        done = launcher.run(tmp_path, "keys", *arguments)
        assert done.exit_code == code and words in done.stderr, done.stderr
    assert not (tmp_path / "secrets" / "keys.json").exists()


def test_a_file_that_cannot_be_used_is_named(launcher: Launcher, tmp_path: Path) -> None:
    assert launcher.run(tmp_path, "keys", "add", "me").exit_code == 0
    path = tmp_path / "secrets" / "keys.json"
    path.chmod(0o644)
    done = launcher.run(tmp_path, "keys", "list")
    assert done.exit_code == 2 and f"chmod 600 {path}" in done.stderr
    path.chmod(0o600)
    path.write_text("{torn")
    done = launcher.run(tmp_path, "keys", "list")
    assert done.exit_code == 4 and "damaged" in done.stderr
