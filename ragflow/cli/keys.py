"""``ragflow keys``: who may use the search service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ragflow.cli.console import emit
from ragflow.model.keys import Key, KeyState, Scope, parse_token
from ragflow.settings import load_settings
from ragflow.store.keys import KeyStore

keys = typer.Typer(
    name="keys",
    help="Keys of the search service: who may use it, and for what.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

USUAL_SCOPES = (Scope.SEARCH, Scope.READ)


def _store() -> KeyStore:
    return KeyStore(load_settings().workspace().home.root / "secrets")


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="Whom or what the key is for.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it allows; may be given several times. None: search and read.")
    ] = None,
    days: Annotated[int | None, typer.Option(help="Days until it expires; none: it does not.")] = None,
) -> None:
    """Make a key and print it. It is shown this once: only a hash of it is kept."""
    key, token = _store().add(name, scope or USUAL_SCOPES, days=days)
    text = f"{token}\n\nKey {key.id} for {key.name!r}: {_allows(key)}, {_until(key)}.\nIt is shown only now: note it."
    emit({**key.row(datetime.now(UTC)), "key": token}, text)


@keys.command("list")
def list_keys() -> None:
    """List all keys, expired and revoked ones included; no secret is shown, for none is kept."""
    now = datetime.now(UTC)
    found = _store().all()
    emit({"keys": [key.row(now) for key in found]}, list_text(found, now))


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
) -> None:
    """Take a key back. A running service refuses it within a second."""
    # Whoever pastes the whole key means its id.
    whole = parse_token(key_id)
    key, was_active = _store().revoke(whole[0] if whole else key_id)
    answer: dict[str, Any] = {**key.row(datetime.now(UTC)), "was_active": was_active}
    emit(answer, f"Key {key.id} for {key.name!r} is revoked since {key.revoked_at}.")


def list_text(found: Sequence[Key], now: datetime) -> str:
    """Return the keys for a person."""
    if not found:
        return "There is no key. Make one with `ragflow keys add NAME`."
    return "\n".join(
        f"{key.id}  {key.state(now):<8} {_allows(key):<22} since {key.created_at[:10]}, {_until(key)}: {key.name!r}"
        for key in found
    )


def _allows(key: Key) -> str:
    return ", ".join(sorted(key.scopes))


def _until(key: Key) -> str:
    if key.state(datetime.now(UTC)) is KeyState.REVOKED:
        return f"revoked {str(key.revoked_at)[:10]}"
    return "does not expire" if key.expires_at is None else f"expires {key.expires_at[:16]}Z"
