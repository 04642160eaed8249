"""`keys` and `webhooks`: commands that work on the database, also while a server uses it."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from media_server.cli.options import command, database_options, settings
from media_server.counted import counted
from media_server.errors import MediaServerError

if TYPE_CHECKING:
    from media_server.store import Database, Keys, Outbox, Scope

__all__ = ["add"]

T = TypeVar("T")

WEBHOOKS = """\
Messages that could not be delivered are tried again for more than a day. Then they are dead: listed, and kept for
a week.
"""
KEYS = """\
Keys are for programs: a backend that starts calls or mints tokens for its pages.

As long as there was never one, the server is open to this machine, and listens on it only. From the first key on, every
call needs a key, a token, or an agent that allows the page's origin. Revoking the last key does not open the server
again: that is done by `keys open` alone.
"""

USE = """\
Commands take it from MEDIA_SERVER_KEY or --key, programs
show it as the header "Authorization: Bearer sk_...".\
"""
FIRST = """\
It is the first key: from now on every call needs a key, a token (media-server tokens AGENT), or an agent whose
allowed_origins has the page's address. The server's own page needs one of these as well."""
CLOSED = """\
No key is good now, and the server stays closed: nobody gets in but pages whose origin an agent allows. Make another key
(media-server keys create NAME), or open the server to whoever reaches it (media-server keys open)."""


def add(commands: Any) -> None:
    _add_keys(commands)
    _add_webhooks(commands)


def _add_keys(commands: Any) -> None:
    keys = command(commands, "keys", "create, list and revoke API keys", KEYS)
    actions = keys.add_subparsers(title="actions", metavar="ACTION")
    create = command(actions, "create", "create a key (the secret is shown only once)", "Make a key and print it.")
    create.add_argument("name", help="what it is for")
    create.add_argument(
        "--scope",
        action="append",
        choices=["call", "admin"],
        help="call: start calls and mint tokens (default); admin: everything; may be given twice",
    )
    create.add_argument("--agent", action="append", metavar="NAME", help="only for this agent; may be repeated")
    create.add_argument(
        "--origin", action="append", metavar="ORIGIN", help="pages that may use it, like https://*.site.com; repeatable"
    )
    create.add_argument("--tenant", default="", help="whose agents and calls it is for (the operator's)")
    create.add_argument("--per-minute", type=int, metavar="N", help="calls and tokens in a minute")
    create.add_argument("--max-calls", type=int, metavar="N", help="calls at once, on each server")
    create.add_argument("--credit", type=float, metavar="X", help="credit for calls (see price_per_minute)")
    create.set_defaults(run=_keys_create)
    credit = command(actions, "credit", "add credit for calls", "Add to the credit of a key.")
    credit.add_argument("id", help="as listed")
    credit.add_argument("amount", type=float, help="how much")
    credit.set_defaults(run=_keys_credit)
    listing = command(actions, "list", "list all keys, without their secrets", "List all keys.")
    listing.set_defaults(run=_keys_list)
    revoke = command(actions, "revoke", "revoke a key", "Revoke a key and the tokens it minted.")
    revoke.add_argument("id", help="as listed")
    revoke.set_defaults(run=_keys_revoke)
    opening = command(
        actions,
        "open",
        "open the server again, once all keys are revoked",
        "Forget the revoked keys, so that the server asks nobody for a key. Refused as long as a key is good.",
    )
    opening.set_defaults(run=_keys_open)
    for action in (create, credit, listing, revoke, opening):
        database_options(action)


def _add_webhooks(commands: Any) -> None:
    webhooks = command(commands, "webhooks", "list deliveries of webhooks, and try dead ones again", WEBHOOKS)
    actions = webhooks.add_subparsers(title="actions", metavar="ACTION")
    listing = command(actions, "list", "the newest deliveries", "List deliveries, the newest first.")
    listing.add_argument("--state", choices=["pending", "delivered", "dead"], help="only these")
    listing.set_defaults(run=_webhooks_list)
    retry = command(actions, "retry", "try dead deliveries again", "Try a dead delivery again, or all.")
    retry.add_argument("id", nargs="?", help="as listed; all where none is given")
    retry.set_defaults(run=_webhooks_retry)
    for action in (listing, retry):
        database_options(action)


def _keys_create(args: argparse.Namespace) -> int:
    from media_server.agents.origins import check_pattern
    from media_server.store import MAX_LIMIT, MAX_TENANT, TENANT

    if not 1 <= len(args.name.strip()) <= 100:
        raise MediaServerError("bad_option", "The name says what the key is for, in 1 to 100 characters.")
    for option, value, least in (
        ("--per-minute", args.per_minute, 1),
        ("--max-calls", args.max_calls, 1),
        ("--credit", args.credit, 0),
    ):
        if value is not None and not least <= value <= MAX_LIMIT:
            raise MediaServerError("bad_option", f"{option} is a number from {least} to {MAX_LIMIT:,}, not {value:g}.")
    for name in args.agent or ():
        if not re.fullmatch(r"[^\s/]{1,64}", name):
            raise MediaServerError("bad_option", f"--agent is the name of an agent, which {name!r} cannot be.")
    if len(args.tenant) > MAX_TENANT or not re.fullmatch(TENANT, args.tenant):
        raise MediaServerError(
            "bad_option", f"--tenant has letters, digits, -, _ and ., and 64 of them at most, not {args.tenant!r}."
        )
    try:
        for origin in args.origin or ():
            check_pattern(origin)
    except ValueError as e:
        raise MediaServerError("bad_option", f"--origin: {e}.") from e
    scopes: tuple[Scope, ...] = tuple(args.scope or ("call",))
    secret, key = asyncio.run(
        _with_keys(
            args,
            lambda keys: keys.create(
                args.name,
                scopes,
                args.agent,
                args.origin,
                args.per_minute,
                args.tenant,
                args.credit,
                args.max_calls,
            ),
        )
    )
    print(secret)
    print(f"This is key {key.id}. Keep it now: only its hash is stored. {USE}", file=sys.stderr)
    if len(asyncio.run(_with_keys(args, lambda keys: keys.all()))) == 1:
        print(FIRST, file=sys.stderr)
    return 0


def _keys_credit(args: argparse.Namespace) -> int:
    from media_server.store import MAX_LIMIT

    if not 0 < args.amount <= MAX_LIMIT:
        raise MediaServerError("bad_option", f"What is added is above 0 and at most {MAX_LIMIT}, not {args.amount:g}.")
    _need_database(args)
    now = asyncio.run(_with_keys(args, lambda k: k.add_credit(args.id, args.amount)))
    if now is None:
        raise MediaServerError("unknown_key", f"There is no key {args.id!r}; media-server keys list shows them.")
    print(f"{args.id} has a credit of {now:g}.")
    return 0


def _keys_list(args: argparse.Namespace) -> int:
    nowhere = _no_database(args)
    keys = [] if nowhere else asyncio.run(_with_keys(args, lambda k: k.all()))
    for key in keys:
        made = time.strftime("%Y-%m-%d", time.localtime(key.created_at))
        state = "revoked" if key.revoked_at else "good"
        limits = {
            "tenant": key.tenant or None,
            "agents": key.agents,
            "origins": key.origins,
            "per minute": key.per_minute,
            "calls at once": key.max_calls,
            "credit": None if key.credit is None else round(key.credit, 4),
        }
        given = {k: " ".join(v) if isinstance(v, tuple) else v for k, v in limits.items() if v is not None}
        only = "  ".join(f"{k}: {v}" for k, v in given.items())
        print(f"{key.id}  {state:<8} {made}  {'+'.join(key.scopes):<10} {key.name}  {only}".rstrip())
    if not keys:
        print("No API keys. Anyone who can reach the server can call.")
        if nowhere:
            print(nowhere, file=sys.stderr)
    elif all(key.revoked_at for key in keys):
        print(CLOSED)
    return 0


def _keys_revoke(args: argparse.Namespace) -> int:
    _need_database(args)
    if not asyncio.run(_with_keys(args, lambda k: k.revoke(args.id))):
        raise MediaServerError("unknown_key", f"There is no key {args.id!r}; media-server keys list shows them.")
    print(f"{args.id} is revoked.")
    if all(key.revoked_at for key in asyncio.run(_with_keys(args, lambda k: k.all()))):
        print(CLOSED)
    return 0


def _keys_open(args: argparse.Namespace) -> int:
    _need_database(args)
    forgotten = asyncio.run(_with_keys(args, lambda k: k.forget_revoked()))
    if forgotten is None:
        raise MediaServerError("keys_good", "There are keys that are good: revoke them first (media-server keys list).")
    keys = counted(forgotten, "revoked key is", "revoked keys are")
    print(f"{keys} forgotten: the server is open to whoever reaches it.")
    return 0


def _webhooks_list(args: argparse.Namespace) -> int:
    nowhere = _no_database(args)
    deliveries = [] if nowhere else asyncio.run(_with_outbox(args, lambda outbox: outbox.all(args.state)))
    for d in deliveries:
        line = f"{d.message_id}  {d.state:<9} {d.attempts:>2}x  {d.type:<16} {d.call_id}  {d.url}  {d.error or ''}"
        print(line.rstrip())
    if not deliveries:
        print("There are none.")
        if nowhere:
            print(nowhere, file=sys.stderr)
    return 0


def _webhooks_retry(args: argparse.Namespace) -> int:
    _need_database(args)
    count = asyncio.run(_with_outbox(args, lambda outbox: outbox.retry(args.id)))
    if args.id and not count:
        raise MediaServerError("unknown_delivery", f"There is no dead delivery {args.id!r}.")
    print(f"{counted(count, 'delivery', 'deliveries')} will be tried again within a minute.")
    return 0


def _no_database(args: argparse.Namespace) -> str:
    """What is said where there is no database yet, which is not made to look into it; empty where there is one."""
    from media_server.store import missing_file

    file = missing_file(settings(args).database)
    return f"There is no database {file} yet. Another one is named with --database or --config." if file else ""


def _need_database(args: argparse.Namespace) -> None:
    if nowhere := _no_database(args):
        raise MediaServerError("no_database", nowhere)


async def _with_outbox(args: argparse.Namespace, ask: Callable[[Outbox], Awaitable[T]]) -> T:
    from media_server.store import Outbox

    return await _with_database(args, lambda database: ask(Outbox(database, "", [])))


async def _with_keys(args: argparse.Namespace, ask: Callable[[Keys], Awaitable[T]]) -> T:
    from media_server.store import Keys

    return await _with_database(args, lambda database: ask(Keys(database)))


async def _with_database(args: argparse.Namespace, ask: Callable[[Database], Awaitable[T]]) -> T:
    from sqlalchemy.exc import SQLAlchemyError

    from media_server.store import Database, not_written

    async with Database.open(settings(args).database) as database:
        try:
            return await ask(database)
        except SQLAlchemyError as failed:
            raise not_written(failed) from failed
