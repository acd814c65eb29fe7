"""A model on disk or on the hub: its kind, its memory, the identity of its content."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, get_args

from videojudge_bench.errors import ConfigError, MissingPackageError, UnknownNameError
from videojudge_bench.judges.engines._hub_format import recorded_scheme, trained_on
from videojudge_bench.judges.engines._model_source import ModelSource
from videojudge_bench.judges.engines._weight_files import WEIGHTS, folder_hash, weight_counts

if TYPE_CHECKING:
    import torch

    from videojudge_bench._util.options import Scalar
    from videojudge_bench.judges.engines._model_types import Config, Model, Processor

Quantization = Literal["8bit", "4bit"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)

_DTYPES = ("float32", "bfloat16", "float16")
_BITS_BYTES: Mapping[str, float] = {"8bit": 1.0, "4bit": 0.5}

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Checkpoint(ModelSource):
    """Choice of weights, and of how they are held in memory: options of `TransformersEngine`.

    Raises:
        UnknownNameError: no such dtype or quantisation.
    """

    pretrained: str
    revision: str | None = None
    adapter: str | None = None
    dtype: str = "auto"
    attention: str = "sdpa"
    quantization: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.dtype not in ("auto", *_DTYPES):
            raise UnknownNameError("dtype", self.dtype, ("auto", *_DTYPES))
        if self.quantization not in (None, *QUANTIZATIONS):
            raise UnknownNameError("quantization", str(self.quantization), QUANTIZATIONS)
        _need("quantization", "bitsandbytes", self.quantization)
        _need("adapter", "peft", self.adapter)

    @property
    def folder(self) -> Path | None:
        """The folder, None for a model on the hub."""
        path = Path(self.pretrained).expanduser()
        return path if path.is_dir() else None

    @property
    def recorded_scheme(self) -> str | None:
        return recorded_scheme(self.folder)

    @cached_property
    def config(self) -> Config:
        self._check_folder()
        load: Callable[..., Config] = _transformers().AutoConfig.from_pretrained
        return self._asked(load)

    @cached_property
    def processor(self) -> Processor:
        auto = _transformers()
        of_kind = auto.AutoTokenizer if self.kind == "text" else auto.AutoProcessor
        load: Callable[..., Processor] = of_kind.from_pretrained
        return self._asked(load)

    @cached_property
    def dtype_name(self) -> str:
        """The dtype that the weights get, `auto` resolved."""
        if self.dtype != "auto":
            return self.dtype
        for config in (self.config, self.text_config):
            saved = getattr(config, "dtype", None) or getattr(config, "torch_dtype", None)
            if saved is not None:
                return str(saved).removeprefix("torch.")
        return "float32"

    def torch_device(self) -> torch.device:
        """Return the device, `auto` resolved.

        Raises:
            ConfigError: torch does not know it, or it is not there.
        """
        import os

        import torch

        if self.device == "auto":
            if torch.cuda.is_available():
                return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
        try:
            device = torch.device(self.device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:  # the latter: torch without CUDA
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"device={self.device} cannot be used here ({reason}); give auto, cpu or cuda:0"
            ) from error
        return device

    def settings(self) -> Mapping[str, Scalar]:
        adapter = self.adapter_identity()
        return {
            "model": self.identity(),
            **trained_on(self.folder),
            **({"adapter": adapter} if adapter else {}),
            "dtype": self.dtype_name,
            **({"quantization": self.quantization} if self.quantization else {}),
            "attention": self.attention,
        }

    def identity(self) -> str:
        """Return the name by which the content is known: never a path.

        For a folder: its name, and a hash of its configuration and of its weights' headers with
        samples of their content. For the hub: name and commit.
        """
        if self.folder is not None:
            return f"{self.folder.resolve().name}@sha256:{folder_hash(self.folder)}"
        commit = getattr(self.config, "_commit_hash", None) or self.revision or "main"
        return f"{self.pretrained}@{commit}"

    def adapter_identity(self) -> str | None:
        """Return the identity of the adapter, as `identity`; None without one."""
        if self.adapter is None:
            return None
        folder = Path(self.adapter).expanduser()
        if folder.is_dir():
            return f"{folder.resolve().name}@sha256:{folder_hash(folder)}"
        return f"{self.adapter}@{_adapter_commit(self.adapter)}"

    def check_memory(self) -> None:
        """Raise ConfigError if the weights do not fit into the free memory of the device."""
        needed, free = self.weights_bytes(), _free_bytes(self.torch_device())
        if needed > free:
            raise ConfigError(
                f"pretrained={self.pretrained} does not fit: its weights take "
                f"{needed / 1e9:.1f} GB as {self.quantization or self.dtype_name}, and "
                f"{self.torch_device()} has {free / 1e9:.1f} GB free; give dtype=bfloat16, "
                "quantization=8bit or 4bit, another device, or a smaller model"
            )

    def weights_bytes(self) -> int:
        """Return how many bytes the weights take once they are loaded."""
        import torch

        if self.quantization is not None:
            per_weight = _BITS_BYTES[self.quantization]
        else:
            per_weight = getattr(torch, self.dtype_name).itemsize
        return int(sum(self.weights().values()) * per_weight)

    def weights(self) -> dict[str, int]:
        """Return how many numbers each of its weights has, by name, without loading them."""
        files = sorted(self.folder.glob("*.safetensors")) if self.folder else []
        if files:
            return {n: count for path in files for n, count in weight_counts(path).items()}
        import torch

        with torch.device("meta"):  # shapes without content
            model: Model = self._auto_class.from_config(self.config)
        return {name: parameter.numel() for name, parameter in model.named_parameters()}

    def load(self) -> Model:
        """Return the model on its device, in evaluation mode, decoding greedily unless told."""
        import torch

        from videojudge_bench.judges.engines._windows import attend_in_windows_at_once

        self.check_memory()
        device = self.torch_device()
        options: dict[str, object] = {
            "dtype": getattr(torch, self.dtype_name),
            "attn_implementation": self.attention,
        }
        if device.type != "cpu":
            options["device_map"] = {"": device}
        if self.quantization is not None:
            options["quantization_config"] = _transformers().BitsAndBytesConfig(
                load_in_8bit=self.quantization == "8bit",
                load_in_4bit=self.quantization == "4bit",
            )
        load: Callable[..., Model] = self._auto_class.from_pretrained
        model = self._asked(load, **options)
        if self.adapter is not None:
            model = _with_adapter(model, self.adapter)
        attend_in_windows_at_once(model)
        model.eval()
        # Without the released files' penalties and top-k.
        released = model.generation_config
        model.generation_config = _transformers().GenerationConfig(
            eos_token_id=released.eos_token_id, pad_token_id=released.pad_token_id, do_sample=False
        )
        return model

    @property
    def _auto_class(self) -> _AutoModel:
        name = "CausalLM" if self.kind == "text" else "ImageTextToText"
        auto: _AutoModel = getattr(_transformers(), f"AutoModelFor{name}")
        return auto

    def _asked(self, from_pretrained: Callable[..., _Made], **options: object) -> _Made:
        try:
            return from_pretrained(
                str(self.folder or self.pretrained), revision=self.revision, **options
            )
        except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ConfigError(f"pretrained={self.pretrained} cannot be loaded: {reason}") from error

    def _check_folder(self) -> None:
        """Check the folder, with clearer messages than those of transformers."""
        looks_like_path = self.pretrained.startswith((".", "/", "~")) or (
            self.pretrained.count("/") > 1
        )
        if self.folder is None:
            if looks_like_path:
                raise ConfigError(
                    f"pretrained={self.pretrained}: no such folder; give the folder of a model, "
                    "or its name on the Hugging Face hub (organisation/name)"
                )
            return
        if not (self.folder / "config.json").is_file():
            raise ConfigError(
                f"pretrained={self.pretrained}: the folder has no config.json, so it is no model; "
                "give the folder that holds config.json and *.safetensors"
            )
        self._check_weights(self.folder)

    def _check_weights(self, folder: Path) -> None:
        if not any(path for glob in WEIGHTS for path in folder.glob(glob)):
            raise ConfigError(
                f"pretrained={self.pretrained}: the folder has a config.json but no weights "
                f"({' or '.join(WEIGHTS)}); finish the download, or give another folder"
            )


class _AutoModel(Protocol):
    def from_pretrained(self, name: str, **options: object) -> Model: ...
    def from_config(self, config: Config) -> Model: ...


def _need(option: str, package: str, value: object) -> None:
    if value is not None and importlib.util.find_spec(package) is None:
        raise MissingPackageError(f"{option}={value}", package, f"pip install {package}")


def _adapter_commit(name: str) -> str:
    """The commit on the hub of the adapter that is loaded: that of its cached configuration."""
    from transformers.utils.hub import cached_file, extract_commit_hash

    try:
        return extract_commit_hash(cached_file(name, "adapter_config.json"), None) or "main"
    except OSError as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"adapter={name} cannot be loaded: {reason}") from error


def _with_adapter(model: Model, adapter: str) -> Model:
    peft = importlib.import_module("peft")
    try:
        wrapped = peft.PeftModel.from_pretrained(model, adapter)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"adapter={adapter} cannot be loaded: {reason}") from error
    if any(getattr(c, "is_prompt_learning", False) for c in wrapped.peft_config.values()):
        raise ConfigError(
            f"adapter={adapter} puts learned tokens before the prompt, which this engine does not "
            "do; give an adapter that changes weights, such as LoRA"
        )
    with_layers: Model = wrapped.get_base_model()  # the adapter's layers stay in it
    return with_layers


def _transformers() -> ModuleType:
    """The module without its types, which differ by version."""
    return importlib.import_module("transformers")


def _free_bytes(device: torch.device) -> int:
    import psutil
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
