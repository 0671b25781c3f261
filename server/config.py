"""Every setting of the server, read once at start from `AGENT_RUNTIME__…` variables and command-line flags."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from server.identity_settings import MIN_KEY_BYTES, ServiceKey, TlsSettings, TokenSettings
from server.rule_settings import RuleSettings
from server.setting_groups import (
    ConcurrencySettings,
    ContextSettings,
    Endpoint,
    LimitSettings,
    Positive,
    PositiveSeconds,
    Profile,
    ResilienceSettings,
    RetentionSettings,
    Sizes,
    TurnSettings,
)
from server.startup_error import StartupError
from services.domain.policies.approval_rules import ApprovalRule
from services.domain.policies.rule_linting import lint_rule

ENV_PREFIX = "AGENT_RUNTIME__"
NESTED_DELIMITER = "__"

_LISTEN = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Settings(BaseSettings):
    """What an operator can choose. Times are seconds. Secrets never show in `repr`, in errors or in logs."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=NESTED_DELIMITER,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    listen: str = Field("127.0.0.1:50051", description="Address to listen on, `host:port`; port 0 takes a free one.")
    database_url: SecretStr = Field(
        SecretStr("sqlite:///data/agent-runtime.db"),
        description="`sqlite:///relative/file`, `sqlite:////absolute/file` or `postgresql://user:password@host/name`.",
    )
    database_direct_url: SecretStr | None = Field(
        None,
        description="The same PostgreSQL without a pooler in front, for wake-ups; unset means `database_url` is that.",
    )
    database_pool_size: Positive = Field(
        10, description="PostgreSQL connections for calls and turns; two more are kept for the log and the lease."
    )
    database_pooled: bool = Field(
        False, description="A pooler in transaction mode, such as pgbouncer, stands before PostgreSQL."
    )
    database_allow_asynchronous_commit: bool = Field(
        False, description="Start although PostgreSQL runs with `synchronous_commit=off` and may lose what was seen."
    )
    redis_url: SecretStr | None = Field(
        None, description="`redis://…`, if there is one: replicas then wake each other and share rate limits over it."
    )
    llm_proxy_url: Endpoint = Field(
        "http://127.0.0.1:4000/v1", description="OpenAI-compatible endpoint; `/chat/completions` is added to it."
    )
    llm_api_key: SecretStr = Field(SecretStr(""), description="Bearer key for the endpoint; empty sends none.")
    llm_model: Annotated[str, Field(min_length=1)] = Field(
        "default", description="Model asked for, unless an agent's definition names another."
    )
    llm_profile: Profile = Field(
        "openai",
        description="What the endpoint takes in a request: `openai`, `openai-reasoning`, `deepseek`, `llama.cpp` or "
        "`minimal`.",
    )
    llm_connect_timeout: PositiveSeconds = Field(10.0, description="Time to connect to the endpoint.")
    llm_first_token_timeout: PositiveSeconds = Field(
        120.0, description="From the request to the first piece of answer."
    )
    llm_progress_timeout: PositiveSeconds = Field(60.0, description="Between two pieces of an answer.")
    llm_transport_timeout: PositiveSeconds = Field(120.0, description="Between two bytes of any kind.")
    llm_total_timeout: PositiveSeconds = Field(600.0, description="For one whole answer.")

    keys: tuple[ServiceKey, ...] = Field(
        (),
        description=(
            'Service keys: a JSON list of `{"key", "name", "owner", "roles": ["user", "operator"], "gateway": false}`.'
            f" Each key has at least {MIN_KEY_BYTES} bytes. Several are valid at once, so keys can be rotated."
            " Only a key marked `gateway` may name another owner in `x-owner-id`."
        ),
    )
    dev: bool = Field(False, description="Development mode: with no keys everyone is the principal `dev`.")
    reflection: bool | None = Field(
        None, description="gRPC reflection; unset means on when listening on loopback or in development mode."
    )

    agent_mode: Literal["multi", "single"] = Field(
        "multi",
        description="`multi`: sessions begin with `orchestrator`, which routes; `single`: with `universal`.",
    )
    agents_dir: Path | None = Field(None, description="Directory with further agent definitions, one TOML file each.")
    approval_rules: tuple[RuleSettings, ...] = Field(
        (),
        description=(
            'Approval rules: a JSON list of `{"id", "tool", "effect": "ALLOW|ASK|DENY", "conditions": [{"argument",'
            ' "op": "EQ|GT|LT|CONTAINS|MATCHES", "value"}], "priority", "description"}`; see docs/agents.md.'
        ),
    )
    approval_rules_per_session: Positive = Field(50, description="Approval rules that one session may have.")
    approval_rules_per_owner: Positive = Field(
        100, description="Approval rules that one owner may make for all sessions; operators as many for everybody."
    )

    unary_timeout: PositiveSeconds = Field(30.0, description="Longest a unary call may work, whatever its deadline.")
    heartbeat: PositiveSeconds = Field(15.0, description="Silence on a stream after which a heartbeat is sent.")
    slow_consumer_timeout: PositiveSeconds = Field(60.0, description="A stream's reader may delay one write this long.")
    stream_max_age: PositiveSeconds = Field(
        1500.0,
        description=(
            "A stream ends with a cursor to resume from at this age or up to a fifth earlier; below 1800, a"
            " connection's age."
        ),
    )
    drain_delay: Seconds = Field(
        5.0, description="On SIGTERM: from NOT_SERVING to closing, so balancers notice. 0 in development mode if unset."
    )
    grace: Seconds = Field(10.0, description="On SIGTERM, after `drain_delay`: time for running calls to end.")
    loop_stall: PositiveSeconds = Field(
        1.5, description="If the event loop stands still this long, the log says where, and health is NOT_SERVING."
    )
    overload_lag: PositiveSeconds = Field(
        0.25,
        description=(
            "New turns are refused while the event loop or the queue for the database is later than this, or more of"
            " them have come for four times as long than are taken in."
        ),
    )
    lease: PositiveSeconds = Field(5.0, description="Without a renewal for this long another replica takes over.")
    flush_min_interval: Seconds = Field(0.005, description="Least time between the starts of two log flushes.")

    log_level: LogLevel = Field("INFO", description="Least severe level logged.")
    log_levels: dict[str, LogLevel] = Field(
        {}, description='Levels by component as JSON, such as `{"services.infrastructure.llm": "DEBUG"}`.'
    )
    log_format: Literal["json", "console"] = Field("json", description="One JSON object a line, or text for people.")

    jwt: TokenSettings = TokenSettings()
    tls: TlsSettings = TlsSettings()
    sizes: Sizes = Sizes()
    limits: LimitSettings = LimitSettings()
    turns: TurnSettings = TurnSettings()
    context: ContextSettings = ContextSettings()
    resilience: ResilienceSettings = ResilienceSettings()
    retention: RetentionSettings = RetentionSettings()
    concurrency: ConcurrencySettings = ConcurrencySettings()

    @field_validator("listen")
    @classmethod
    def _listen_is_an_address(cls, listen: str) -> str:
        match = _LISTEN.fullmatch(listen)
        if match is None or int(match["port"]) > 65535:
            raise ValueError("must be host:port, such as 127.0.0.1:50051 or [::1]:50051")
        return listen

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("sqlite:///", "postgresql://")):
            raise ValueError("must start with sqlite:/// or postgresql://")
        return url

    @field_validator("keys")
    @classmethod
    def _keys_are_distinct(cls, keys: tuple[ServiceKey, ...]) -> tuple[ServiceKey, ...]:
        if len({entry.key.get_secret_value() for entry in keys}) < len(keys):
            raise ValueError("the same key twice")
        return keys

    @field_validator("approval_rules")
    @classmethod
    def _rules_mean_something(cls, rules: tuple[RuleSettings, ...]) -> tuple[RuleSettings, ...]:
        if len({rule.id for rule in rules}) < len(rules):
            raise ValueError("the same rule id twice")
        problems = [
            f"{rule.id}: {flaw}" for rule in rules for flaw in lint_rule(rule.rule(), may_match_every_tool=True)
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return rules

    def check_guarded(self) -> None:
        """Raises StartupError when anybody, or whoever guesses, could come in; in development mode anybody may."""
        if self.dev:
            return
        if not self.anybody_may_call:
            raise StartupError(
                f"nobody may call: set {ENV_PREFIX}KEYS, {ENV_PREFIX}JWT__KEY_SET or {ENV_PREFIX}TLS__CLIENTS,"
                " or start with --dev for development"
            )
        for position, entry in enumerate(self.keys):
            if weakness := entry.weakness():
                raise StartupError(
                    f"{ENV_PREFIX}KEYS[{position}] ({entry.name}) {weakness}; try `openssl rand -hex 32`"
                )

    @property
    def anybody_may_call(self) -> bool:
        """Whether some credential is valid."""
        return bool(self.keys or self.jwt.key_set or self.tls.clients)

    @property
    def initial_agent(self) -> str:
        """The agent that sessions begin with."""
        return "orchestrator" if self.agent_mode == "multi" else "universal"

    def rules(self) -> tuple[ApprovalRule, ...]:
        """The operator's approval rules, in their order."""
        return tuple(rule.rule() for rule in self.approval_rules)

    @property
    def host(self) -> str:
        """The host part of `listen`, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def reflection_enabled(self) -> bool:
        """Whether the API describes itself to whoever asks."""
        return self.reflection if self.reflection is not None else (self.dev or self.on_loopback)

    @property
    def effective_drain_delay(self) -> float:
        """Seconds from NOT_SERVING to closing; nobody balances a development server, so it stops at once."""
        return 0.0 if self.dev and "drain_delay" not in self.model_fields_set else self.drain_delay

    @property
    def database_kind(self) -> Literal["sqlite", "postgresql"]:
        """Which database `database_url` means."""
        return "sqlite" if self.database_url.get_secret_value().startswith("sqlite:") else "postgresql"

    def secret_values(self) -> list[str]:
        """Every secret text among the settings, for those who must keep them out of what they write."""
        secrets = [entry.key.get_secret_value() for entry in self.keys]
        secrets.append(self.llm_api_key.get_secret_value())
        secrets += [route.api_key.get_secret_value() for route in self.resilience.model_fallbacks]
        for url in (self.database_url, self.database_direct_url, self.redis_url):
            password = urlsplit(url.get_secret_value()).password or "" if url is not None else ""
            secrets += [password, unquote(password)]
        return sorted({secret for secret in secrets if secret})


GROUPS: Mapping[str, type[BaseModel]] = {
    "jwt": TokenSettings,
    "tls": TlsSettings,
    "sizes": Sizes,
    "limits": LimitSettings,
    "turns": TurnSettings,
    "context": ContextSettings,
    "resilience": ResilienceSettings,
    "retention": RetentionSettings,
    "concurrency": ConcurrencySettings,
}
"""Fields of `Settings` whose variables have two names."""


def load_settings(**flags: Any) -> Settings:
    """The settings from the environment, with flags given on the command line (not None) before them.

    Raises StartupError with one line that names what is wrong and repeats no value.
    """
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        raise StartupError("; ".join(_problem(item["loc"], item["msg"]) for item in error.errors())) from None
    except SettingsError as error:
        # Its text names the field; the value is in its cause only.
        field = re.search(r'field "(\w+)"', str(error))
        name = f"{ENV_PREFIX}{field[1].upper()}" if field else "a setting"
        raise StartupError(f"{name} is not valid JSON") from None


def unknown_variables() -> list[str]:
    """Set variables with our prefix that mean nothing: most often a typing error, so worth a warning.

    Not an error: an older release must start with a newer one's variables.
    """
    known = {f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields}
    for group, model in GROUPS.items():
        known |= {f"{ENV_PREFIX}{group}{NESTED_DELIMITER}{name}".upper() for name in model.model_fields}
    return sorted(name for name in os.environ if name.upper().startswith(ENV_PREFIX) and name.upper() not in known)


def _problem(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    if not location:
        return text
    field, *rest = location
    if field in GROUPS and rest:
        field, *rest = f"{field}{NESTED_DELIMITER}{rest[0]}", *rest[1:]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest)
    return f"{ENV_PREFIX}{str(field).upper()}{path}: {text}"
