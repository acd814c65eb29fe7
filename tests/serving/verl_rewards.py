"""Have verl's reward managers call our reward functions, as its reward loop does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from transformers import AutoTokenizer
from verl import DataProto
from verl.trainer.ppo.reward import load_reward_manager

from videojudge_bench.judges.tiny_qwen import build

LENGTH = 12
ANSWERS = ("a b", "a b c d e", "a b")
OURS = {"path": "pkg://videojudge_bench.serving.verl_manager"}


def config_of(function: str, manager: dict[str, Any], **options: object) -> Any:
    """Return what verl's configuration says of rewards."""
    rewards = {
        "path": "pkg://videojudge_bench.serving.rewards",
        "name": function,
        "reward_kwargs": {"judge": "longest", "low": 0, "high": 4, "unparsed": 0.25, **options},
    }
    reward = {"custom_reward_function": rewards, "reward_manager": manager}
    return OmegaConf.create({"reward": reward, "data": {"max_response_length": LENGTH}})


def batch_of(tokenizer: Any) -> DataProto:
    """Return three rollouts of one prompt; the last one is cut off."""
    responses = torch.full((len(ANSWERS), LENGTH), tokenizer.pad_token_id)
    mask = torch.zeros((len(ANSWERS), 2 + LENGTH), dtype=torch.long)
    for place, answer in enumerate(ANSWERS):
        ids = [*tokenizer.encode(answer), tokenizer.eos_token_id]
        if place == len(ANSWERS) - 1:
            ids = (ids[:-1] * LENGTH)[:LENGTH]
        responses[place, : len(ids)] = torch.tensor(ids)
        mask[place, : 2 + len(ids)] = 1
    info = {"question": "What happens?", "video_id": "garden"}
    shared = {
        "data_source": "x",
        "reward_model": {"ground_truth": "A dog digs."},
        "extra_info": info,
    }
    tensors = {"responses": responses, "attention_mask": mask}
    texts = {name: [value] * len(ANSWERS) for name, value in shared.items()}
    return DataProto.from_dict(tensors, non_tensors=texts)


async def rewards_of(config: Any, tokenizer: Any) -> list[dict[str, Any]]:
    """Return the result of each rollout; a manager belongs to the event loop that runs."""
    manager, batch = load_reward_manager(config, tokenizer), batch_of(tokenizer)
    singles = (manager.run_single(batch[i : i + 1]) for i in range(len(batch)))
    results: list[dict[str, Any]] = await asyncio.gather(*singles)
    return results


def main(folder: Path) -> None:
    """Print `ok` when every manager had the rewards of the judge."""
    tokenizer = AutoTokenizer.from_pretrained(build(folder / "tiny"))
    naive = {"source": "register", "name": "naive"}
    whole = {"source": "importlib", "name": "WholeAnswersManager", "module": OURS}
    for function in ("compute_score", "compute_score_async"):
        results = asyncio.run(rewards_of(config_of(function, naive), tokenizer))
        assert [each["reward_score"] for each in results] == [0.5, 1.0, 1.0], results
        extra = {"score": 0.5, "unparsed": 0.0, "truncated": 0.0}
        assert results[0]["reward_extra_info"] == extra, results

        results = asyncio.run(rewards_of(config_of(function, whole), tokenizer))
        assert [each["reward_score"] for each in results] == [0.5, 1.0, 0.25], results
        assert results[2]["reward_extra_info"]["truncated"] == 1, results
    check_command(folder)
    print("ok")  # noqa: T201


def check_command(folder: Path) -> None:
    """Have verl's own configuration take every override of examples/grpo_verl.sh."""
    import verl
    from hydra import compose, initialize_config_dir

    prompts = folder / "prompts.jsonl"
    prompts.write_text('{"video_id": "garden", "instruction": "What happens?"}\n', "utf-8")
    script = Path(__file__).parents[2] / "examples" / "grpo_verl.sh"
    done = subprocess.run(
        [str(script), str(prompts), str(folder), str(folder / "out"), "--dry-run"],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    overrides = done.stdout.partition("verl.trainer.main_ppo\n")[2].splitlines()
    (config,) = (str(Path(path) / "trainer" / "config") for path in verl.__path__)
    with initialize_config_dir(config, version_base=None):
        reward = compose("ppo_trainer", overrides).reward
    kwargs = reward.custom_reward_function.reward_kwargs
    assert kwargs == {"judge": "remote,url=http://127.0.0.1:8080", "unparsed": 0}, kwargs
    assert reward.reward_manager.name == "WholeAnswersManager"


main(Path(sys.argv[1]))
