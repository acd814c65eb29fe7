"""Plug-in of ms-swift: the reward `videojudge` asks the judge server at JUDGE_URL.

swift rlhf --rlhf_type grpo --external_plugins examples/swift_judge.py --reward_funcs videojudge
"""

import os

from swift.rewards import orms

from videojudge_bench.serving.rewards import swift_reward

url = os.environ.get("JUDGE_URL", "http://127.0.0.1:8080")
orms["videojudge"] = swift_reward(f"remote,url={url}")
