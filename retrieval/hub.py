"""Models of the Hugging Face hub, as far as they are on this machine.

Given a name, transformers asks the hub for news of a model at each start, which offline takes a
minute to fail, and downloads what it lacks. Given the folder in its cache it asks nobody.
"""

from __future__ import annotations

from pathlib import Path

from ingest.errors import NotConfigured

SENTENCE_TRANSFORMERS = "sentence-transformers"  # owns what its library names without an owner
_FIRST = ("config.json", "modules.json")  # one of which every model has


def model_folder(name: str, *, what: str, owner: str = "") -> str:
    """Where the model `name` lies: its folder, or that of the hub's cache.

    `what` it is called in an error; a name without an owner is one of `owner`'s.

    Raises NotConfigured for a name that is not in the cache.
    """
    path = Path(name).expanduser()
    if path.exists():
        return str(path)
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    full = name if "/" in name or not owner else f"{owner}/{name}"
    try:
        known = [try_to_load_from_cache(full, first) for first in _FIRST]
    except HFValidationError as exc:
        raise NotConfigured(f"{what}: there is no folder {path}") from exc
    for file in known:
        if isinstance(file, str):
            return str(Path(file).parent)
    raise NotConfigured(
        f"{what} is not on this machine, and kbqa downloads nothing: `hf download {full}` puts it "
        "into the hub's cache"
    )
