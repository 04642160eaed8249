"""Who may do what: keys, tokens, tenants and the origins of pages."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections import deque
from collections.abc import Collection, Sequence

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from media_server.addresses import subscriber_of
from media_server.agents import Agent, AgentRegistry
from media_server.agents.origins import matches
from media_server.errors import ClientError
from media_server.http.door import Door
from media_server.http.own import is_own_page, session_cookie
from media_server.http.room_tokens import secret_of
from media_server.store import BY_ORIGIN, PREFIXES, Database, Grant, Key, Keys, Scope, TokenKind, Tokens
from media_server.switchboard import CallGrant, require_credit
from media_server.terms import Terms

__all__ = ["ACCESS", "FOREIGN", "SESSION_TTL_S", "TOKEN_TTL_S", "Access"]

log = logging.getLogger(__name__)

TOKEN_TTL_S = 60.0
SESSION_TTL_S = 12 * 3600.0
"""How long a key that was entered in the server's own page is remembered there."""
PAGES_PER_MINUTE = 20
"""Tokens for one address of a page that shows nothing but its origin."""
SHORT = PREFIXES["short"]
SESSION = PREFIXES["session"]
TOKENS = tuple(prefix for prefix in PREFIXES.values() if prefix != SESSION)
"""What tokens begin with; anything else is taken for a key, or for a session, which stands for one."""
REVOKED_EVERY_S = 2.0
"""How often somebody who stays is looked at again."""
OF_PROXIES = (
    "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-IP", "X-Client-IP", "True-Client-IP",
    "CF-Connecting-IP",
)  # fmt: skip
"""Headers by which a proxy gives itself away; not `X-Forwarded-Proto`, which one has to send that speaks TLS."""
MAX_COUNTED = 10_000
"""Addresses and keys whose rate is remembered."""
FOREIGN = web.RequestKey("foreign", str)
"""The origin of another site's page on a server without keys: what it may do is decided as if there were keys."""


class Access:
    """As long as there was never a key, this machine may use the server; from the first key on nobody may without.

    Args:
        own_names: by which the server is reached, beside its addresses and localhost.
        doors: whose clients show keys and tokens in their own way.
    """

    def __init__(
        self, database: Database, agents: AgentRegistry, own_names: Collection[str] = (), doors: Sequence[Door] = ()
    ) -> None:
        self.keys = Keys(database, [prefix for door in doors for prefix in door.key_prefixes])
        self.tokens = Tokens(database)
        self.own_names = frozenset(name.lower() for name in own_names)
        self._credential_names = ("token", *(name for door in doors for name in door.credential_names))
        self._agents = agents
        self._recent: dict[str, deque[float]] = {}
        self._forgiven: frozenset[str] = frozenset()
        """Revoked keys that do not keep the server closed, since the operator has opened it again."""

    def credential(self, request: web.Request) -> str | None:
        """The key or token that a request shows; of a room's token, what is secret in it."""
        shown = self._shown(request)
        return (secret_of(shown) or shown) if shown else None

    def _shown(self, request: web.Request) -> str | None:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            # browsers cannot set headers of a WebSocket; each protocol has its own name for it
            for name in self._credential_names:
                if token := request.query.get(name):
                    return token
            if (said := request.query.get("authorization", "")).startswith("Bearer "):
                return said.removeprefix("Bearer ").strip() or None
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and shown.strip():
            return shown.strip()
        return session_cookie(request)

    async def reopen(self) -> None:
        """Open a server that is closed by revoked keys alone; a key that is good, or made later, closes it."""
        keys = await self.keys.all()
        if keys and all(key.revoked_at is not None for key in keys):
            self._forgiven = frozenset(key.id for key in keys)
            log.warning("all API keys are revoked, and open = true: nobody has to show one")

    async def closed(self, request: web.Request | None = None) -> bool:
        """Whether a credential has to be shown: there is a key, or was; or the request is of another site's page."""
        return (request is not None and FOREIGN in request) or await self.keys.any(self._forgiven)

    async def key(
        self, request: web.Request, scope: Scope, counted: bool = True, shown: str | None = None
    ) -> Key | None:
        """The key that a request shows; None where there are no keys at all.

        Args:
            shown: where it is shown elsewhere than in the request's head.
            counted: whether the request is one of those that the key may make in a minute.

        Raises:
            ClientError: 401 `key_missing`, `key_unknown`, `key_revoked`; 403 `key_scope`, `key_origin`; 429
                `rate_limited`.
        """
        shown = shown or self.credential(request)
        if shown is not None and shown.startswith(SESSION):
            # a session is the cookie of the server's own pages; shown in any other way it is nothing
            key = await self._of_session(shown) if shown == session_cookie(request) else None
            shown = shown if key else None
        else:
            key = await self.keys.find(shown) if shown is not None else None
        if shown is None:
            await self._require_open(request, scope)
            return None
        if key is None and not await self.closed(request):
            # a program that cannot do without one shows any; nothing is asked for
            await self._require_open(request, scope)
            return None
        if key is None:
            raise _unauthorized("key_unknown", "There is no such API key.")
        if key.revoked_at is not None:
            raise _unauthorized("key_revoked", "This API key was revoked.")
        if not key.allows(scope):
            raise ClientError("key_scope", f"This API key is not for that: it lacks the scope {scope!r}.", status=403)
        origin = request.headers.get("Origin")
        # who entered the key in the server's own page holds it; other pages have to be named
        if origin is not None and not is_own_page(request) and not any(matches(origin, o) for o in key.origins or ()):
            raise ClientError("key_origin", f"This API key may not be used by pages of {origin}.", status=403)
        if counted:
            self._count_key(key)
        return key

    async def begin_session(self, key: Key) -> str:
        """A session in the server's own page that stands for this key, as long as the key is good."""
        return await self.tokens.mint("session", "", SESSION_TTL_S, key.id)

    async def _of_session(self, session: str) -> Key | None:
        """The key that a session stands for, revoked or not; None where it is over."""
        try:
            grant = await self.tokens.look(session, ("session",))
        except ClientError:
            return None
        return await self.keys.get(grant.key_id) if grant.key_id else None

    async def operator(self, request: web.Request) -> Key | None:
        """The key of the server's operator: with the scope `admin`, for all agents, and not a tenant's.

        Raises:
            ClientError: as `key` does.
            HTTPNotFound: the key is bound to a tenant or to agents; for those there is no such address.
        """
        key = await self.key(request, "admin")
        if key is not None and (key.tenant or key.agents is not None):
            raise web.HTTPNotFound
        return key

    async def start(self, request: web.Request, agent: str | None, kind: TokenKind) -> tuple[str, CallGrant]:
        """Who is called, and on whose account; without `agent` the token that the request shows says it.

        Raises:
            ClientError: what `start_call` or `start_with_token` raises; 400 `bad_request` where nobody says it.
        """
        if agent is not None:
            return agent, await self.start_call(request, agent, kind)
        shown = self.credential(request)
        if shown is None or not shown.startswith(TOKENS):
            raise ClientError("bad_request", "agent: say who is called, or show a token, which says it.")
        return await self.start_with_token(shown, kind)

    async def start_call(self, request: web.Request, agent: str, kind: TokenKind) -> CallGrant:
        """Find out on whose account this call may start.

        Raises:
            ClientError: what `key` raises, and what `Tokens.use` raises; 403 `key_agent`, 402 `no_credit`.
        """
        shown = self.credential(request)
        if shown is None and FOREIGN in request:
            await self.page(request, agent)
            return CallGrant()
        if shown is None or not shown.startswith(TOKENS):
            key = await self.key(request, "call")
            self.agent(key, agent)
            return _start(key)
        short = shown.startswith(SHORT)
        grant = await (self.tokens.short(shown) if short else self.tokens.use(shown, kind, agent))
        key = await self.minter(grant)
        if short and key is not None:
            self._count_key(key)  # each call; of other tokens their minting was counted
        self.agent(key, agent)
        return _start(key, grant.terms)

    async def start_with_token(self, token: str, kind: TokenKind) -> tuple[str, CallGrant]:
        """Who is called with a token, and on whose account.

        Raises:
            ClientError: what `Tokens.use` and `minter` raise; 402 `no_credit`; 404 `unknown_agent`, also where the
                agent of that name is another tenant's by now.
        """
        grant = await self.tokens.use(token, kind, None)
        key = await self.minter(grant)
        self.agent(key, grant.agent)
        return grant.agent, _start(key, grant.terms)

    async def check(self, request: web.Request) -> None:
        """Whether the request shows a key or a token that could start a call; of a token only that it shows one.

        It is not counted: the call that begins then is.

        Raises:
            ClientError: what `key` raises.
        """
        shown = self.credential(request)
        if shown is not None and shown.startswith(SHORT):
            await self.minter(await self.tokens.short(shown))
        elif shown is None or not shown.startswith(TOKENS):
            await self.key(request, "call", counted=False)

    async def may_call(self, request: web.Request) -> bool:
        """Whether a request shows a key or a token that can start calls, or is of a page that some agent allows."""
        shown = self.credential(request) or request.query.get("token") or None
        origin = request.headers.get("Origin") or _same_origin(request)
        try:
            if shown is not None and shown.startswith(TOKENS):
                await self.minter(await self.tokens.look(shown, ("webrtc", "room", "short")))
            elif shown is not None or not await self.closed(request):
                await self.key(request, "call", counted=False, shown=shown)
            else:
                return origin is not None and self.some_agent_allows(origin)
        except ClientError:
            return False
        return True

    async def withdrawn(self, key: Key | None) -> None:
        """Returns once this key opens nothing any more; where none was shown, once there are keys.

        What stays open for hours asks this: streams, and programs that lead agents. Calls end by themselves.
        """
        while True:
            await asyncio.sleep(REVOKED_EVERY_S)
            try:
                if key is None:
                    gone = await self.closed()
                else:
                    now = await self.keys.get(key.id)
                    gone = now is None or now.revoked_at is not None
            except SQLAlchemyError as failed:  # a database that is away for a while revokes nothing
                log.warning("whether a key was revoked could not be read: %s", failed)
                continue
            if gone:
                return

    async def minter(self, grant: Grant) -> Key | None:
        """The key that minted a token; None where a page's origin was enough, or while the server is open.

        Raises:
            ClientError: 401 `key_revoked`; `token_expired` for one that was minted while the server was open, once it
                is closed.
        """
        if grant.key_id is None and await self.closed():
            message = "The token was minted while there were no API keys; the first key has ended it."
            raise _unauthorized("token_expired", message)
        if not grant.key_id:
            return None
        key = await self.keys.get(grant.key_id)
        if key is None or key.revoked_at is not None:
            raise _unauthorized("key_revoked", "The API key that minted this token was revoked.")
        return key

    async def page(self, request: web.Request, name: str) -> tuple[Agent, str | None]:
        """The agent that a page wants, and who mints its token: the id of a key, `BY_ORIGIN`, or None while all may.

        What the answer is without a key does not tell which agents there are.

        Raises:
            ClientError: what `key` and `agent` raise; 403 `origin_not_allowed`, 429 `rate_limited`.
        """
        if self.credential(request) is not None or not await self.closed(request):
            key = await self.key(request, "call")
            return self.agent(key, name), key.id if key else None
        origin = request.headers.get("Origin") or _same_origin(request)
        if origin is None:
            raise _unauthorized("key_missing", "Show an API key (Authorization: Bearer …).")
        agent = self._agents.get(name)
        if agent is None or not _allows(agent, origin):
            message = (
                f"Pages of {origin} may not call {name!r}: no agent of that name has them in its allowed_origins. "
                "Add this origin there, or use a key or a token."
            )
            raise ClientError("origin_not_allowed", message, status=403)
        self._count(f"address {subscriber_of(request.remote or '')}", PAGES_PER_MINUTE)
        return agent, BY_ORIGIN

    def agents_of_page(self, request: web.Request) -> list[str]:
        """Names of those that pages of the request's origin may call without a key."""
        origin = request.headers.get("Origin") or _same_origin(request)
        return [a.name for a in self._agents.agents if origin is not None and _allows(a, origin)]

    def some_agent_allows(self, origin: str) -> bool:
        """Whether pages of this origin may call some agent."""
        return any(_allows(agent, origin) for agent in self._agents.agents)

    async def knows_origin(self, origin: str) -> bool:
        """Whether some agent or some key names this origin."""
        if self.some_agent_allows(origin):
            return True
        keys = await self.keys.all()
        return any(matches(origin, p) for key in keys if key.revoked_at is None for p in key.origins or ())

    def agent(self, key: Key | None, name: str) -> Agent:
        """The agent, as far as the key reaches.

        Raises:
            ClientError: 404 `unknown_agent`, also for those of another tenant; 403 `key_agent`.
        """
        agent = self._agents.get(name)
        if agent is None or (key is not None and agent.tenant != key.tenant):
            raise ClientError("unknown_agent", f"There is no agent called {name!r}.", status=404)
        if key is not None and not key.allows_agent(name):
            raise ClientError("key_agent", f"This API key is not for the agent {name!r}.", status=403)
        return agent

    def agents(self, key: Key | None) -> list[str]:
        """Names of those that the key reaches."""
        found = self._agents.agents
        return [a.name for a in found if key is None or (a.tenant == key.tenant and key.allows_agent(a.name))]

    async def _require_open(self, request: web.Request, scope: Scope) -> None:
        if await self.closed(request):
            raise _unauthorized("key_missing", "Show an API key (Authorization: Bearer …).")
        if scope == "admin" and not _is_local(request):
            message = "Only this machine may do that as long as there are no API keys (media-server keys create)."
            raise _unauthorized("key_missing", message)

    def rate(self, key: Key | None) -> dict[str, int | None]:
        """How many requests the key may make in a minute, and how many of them are left now."""
        if key is None or key.per_minute is None:
            return {"remaining": None, "limit": None, "resetAt": None}
        used = len(self._recent.get(f"key {key.id}", ()))
        return {"remaining": max(0, key.per_minute - used), "limit": key.per_minute, "resetAt": None}

    def _count_key(self, key: Key) -> None:
        """Raises `ClientError` (429) where it is one more than the key may have in a minute."""
        if key.per_minute is not None:
            self._count(f"key {key.id}", key.per_minute)

    def _count(self, who: str, most: int) -> None:
        """Raises `ClientError` (429) for the one too many within a minute."""
        now = time.monotonic()
        # the one that was used last stands last: those that go when there are too many have been quiet for longest
        recent = self._recent[who] = self._recent.pop(who, deque())
        while recent and recent[0] < now - 60:
            recent.popleft()
        if len(recent) >= most:
            wait = {"Retry-After": str(int(60 - (now - recent[0])) + 1)}
            message = "Too many requests in a minute; try again later."
            raise ClientError("rate_limited", message, status=429, headers=wait)
        recent.append(now)
        while len(self._recent) > MAX_COUNTED:
            del self._recent[next(iter(self._recent))]


ACCESS = web.AppKey("access", Access)


_NO_TERMS = Terms()


def _start(key: Key | None, terms: Terms = _NO_TERMS) -> CallGrant:
    require_credit(key)
    return CallGrant(key, terms)


def _allows(agent: Agent, origin: str) -> bool:
    return any(matches(origin, pattern) for pattern in agent.allowed_origins)


def _unauthorized(code: str, message: str) -> ClientError:
    return ClientError(code, message, status=401, headers={"WWW-Authenticate": "Bearer"})


def _same_origin(request: web.Request) -> str | None:
    """The server's own page: browsers send no `Origin` with its GET requests, but say that they are its own."""
    own = request.headers.get("Sec-Fetch-Site") == "same-origin"
    return f"{request.scheme}://{request.host}" if own else None


def _is_local(request: web.Request) -> bool:
    if any(name in request.headers for name in OF_PROXIES):
        return False  # a proxy on this machine speaks for somebody else
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
