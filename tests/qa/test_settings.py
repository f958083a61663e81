from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import BadRequest, NotConfigured
from qa.settings import (
    DEFAULT_PLUGINS,
    Settings,
    kb_folder,
    load_settings,
    sources,
    unknown_variables,
)

VALUES: dict[str, tuple[Any, str, str, Any]] = {
    # name: as a flag, in the environment, in the file, by default
    "kb": ("from-flag", "from-env", '"from-file"', "default"),
    "top_k": (3, "4", "5", 8),
    "min_score": (0.4, "0.2", "0.3", 0.1),
    "qdrant_grpc": (True, "true", "true", False),
    "model": (["a:b"], "a:b,extractive", '["a:b", "ollama:qwen3"]', ["extractive"]),
    "plugins": (["trace"], "retrieve,trace", '["trace", "retrieve"]', list(DEFAULT_PLUGINS)),
}


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value).lower()


@pytest.mark.parametrize("name", VALUES)
def test_precedence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flag, variable, line, default = VALUES[name]
    assert getattr(load_settings(), name) == default
    assert sources(load_settings(), {})[name] == "default"

    Path("kbqa.toml").write_text(f"{name} = {line}\n", "utf-8")
    assert _text(getattr(load_settings(), name)) == line.strip('"[]').replace('", "', ",")
    assert sources(load_settings(), {})[name] == "kbqa.toml"

    monkeypatch.setenv(f"KBQA_{name.upper()}", variable)
    assert _text(getattr(load_settings(), name)) == variable
    assert sources(load_settings(), {})[name] == f"KBQA_{name.upper()}"

    assert getattr(load_settings(**{name: flag}), name) == flag
    assert sources(load_settings(**{name: flag}), {name: flag})[name] == "flag"


def test_a_flag_that_is_not_given_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBQA_KB", "from-env")
    assert load_settings(kb=None).kb == "from-env"


def test_the_environment_is_read_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("kbqa_top_k", "5")
    assert load_settings().top_k == 5
    assert sources(load_settings(), {})["top_k"] == "KBQA_TOP_K"


def test_the_file_may_begin_with_a_byte_order_mark() -> None:
    Path("kbqa.toml").write_text("top_k = 3\r\n", "utf-8-sig")
    assert load_settings().top_k == 3
    assert sources(load_settings(), {})["top_k"] == "kbqa.toml"


def test_the_file_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("kbqa.toml").write_text("top_k = 3\n", "utf-8")
    (tmp_path / "my.toml").write_text("top_k = 4\n", "utf-8")
    monkeypatch.setenv("KBQA_CONFIG", str(tmp_path / "my.toml"))
    assert load_settings().top_k == 4
    assert sources(load_settings(), {})["top_k"] == str(tmp_path / "my.toml")


def test_a_file_that_is_named_and_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBQA_CONFIG", "/nowhere/kbqa.toml")
    with pytest.raises(BadRequest, match=r"no such file: /nowhere/kbqa\.toml .*KBQA_CONFIG"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('modle = "ollama:qwen3"', r"kbqa\.toml: there is no setting 'modle'; `kbqa config`"),
        ("top_k = 0", "setting top_k is 0: input should be greater"),
        ('min_score = "high"', "setting min_score is 'high': input should be a valid number"),
        ("top_k = \nkb = 1", r"kbqa\.toml: .*line 1"),
        ("[kbqa]\ntop_k = 1", r"kbqa\.toml: there is no setting 'kbqa'"),
    ],
)
def test_a_bad_file_is_told_in_one_line(text: str, message: str) -> None:
    Path("kbqa.toml").write_text(text, "utf-8")
    with pytest.raises(BadRequest, match=message) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_told() -> None:
    Path("kbqa.toml").write_bytes(b'kb = "\xff\xfe"')
    with pytest.raises(BadRequest, match=r"kbqa\.toml"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("TOP_K", "many"), ("TIMEOUT", "0"), ("TEMPERATURE", "3"), ("MIN_SCORE", "1.5"),
     ("LOCK_TIMEOUT", "-1"), ("PROMPT_TOKENS", "5"), ("QDRANT_GRPC", "perhaps"),
     ("ANSWER_TOKENS", "0")],
)  # fmt: skip
def test_a_bad_variable_is_told_with_its_name_and_value(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"KBQA_{name}", value)
    with pytest.raises(BadRequest, match=name.lower()) as caught:
        load_settings()
    assert value in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["https://kb.example.com", "kb.example.com:443", "*", "a b", "/"])
def test_what_is_no_host_name_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBQA_SERVE_NAMES", f"kb.example.com,{name}")
    with pytest.raises(BadRequest, match=r"serve_names .*is no host name: write kb"):
        load_settings()


def test_host_names_may_be_of_any_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["localhost", "KB.example.com", "xn--fiq228c.example", "127.0.0.1", "::1", "my_host"]
    monkeypatch.setenv("KBQA_SERVE_NAMES", ",".join(names))
    assert load_settings().serve_names == names


def test_variables_that_are_no_settings_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unknown_variables() == {}
    for name in ("MODLE", "HOST", "ZZZ", "CONFIG", "SERVICE_HOST", "PORT_8765_TCP", "PORT"):
        monkeypatch.setenv(f"KBQA_{name}", "x")
    monkeypatch.setenv("KBQA_TOP_K", "3")
    assert unknown_variables() == {
        "KBQA_HOST": "KBQA_SERVE_HOST", "KBQA_MODLE": "KBQA_MODEL", "KBQA_ZZZ": "",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["data_dir", "cache_dir", "state_dir", "prompts"])
def test_an_empty_folder_is_not_the_one_one_stands_in(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"KBQA_{name.upper()}", "")
    with pytest.raises(BadRequest, match=f"{name}.*name a folder, or leave it unset"):
        load_settings()


def test_what_is_to_be_json_and_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBQA_PRICES", "bogus")
    with pytest.raises(BadRequest, match="KBQA_PRICES: its value is no JSON"):
        load_settings()


def test_a_secret_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBQA_API_KEY", "sk-secret")
    settings = load_settings()
    assert "sk-secret" not in repr(settings) + str(settings)
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "sk-secret"


def test_a_file_with_a_key_that_others_may_read_is_refused() -> None:
    file = Path("kbqa.toml")
    file.write_text('api_key = "sk-secret"\n', "utf-8")
    file.chmod(0o644)
    with pytest.raises(
        NotConfigured, match=r"kbqa\.toml .*holds api_key: run `chmod 600"
    ) as caught:
        load_settings()
    assert "sk-secret" not in str(caught.value)
    file.chmod(0o600)
    assert load_settings().api_key is not None


def test_a_secret_of_another_kind_is_told_without_it() -> None:
    Path("kbqa.toml").write_text('api_key = ["sk-secret"]\n', "utf-8")
    with pytest.raises(BadRequest, match="setting api_key is not a text") as caught:
        load_settings()
    assert "sk-secret" not in "".join(traceback.format_exception(caught.value))


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert "\n" not in field.description


def test_data_and_cache_follow_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    settings = load_settings()
    assert settings.data_dir == Path("/data/kbqa")
    assert settings.cache_dir == Path("/cache/kbqa")


@pytest.mark.parametrize(
    ("kb", "folder"),
    [
        ("work", "/data/work"),
        ("手册", "/data/手册"),
        ("v1.2_a-b", "/data/v1.2_a-b"),
        ("./work", "work"),
        ("/srv/kb", "/srv/kb"),
        (Path("work"), "work"),
        ("~/kb", "HOME/kb"),
    ],
)
def test_a_bare_name_lies_in_the_data_folder(kb: str | Path, folder: str) -> None:
    expected = Path(folder.replace("HOME", str(Path.home())))
    assert kb_folder(kb, load_settings(data_dir=Path("/data"))) == expected


@pytest.mark.parametrize("kb", ["", " ", "a b", "..", ".", "-x", "a\nb"])
def test_what_is_no_name_is_told(kb: str) -> None:
    with pytest.raises(BadRequest, match="is no name for a knowledge base"):
        kb_folder(kb, load_settings())
