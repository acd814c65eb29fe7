#!/usr/bin/env bash
# GRPO with verl 0.9.1 on 8 GPUs, a judge as the reward: one GPU for the judge, seven for the policy.
#
#   CUDA_VISIBLE_DEVICES=7 videojudge serve videojudge,pretrained=JUDGE --videos videos --journal out/served &
#   CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6 examples/grpo_verl.sh prompts.jsonl videos out/verl
#
# --dry-run as the last word prints rows, rollouts, judge calls, vision tokens, the judge's GPU time
# and the command instead. MODEL, JUDGE_URL, GENERATIONS, EPOCHS and FRAMES are read from the
# environment. verl runs in an environment of its own, with this package installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 3 ]; then
  echo "usage: grpo_verl.sh PROMPTS VIDEOS OUTPUT [--dry-run]" >&2
  exit 2
fi
prompts=$1 videos=$2 output=$3
model=${MODEL:-Qwen/Qwen2.5-VL-7B-Instruct} generations=${GENERATIONS:-8} epochs=${EPOCHS:-1}
frames=${FRAMES:-16}

command=(
  python -m verl.trainer.main_ppo
  algorithm.adv_estimator=grpo
  "data.train_files=$output/train.parquet"
  "data.val_files=$output/train.parquet"
  data.train_batch_size=56
  data.max_prompt_length=8192
  data.max_response_length=512
  "actor_rollout_ref.model.path=$model"
  actor_rollout_ref.actor.ppo_mini_batch_size=28
  actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=1
  actor_rollout_ref.actor.use_kl_loss=True
  actor_rollout_ref.rollout.name=vllm
  "actor_rollout_ref.rollout.n=$generations"
  actor_rollout_ref.rollout.tensor_model_parallel_size=1
  actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=1
  actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=1
  reward.custom_reward_function.path=pkg://videojudge_bench.serving.rewards
  reward.custom_reward_function.name=compute_score_async
  "+reward.custom_reward_function.reward_kwargs.judge='remote,url=${JUDGE_URL:-http://127.0.0.1:8080}'"
  +reward.custom_reward_function.reward_kwargs.unparsed=0
  # The manager that says which answers were cut off.
  reward.reward_manager.source=importlib
  reward.reward_manager.name=WholeAnswersManager
  reward.reward_manager.module.path=pkg://videojudge_bench.serving.verl_manager
  trainer.n_gpus_per_node=7
  trainer.nnodes=1
  "trainer.total_epochs=$epochs"
  "trainer.default_local_dir=$output/checkpoints"
  "trainer.logger=[console]"
)
if [ "${4:-}" = --dry-run ]; then
  python "$here/prompts.py" plan "$prompts" --generations "$generations" --epochs "$epochs" --frames "$frames"
  printf '%s\n' "${command[@]}"
  exit
fi
mkdir -p "$output"
python "$here/prompts.py" verl "$prompts" "$videos" "$output/train.parquet" --frames "$frames"
exec "${command[@]}"
