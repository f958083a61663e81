"""Settings: flags > `KBQA_*` > `kbqa.toml` > defaults. The only reader of environment and files."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import platformdirs
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.exceptions import SettingsError

from ingest.errors import BadRequest
from qa.keys import read_private
from retrieval.embedding import DEFAULT_EMBEDDER

ENV_PREFIX = "KBQA_"
DEFAULT_PLUGINS = (
    "trace",
    "rewrite_query",
    "read_images",
    "retrieve",
    "require_evidence",
    "fence_sources",
    "build_prompt",
    "check_support",
    "cite_sources",
    "plain_answer",
)
_HOST = re.compile(r"(?:[\w-]+(?:\.[\w-]+)*|[\da-fA-F]*:[\da-fA-F]*:[\da-fA-F:.]*)\Z")  # IPv6 too
_FOREIGN = re.compile(r"_(SERVICE_|PORT(_|\Z))")  # what Kubernetes sets for a service named kbqa
_NO_SETTINGS = {"CONFIG", "DOCUMENTS", "MEMORY", "QDRANT_MEMORY"}  # those of docker-compose.yml
_NAME = re.compile(r"[\w][\w.-]*\Z")


class Cost(BaseModel):
    """Of a million tokens of a prompt, of an answer."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class Settings(BaseSettings):
    """Every setting with its default. `sources` says where each value came from."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    kb: str = Field("default", description="knowledge base: a name, a folder or a Qdrant URL")
    data_dir: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("kbqa"),
        description="folder that holds the named knowledge bases",
    )
    cache_dir: Path = Field(
        default_factory=lambda: platformdirs.user_cache_path("kbqa"),
        description="folder for the converted model; may be deleted at any time",
    )
    state_dir: Path = Field(
        default_factory=lambda: platformdirs.user_state_path("kbqa"),
        description="folder for your conversations and the last answer of each base",
    )
    lock_timeout: float = Field(
        2.0, ge=0, description="seconds to wait for another process to let go of the base"
    )
    qdrant_api_key: SecretStr | None = Field(None, description="API key of the Qdrant server")
    qdrant_grpc: bool = Field(False, description="talk gRPC to the Qdrant server")
    embedder: str | None = Field(
        None,
        description=f"minilm, st:NAME_OR_FOLDER or openai:MODEL; default: what the base was built "
        f"with, {DEFAULT_EMBEDDER} for a new one",
    )
    embedder_base_url: str | None = Field(
        None, description="URL of an OpenAI-compatible embeddings endpoint"
    )
    embedder_api_key: SecretStr | None = Field(
        None, description="key of that endpoint; default: OPENAI_API_KEY or `kbqa keys`"
    )
    workers: int = Field(
        0, ge=0, le=256, description="processes that read files; 0: one for each processor"
    )
    parse_timeout: float = Field(60.0, gt=0, description="seconds that reading one file may take")
    parse_memory_mb: int = Field(
        1536, ge=128, description="memory that reading one file may take, in MB"
    )
    describe_images: str | None = Field(
        None,
        description="vision model that describes images inside documents at ingest, such as "
        "openai:gpt-4o-mini; default: none",
    )
    watch_quiet: float = Field(
        1.0, ge=0, description="seconds that a file must be left alone before --watch reads it"
    )
    watch_rescan: float = Field(
        300.0, gt=0, description="seconds between full looks at the folder with --watch"
    )
    reranker: str | None = Field(
        None, description="cross:NAME_OR_FOLDER, http:MODEL or tei; default: no second look at hits"
    )
    reranker_url: str | None = Field(None, description="address of the rerank call of http: or tei")
    reranker_api_key: SecretStr | None = Field(None, description="key of that endpoint")
    model: Annotated[list[str], NoDecode] = Field(
        ["extractive"],
        min_length=1,
        description="extractive (no LLM), or PROVIDER:MODEL such as ollama:qwen3; of a list the "
        "first one that answers",
    )
    base_url: str | None = Field(None, description="URL of the LLM's endpoint, over the provider's")
    api_key: SecretStr | None = Field(
        None,
        description="key of the LLM; default: the provider's variable (OPENAI_API_KEY...) or "
        "`kbqa keys`",
    )
    timeout: float = Field(60.0, gt=0, description="seconds to wait for the LLM or an endpoint")
    model_attempts: int = Field(
        3, ge=1, le=10, description="how often a request is tried on 429, 5xx, broken connections"
    )
    model_concurrency: int | None = Field(
        None, ge=1, description="requests to the LLM at a time; default: any number"
    )
    prices: dict[str, Cost] = Field(
        {},
        description='what a million tokens cost: prices."openai:gpt-4o-mini" = '
        "{input = 0.15, output = 0.6}; in the environment as JSON",
    )
    temperature: float = Field(0.0, ge=0, le=2, description="randomness of the LLM")
    answer_tokens: int | None = Field(
        None, ge=1, description="longest answer of the LLM, in tokens"
    )
    top_k: int = Field(8, ge=1, le=100, description="passages that an answer may rest on")
    prompt_tokens: int = Field(3000, ge=100, description="budget for the sources in the prompt")
    min_score: float = Field(
        0.1,
        ge=0,
        le=1,
        description="evidence below this: the documents do not answer; `kbqa eval --calibrate`",
    )
    sure_score: float = Field(
        0.5, ge=0, le=1, description="evidence below this: answered as doubtful; 0: never"
    )
    judge: str | None = Field(
        None, description="model that judges answers in `kbqa eval --answers`; default: none"
    )
    plugins: Annotated[list[str], NoDecode] = Field(
        list(DEFAULT_PLUGINS),
        description="the chain, outermost first: names as `kbqa plugins` lists them, FILE.py:NAME; "
        "a list, in the environment names between commas",
    )
    prompts: Path | None = Field(
        None,
        description="folder of prompts in place of kbqa's; default: prompts/ in the base's own",
    )
    otlp_endpoint: str | None = Field(
        None,
        description="OpenTelemetry collector that traces go to, such as http://localhost:4318 "
        "(needs kbqa[otel]); default: nowhere",
    )
    server_url: str | None = Field(
        None, description="address of a `kbqa serve` whose bases the commands use"
    )
    server_key: SecretStr | None = Field(None, description="key for that server")
    serve_host: str = Field(
        "127.0.0.1", description="address that `kbqa serve` binds; any but this machine needs keys"
    )
    serve_port: int = Field(8765, ge=0, le=65535, description="its port; 0: a free one")
    serve_names: Annotated[list[str], NoDecode] = Field(
        [], description="host names that it is called by, such as kb.example.com"
    )
    serve_folders: Annotated[list[Path], NoDecode] = Field(
        [], description="folders of this machine that its clients may have ingested"
    )
    serve_rate: int = Field(600, ge=1, description="requests a minute for each key")
    serve_concurrency: int = Field(32, ge=1, description="requests at a time for each key")
    serve_body_kb: int = Field(1024, ge=1, description="longest body of a request, in KB")
    serve_upload_mb: int = Field(100, ge=1, description="largest file to upload, in MB")
    serve_body_timeout: float = Field(
        20.0, gt=0, description="seconds for a head, and for a body and one more for each 64 KB"
    )
    serve_drain: float = Field(
        20.0, ge=0, description="seconds to finish what is under way when told to end"
    )
    serve_log: Literal["console", "json"] = Field("console", description="form of its log")

    @field_validator("plugins", "model", "serve_names", "serve_folders", mode="before")
    @classmethod
    def _between_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [name.strip() for name in value.split(",") if name.strip()]
        return value

    @field_validator("serve_names")
    @classmethod
    def _host_names(cls, names: list[str]) -> list[str]:
        for name in names:
            if not _HOST.match(name):
                raise PydanticCustomError(
                    "host_name",
                    "'{name}' is no host name: write kb.example.com, without https://, port and *",
                    {"name": name},
                )
        return names

    @field_validator("data_dir", "cache_dir", "state_dir", "prompts", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if value == "":  # would be the folder one stands in
            raise PydanticCustomError("empty", "name a folder, or leave it unset")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence."""
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, _in_file(config_file())),
        )


SECRETS = frozenset(
    name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)
)


def config_file() -> Path:
    """The file that is read: `KBQA_CONFIG`, or `kbqa.toml` in the current folder."""
    return Path(os.environ.get(f"{ENV_PREFIX}CONFIG") or "kbqa.toml")


def keys_file() -> Path:
    """The file of `kbqa keys`, where there is no keyring."""
    return platformdirs.user_config_path("kbqa") / "keys.json"


def load_settings(**flags: Any) -> Settings:
    """Settings with `flags` (None = not given) above all else. Raises BadRequest in one line."""
    file = config_file()
    if f"{ENV_PREFIX}CONFIG" in os.environ and not file.is_file():
        raise BadRequest(f"no such file: {file} (named by {ENV_PREFIX}CONFIG)")
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as exc:
        raise BadRequest(_explained(exc, file)) from exc
    except SettingsError as exc:  # a value that is to be JSON and is none
        name = re.search(r'"(\w+)"', str(exc))
        variable = f"{ENV_PREFIX}{name[1]}".upper() if name else "a setting of the environment"
        raise BadRequest(f"{variable}: its value is no JSON") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise BadRequest(f"{file}: {exc}") from exc
    except OSError as exc:
        raise BadRequest(f"{file}: {exc.strerror or exc}") from exc
    if secrets := sorted(SECRETS & _in_file(file).keys()):
        read_private(file, f"holds {secrets[0]}")
    return settings


def _in_file(file: Path) -> dict[str, Any]:
    return read_toml(file) if file.is_file() else {}


def read_toml(file: Path) -> dict[str, Any]:
    """A file of settings, with or without a byte order mark, as some editors put before it."""
    return tomllib.loads(file.read_text("utf-8-sig"))


def _explained(exc: ValidationError, file: Path) -> str:
    error = exc.errors()[0]
    name = str(error["loc"][0]) if error["loc"] else "settings"
    if error["type"] == "extra_forbidden":
        return f"{file}: there is no setting '{name}'; `kbqa config` lists them"
    given = "not a text" if name in SECRETS else repr(error["input"])
    return f"setting {name} is {given}: {error['msg'][:1].lower()}{error['msg'][1:]}"


def sources(settings: Settings, flags: Mapping[str, Any]) -> dict[str, str]:
    """Where each value of `settings` came from: flag, environment, the file, or default."""
    file = config_file()
    in_file = _in_file(file)
    found = {}
    for name in type(settings).model_fields:
        if flags.get(name) is not None:
            found[name] = "flag"
        elif any(key.upper() == f"{ENV_PREFIX}{name}".upper() for key in os.environ):
            found[name] = f"{ENV_PREFIX}{name.upper()}"
        else:
            found[name] = str(file) if name in in_file else "default"
    return found


def unknown_variables() -> dict[str, str]:
    """Variables of the environment that look like settings and are none, with the setting that is
    spelt most like each, "" for none."""
    known = {name.upper() for name in Settings.model_fields} | _NO_SETTINGS
    found = {}
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(ENV_PREFIX)
        if name != variable.upper() and name not in known and not _FOREIGN.search(f"_{name}"):
            near = get_close_matches(name, known, n=1) or [
                one for one in sorted(known) if one.endswith(f"_{name}")
            ]
            found[variable] = f"{ENV_PREFIX}{near[0]}" if near else ""
    return found


def environ() -> Mapping[str, str]:
    """The environment, for those who look up a provider's key in it."""
    return os.environ


def is_url(kb: str) -> bool:
    """Whether `kb` names a Qdrant server."""
    return kb.startswith(("http://", "https://"))


def kb_folder(kb: str | os.PathLike[str], settings: Settings) -> Path:
    """Folder of an embedded base: a bare name lies in `data_dir`, anything else is a path.

    Raises BadRequest for a name that is empty or not a name.
    """
    if isinstance(kb, os.PathLike) or os.sep in kb or kb.startswith("~"):
        return Path(kb).expanduser()
    if not _NAME.match(kb):
        raise BadRequest(f"'{kb}' is no name for a knowledge base: letters, digits, - _ . only")
    return settings.data_dir / kb
