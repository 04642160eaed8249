"""Settings: from `media_server.toml`, overridden by the environment (`MEDIA_SERVER_…`), overridden by options."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyAddress,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from media_server.agents import Agent
from media_server.errors import ConfigurationError, MediaServerError, problems

__all__ = ["IceServer", "Settings", "Webhook", "is_loopback", "load_settings"]


EXAMPLES = {"public_addresses": '["203.0.113.7"]', "host_names": '["voice.example"]'}
"""Settings of several values, as variables of the environment have them."""


def _reachable(addresses: list[IPvAnyAddress]) -> list[IPvAnyAddress]:
    """Each address once, if callers elsewhere can send to it."""
    for address in addresses:
        if address.is_unspecified or address.is_multicast or address.is_link_local:
            raise ValueError(f"{address} is no address at which callers reach a server")
    return list(dict.fromkeys(addresses))


class IceServer(BaseModel):
    """A STUN or TURN server, as in WebRTC's `RTCIceServer`."""

    model_config = ConfigDict(extra="forbid")

    urls: str | list[str]
    username: str | None = None
    credential: str | None = None


class Webhook(BaseModel):
    """Who is told what happens in calls, as a Standard Webhook."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(pattern=r"^https?://\S+$", max_length=2000)
    secret: str = Field(pattern=r"^whsec_[A-Za-z0-9+/]{32,}={0,2}$")
    """`whsec_` and at least 24 random bytes as base64."""
    events: frozenset[str] = frozenset({"call.started", "call.ended", "call.forwarded"})
    agents: frozenset[str] | None = None
    tenant: str = ""


class Settings(BaseSettings):
    """All that an operator can set. Unknown keys in the file are errors."""

    model_config = SettingsConfigDict(env_prefix="MEDIA_SERVER_", env_nested_delimiter="__", extra="forbid")

    host: str = Field("127.0.0.1", pattern=r"^[A-Za-z0-9_.:%-]+$")
    """The address to listen on; other than loopback only with API keys, or with `open`."""
    port: int = Field(8080, ge=0, le=65535)
    """The port for pages and the API; 0 takes a free one."""
    open: bool = False
    """Serve addresses other than loopback although nobody has to show a key; also after all keys were revoked."""
    host_names: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", max_length=253)]] = []
    """Names by which the server may be reached without keys, beside its addresses, localhost and its own name."""

    pack: str = "starter"
    """The model pack: a folder of `models_dir`."""
    models_dir: Path = Path("models")
    """Where model packs are."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """What engines run on; `auto` takes CUDA where a library can use it."""
    threads: int = Field(0, ge=0, le=256, description="per engine; 0 takes the number of cores")
    offline: bool = True
    """Engines reach no network. Where the operator sets it, commands that fetch are refused too."""
    engine_start_timeout_s: float = Field(600, gt=0, le=86400)
    """Maximum seconds that loading the models may take."""

    tls: str = Field("", pattern=r"^(|auto|[^,]*[^,\s][^,]*,[^,]*[^,\s][^,]*)$")
    """`auto`: with a certificate that the server makes; or the paths of certificate and key with a comma between."""
    tls_dir: Path = Path("tls")
    """Where it keeps its own."""
    database: str = "sqlite:///media_server.sqlite"
    """SQLAlchemy URL of the database for keys and tokens; SQLite and PostgreSQL."""
    records: bool = True
    """Keep what was said and done in each call."""
    records_days: int = Field(30, ge=0, le=36500, description="after which they are deleted; 0 keeps them for ever")
    server_name: str = Field(default_factory=socket.gethostname, min_length=1, max_length=200)
    """The server's name among those on one database."""
    recordings_dir: Path = Path("recordings")
    """The folder for the sound of calls with agents that record."""
    knowledge_dir: Path = Path("knowledge-index")
    """The folder for indexes of the documents that agents look things up in; it may be deleted at any time."""
    bases_dir: Path = Path("knowledge-bases")
    """The folder for the documents of knowledge bases that clients fill."""
    traces: str = Field("", pattern=r"^(https?://\S+)?$")
    """Where OpenTelemetry's traces go: the URL of a collector (OTLP over HTTP), with its path."""
    webhooks: list[Webhook] = []
    """Addresses that are told of events of calls."""
    udp_port: int = Field(0, ge=0, le=65535)
    """The UDP port for the sound of all calls; 0 takes the number of `port` + 1, or a free one where that is taken."""
    tcp_port: int = Field(0, ge=0, le=65535)
    """The same for callers whose network blocks UDP."""
    public_addresses: Annotated[list[IPvAnyAddress], AfterValidator(_reachable)] = []
    """Addresses under which callers reach those ports, where a NAT or a container stands in between."""
    ice_servers: list[IceServer] = []
    """STUN and TURN servers; none where nothing is given."""
    max_calls: int = Field(32, ge=1, le=100_000)
    """Maximum calls at once; more are refused with 503."""
    max_connections_per_address: int = Field(0, ge=0, le=100_000, description="0 takes 256, or four for each call")
    """How many connections one address may hold; a proxy that brings everybody has one address."""
    connect_timeout_s: float = Field(20, gt=0, le=3600)
    """Maximum seconds from the answer to the media connection."""
    idle_timeout_s: float = Field(15, gt=0, le=3600)
    """Seconds without packets or messages after which a connection counts as lost."""

    reconnect_s: float = Field(30, ge=0, le=600)
    """How long a call waits, silently and free of charge, for a caller whose connection was lost."""
    chat_linger_s: float = Field(60, ge=0, le=86400)
    """How long a chat waits for a client to come back."""
    drain_s: float = Field(0, ge=0, le=86400)
    """How long calls under way may go on when the server is asked to stop."""

    agents: list[Agent] = []
    """Agents that are written in the settings themselves."""
    agents_dir: Path | None = None
    """Folder with agents as Python and TOML files."""
    reload: bool = False
    """Read it again when a file in it is saved; calls under way go on with the new version from their next turn on."""
    log_format: Literal["auto", "human", "json"] = "auto"
    """Form of the log; `auto` is `human` on a terminal, else `json`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level of lines that are logged; `debug` has every event of calls, with what was said."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_numbers(cls, given: Any, info: ValidationInfo) -> Any:
        """TOML's `true` would be the number 1."""
        if isinstance(given, bool) and cls.model_fields[info.field_name or ""].annotation in (int, float):
            raise ValueError(f"Input should be a number, not {str(given).lower()}")
        return given

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def forbids_fetching(self) -> bool:
        """Whether commands whose purpose is to fetch must not: only if the operator set `offline`."""
        return self.offline and "offline" in self.model_fields_set

    @property
    def own_names(self) -> list[str]:
        """All by which this server may be reached, beside its machine's addresses, as URLs have it."""
        machine = socket.gethostname()
        public = [f"[{each}]" if each.version == 6 else str(each) for each in self.public_addresses]
        return [*self.host_names, *public, self.host, machine, f"{machine}.local"]

    def check_exposure(self, has_keys: bool) -> None:
        """Raise `ConfigurationError` if strangers on the network could call without the operator having said so."""
        if has_keys or self.open or is_loopback(self.host):
            return
        raise ConfigurationError(
            f"Refusing to listen on {self.host}: anybody who reaches that address could call, as there are no API "
            "keys. Make one (media-server keys create NAME), listen on 127.0.0.1, or say that this is meant with "
            "--open (open = true in the file)."
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine itself reaches an address to listen on."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(file: Path | None = None, **options: Any) -> Settings:
    """Settings from `file` (default: `media_server.toml` here, if there is one) with `options` on top.

    Raises:
        ConfigurationError: names the key and says what is wrong with it.
    """
    if file is not None and not file.is_file():
        raise ConfigurationError(f"There is no configuration file {file}.")
    path = file or Path("media_server.toml")

    class FromFile(Settings):
        model_config = SettingsConfigDict(
            env_prefix="MEDIA_SERVER_", env_nested_delimiter="__", extra="forbid", toml_file=path
        )

    given = {k: v for k, v in options.items() if v is not None}
    try:
        return FromFile(**given)
    except ValidationError as e:
        of_agents = [field.name for field in dataclasses.fields(Agent)]
        places = {_place(problem["loc"], given, path) for problem in e.errors()}
        where = ", ".join(sorted(places))
        said = f"The settings ({where}) cannot be used: {problems(e, Settings.model_fields, of_agents)}."
        if any(place.startswith("--") for place in places):
            raise MediaServerError("bad_option", said) from e
        raise ConfigurationError(said) from e
    except SettingsError as e:
        raise ConfigurationError(_no_json()) from e
    except ValueError as e:
        raise ConfigurationError(f"{path} cannot be read: {e}.") from e


def _no_json() -> str:
    """Which variable of the environment is not the JSON that settings of several values are."""
    for name, value in os.environ.items():
        key = name.lower().removeprefix("media_server_").partition("__")[0]
        if not name.upper().startswith("MEDIA_SERVER_") or key not in Settings.model_fields:
            continue
        example = {"public_addresses": '["203.0.113.7"]', "host_names": '["voice.example"]'}.get(
            key, '[{"...": "..."}]'
        )
        try:
            json.loads(value)
        except ValueError:
            if get_origin(Settings.model_fields[key].annotation) is list:
                return f"{name}: this has to be a list as JSON, like {example}, not {value!r}."
    return "A variable of the environment (MEDIA_SERVER_...) is not the JSON that its setting needs."


def _place(keys: tuple[int | str, ...], options: Mapping[str, Any], file: Path) -> str:
    """Where a setting comes from."""
    key = str(keys[0]) if keys else ""
    if key in options:
        return f"--{key.replace('_', '-')}"
    variable = f"MEDIA_SERVER_{key.upper()}"
    found = [name for name in os.environ if name.upper() == variable or name.upper().startswith(f"{variable}__")]
    return found[0] if found else str(file)
