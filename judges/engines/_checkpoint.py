"""A model on disk or on the hub: what it is, whether it fits, what its content is called."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args

from videojudge_bench.errors import ConfigError, MissingPackageError, UnknownNameError

if TYPE_CHECKING:
    import torch

Untyped = Union[Any]
"""An object of transformers or peft, whose types differ by version or are missing."""

Quantization = Literal["8bit", "4bit"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)

Kind = Literal["qwen2_5_vl", "qwen3_vl", "text", "other"]
"""The two families of video models whose prefix can be shared, models of text, and the rest."""

THINKING = "enable_thinking"
"""What chat templates call the choice whether to think before the reply."""

_DTYPES = ("float32", "bfloat16", "float16")
_WEIGHTS = ("*.safetensors", "*.bin")
_CONTENT = (
    *_WEIGHTS,
    *("*config.json", "*.index.json", "videojudge.json"),
    *("tokenizer*", "vocab*", "merges.txt", "*.model", "*.tiktoken", "special_tokens_map.json"),
    *("added_tokens.json", "chat_template*", "additional_chat_templates/*"),
)
_BITS_BYTES: Mapping[str, float] = {"8bit": 1.0, "4bit": 0.5}
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16
_PEFT_INSTALL = "pip install peft"


@dataclass(frozen=True)
class Checkpoint:
    """Which weights, and how they are to be held.

    Attributes:
        pretrained: a folder, or the name of a model on the Hugging Face hub.
        revision: branch, tag or commit on the hub; None: its main branch.
        adapter: folder or hub name of a PEFT adapter.
        dtype: of the weights; `auto`: as they were saved.
        attention: transformers' name of the implementation of attention.
        quantization: by bitsandbytes while loading.
        device: torch's name; `auto`: the GPU of this process where there is one.

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

    @cached_property
    def config(self) -> Untyped:
        """The model's configuration.

        Raises:
            ConfigError: there is no model.
        """
        from transformers import AutoConfig

        self._check_folder()
        return self._asked(AutoConfig.from_pretrained)

    @cached_property
    def kind(self) -> Kind:
        """What kind of model it is.

        Raises:
            ConfigError: it writes no text.
        """
        from transformers.models.auto import modeling_auto as auto

        # On the class: in 4.57, some of Qwen's configurations answer with their text part.
        name = str(type(self.config).model_type)
        if name in ("qwen2_5_vl", "qwen3_vl"):
            return "qwen2_5_vl" if name == "qwen2_5_vl" else "qwen3_vl"
        if name in auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            return "other"
        if name in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            return "text"
        raise ConfigError(
            f"pretrained={self.pretrained}: a model of type {name!r} writes no text that could be "
            "a verdict; give a causal language model or one that answers about images and videos"
        )

    @cached_property
    def processor(self) -> Untyped:
        """Its processor, or its tokenizer for a model of text.

        Raises:
            ConfigError: it has none, or no chat template.
        """
        from transformers import AutoProcessor, AutoTokenizer

        auto: Any = AutoTokenizer if self.kind == "text" else AutoProcessor
        found = self._asked(auto.from_pretrained)
        if not _template_of(found):
            raise ConfigError(
                f"pretrained={self.pretrained} has no chat template, so nobody knows how it is to "
                "be asked; give an instruction-tuned model, or add chat_template.jinja to it"
            )
        return found

    @property
    def chat_template(self) -> str:
        """Its chat template, in Jinja; several together where it has several."""
        return str(_template_of(self.processor))

    @property
    def sees(self) -> bool:
        """Whether it takes videos."""
        return getattr(self.processor, "video_processor", None) is not None

    @property
    def text_config(self) -> Untyped:
        """The configuration of its language model."""
        return self.config.get_text_config()

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

    def identity(self) -> str:
        """Return the name by which the content is known: never a path.

        For a folder: its name, and a hash of its configuration and of its weights' headers with
        samples of their content. For the hub: name and commit.
        """
        if self.folder is not None:
            return f"{self.folder.resolve().name}@sha256:{_folder_hash(self.folder)}"
        commit = getattr(self.config, "_commit_hash", None) or self.revision or "main"
        return f"{self.pretrained}@{commit}"

    def adapter_identity(self) -> str | None:
        """Return what `identity` does, for the adapter; None without one."""
        if self.adapter is None:
            return None
        folder = Path(self.adapter).expanduser()
        if folder.is_dir():
            return f"{folder.resolve().name}@sha256:{_folder_hash(folder)}"
        return f"{self.adapter}@{_adapter_commit(self.adapter)}"

    def check_memory(self) -> None:
        """Check that the weights fit into the free memory of the device, before loading.

        Raises:
            ConfigError: they do not, with the numbers.
        """
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
            return {n: _volume(entry) for path in files for n, entry in _header(path).items()}
        import torch

        with torch.device("meta"):  # shapes without content
            model = self._auto_class().from_config(self.config)
        return {name: parameter.numel() for name, parameter in model.named_parameters()}

    def load(self) -> Untyped:
        """Return the model on its device, in evaluation mode, decoding greedily unless told.

        Raises:
            ConfigError: it does not fit, or transformers cannot load it.
        """
        import torch

        from videojudge_bench.judges.engines._windows import attend_in_windows_at_once

        self.check_memory()
        device = self.torch_device()
        options: dict[str, Any] = {
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
        model = self._asked(self._auto_class().from_pretrained, **options)
        if self.adapter is not None:
            model = _with_adapter(model, self.adapter)
        attend_in_windows_at_once(model)
        model.eval()
        model.generation_config = _plain_decoding(model)
        return model

    def _auto_class(self) -> Untyped:
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

        return AutoModelForCausalLM if self.kind == "text" else AutoModelForImageTextToText

    def _asked(self, from_pretrained: Callable[..., Untyped], **options: object) -> Untyped:
        try:
            return from_pretrained(
                str(self.folder or self.pretrained), revision=self.revision, **options
            )
        except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ConfigError(f"pretrained={self.pretrained} cannot be loaded: {reason}") from error

    def _check_folder(self) -> None:
        """A folder that lacks its parts, or a path that is none, said before transformers does."""
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
        if not any(path for glob in _WEIGHTS for path in self.folder.glob(glob)):
            raise ConfigError(
                f"pretrained={self.pretrained}: the folder has a config.json but no weights "
                f"({' or '.join(_WEIGHTS)}); finish the download, or give another folder"
            )


def _template_of(processor: Untyped) -> Untyped:
    return getattr(processor, "chat_template", None) or tokenizer_of(processor).chat_template


def tokenizer_of(processor: Untyped) -> Untyped:
    """Return the tokenizer of a processor; a model of text has nothing else."""
    return processor.tokenizer if hasattr(processor, "tokenizer") else processor


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


def _with_adapter(model: Untyped, adapter: str) -> Untyped:
    from peft import PeftModel

    try:
        wrapped: Any = PeftModel.from_pretrained(model, adapter)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"adapter={adapter} cannot be loaded: {reason}") from error
    if any(getattr(c, "is_prompt_learning", False) for c in wrapped.peft_config.values()):
        raise ConfigError(
            f"adapter={adapter} puts learned tokens before the prompt, which this engine does not "
            "do; give an adapter that changes weights, such as LoRA"
        )
    return wrapped.get_base_model()  # the adapter's layers stay in it


def _plain_decoding(model: Untyped) -> Untyped:
    """What the released files say about decoding (penalties, top-k) is not asked for here."""
    given = model.generation_config
    return _transformers().GenerationConfig(
        eos_token_id=given.eos_token_id, pad_token_id=given.pad_token_id, do_sample=False
    )


def _transformers() -> Untyped:
    return importlib.import_module("transformers")


def _free_bytes(device: torch.device) -> int:
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    psutil: Any = importlib.import_module("psutil")  # comes with accelerate, without types
    return int(psutil.virtual_memory().available)


def _header(path: Path) -> dict[str, Any]:
    """The table of tensors that a safetensors file begins with."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(length)) if 0 < length < path.stat().st_size else None
        except ValueError:
            header = None
    if not isinstance(header, dict):
        raise ConfigError(f"{path.name} is damaged: it has no safetensors header; get it again")
    return {name: entry for name, entry in header.items() if name != "__metadata__"}


def _volume(entry: Mapping[str, Any]) -> int:
    count = 1
    for side in entry["shape"]:
        count *= int(side)
    return count


def _folder_hash(folder: Path) -> str:
    """Hash of all files that prompts, pixels and numbers depend on."""
    digest = hashlib.sha256()
    for path in sorted({path for glob in _CONTENT for path in folder.glob(glob)}):
        digest.update(path.relative_to(folder).as_posix().encode())
        for block in _sampled(path):
            digest.update(block)
    return digest.hexdigest()[:12]


def _sampled(path: Path) -> Iterator[bytes]:
    """Whole small files; of large ones size, beginning and blocks at equal distances.

    A header alone is equal for all fine-tuned versions of a model, a whole file takes minutes.
    """
    size = path.stat().st_size
    yield str(size).encode()
    with path.open("rb") as file:
        if size <= _SAMPLES * _SAMPLE_BYTES:
            yield file.read()
            return
        for number in range(_SAMPLES):
            file.seek(number * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
            yield file.read(_SAMPLE_BYTES)
