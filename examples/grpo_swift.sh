#!/usr/bin/env bash
# GRPO with ms-swift 4.6 on 8 GPUs, a judge as the reward: one GPU for the judge, seven for the policy.
#
#   CUDA_VISIBLE_DEVICES=7 videojudge serve videojudge,pretrained=JUDGE --videos videos --journal out/served &
#   CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6 NPROC_PER_NODE=7 examples/grpo_swift.sh prompts.jsonl videos out/swift
#
# --dry-run as the last word prints rows, rollouts, judge calls, vision tokens, the judge's GPU time
# and the command instead. MODEL, JUDGE_URL, GENERATIONS, EPOCHS and FRAMES are read from the
# environment. ms-swift runs in an environment of its own, with this package installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 3 ]; then
  echo "usage: grpo_swift.sh PROMPTS VIDEOS OUTPUT [--dry-run]" >&2
  exit 2
fi
prompts=$1 videos=$2 output=$3
generations=${GENERATIONS:-8} epochs=${EPOCHS:-1}
export FPS_MAX_FRAMES=${FRAMES:-16} VIDEO_MAX_PIXELS=151200

command=(
  swift rlhf --rlhf_type grpo
  --model "${MODEL:-Qwen/Qwen2.5-VL-7B-Instruct}"
  --dataset "$output/train.jsonl"
  --external_plugins "$here/swift_judge.py"
  --reward_funcs videojudge
  --num_generations "$generations"
  --per_device_train_batch_size "$generations"
  --num_train_epochs "$epochs"
  --max_completion_length 512
  --torch_dtype bfloat16
  --tuner_type lora
  --use_vllm true
  --vllm_mode colocate
  --vllm_gpu_memory_utilization 0.5
  --deepspeed zero2
  --logging_steps 1
  --output_dir "$output"
)
if [ "${4:-}" = --dry-run ]; then
  python "$here/prompts.py" plan "$prompts" --generations "$generations" --epochs "$epochs" --frames "$FPS_MAX_FRAMES"
  printf '%s\n' "${command[@]}"
  exit
fi
mkdir -p "$output"
python "$here/prompts.py" swift "$prompts" "$videos" "$output/train.jsonl"
exec "${command[@]}"
