"""Settings: flags > `KBQA_*` > `kbqa.toml` > defaults. The only reader of environment and files."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ingest.errors import BadRequest
from retrieval.embedding import DEFAULT_EMBEDDER

ENV_PREFIX = "KBQA_"
DEFAULT_PLUGINS = (
    "trace",
    "rewrite_query",
    "retrieve",
    "require_evidence",
    "build_prompt",
    "cite_sources",
)
_NAME = re.compile(r"[\w][\w.-]*\Z")


class Cost(BaseModel):
    """Of a million tokens of a prompt, of an answer."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class Settings(BaseSettings):
    """Every setting with its default. `sources` says where each value came from."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    kb: str = Field("default", description="knowledge base: a name, a folder or a Qdrant URL")
    data_dir: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("kbqa"),
        description="folder that holds the named knowledge bases",
    )
    cache_dir: Path = Field(
        default_factory=lambda: platformdirs.user_cache_path("kbqa"),
        description="folder for the converted model; may be deleted at any time",
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
        None, description="key of that endpoint; default: OPENAI_API_KEY"
    )
    workers: int = Field(
        0, ge=0, le=256, description="processes that read files; 0: one for each processor"
    )
    parse_timeout: float = Field(60.0, gt=0, description="seconds that reading one file may take")
    parse_memory_mb: int = Field(
        1536, ge=128, description="memory that reading one file may take, in MB"
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
        None, description="key of the LLM; default: the provider's own variable (OPENAI_API_KEY...)"
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
    plugins: Annotated[list[str], NoDecode] = Field(
        list(DEFAULT_PLUGINS),
        description="the chain, outermost first; a list, in the environment names between commas",
    )

    @field_validator("plugins", "model", mode="before")
    @classmethod
    def _between_commas(cls, value: Any) -> Any:
        return [name.strip() for name in value.split(",")] if isinstance(value, str) else value

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
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())


def config_file() -> Path:
    """The file that is read: `KBQA_CONFIG`, or `kbqa.toml` in the current folder."""
    return Path(os.environ.get(f"{ENV_PREFIX}CONFIG") or "kbqa.toml")


def load_settings(**flags: Any) -> Settings:
    """Settings with `flags` (None = not given) above all else. Raises BadRequest in one line."""
    file = config_file()
    if f"{ENV_PREFIX}CONFIG" in os.environ and not file.is_file():
        raise BadRequest(f"no such file: {file} (named by {ENV_PREFIX}CONFIG)")
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as exc:
        raise BadRequest(_explained(exc, file)) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise BadRequest(f"{file}: {exc}") from exc
    except OSError as exc:
        raise BadRequest(f"{file}: {exc.strerror or exc}") from exc


def _explained(exc: ValidationError, file: Path) -> str:
    error = exc.errors()[0]
    name = str(error["loc"][0]) if error["loc"] else "settings"
    if error["type"] == "extra_forbidden":
        return f"{file}: there is no setting '{name}'; `kbqa config` lists them"
    return f"setting {name} is {error['input']!r}: {error['msg'][:1].lower()}{error['msg'][1:]}"


def sources(settings: Settings, flags: Mapping[str, Any]) -> dict[str, str]:
    """Where each value of `settings` came from: flag, environment, the file, or default."""
    file = config_file()
    in_file = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
    found = {}
    for name in type(settings).model_fields:
        if flags.get(name) is not None:
            found[name] = "flag"
        elif any(key.upper() == f"{ENV_PREFIX}{name}".upper() for key in os.environ):
            found[name] = f"{ENV_PREFIX}{name.upper()}"
        else:
            found[name] = str(file) if name in in_file else "default"
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
