"""Section `servers`: a few short requests to the servers that the user names."""

from __future__ import annotations

import os
from collections.abc import Sequence

from videojudge_bench._util.options import Scalar, without_secrets
from videojudge_bench.doctor.findings import Finding, Section
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines._chat_requests import FEATURES
from videojudge_bench.judges.engines.openai_engine import KEY_VARIABLE
from videojudge_bench.judges.engines.server_check import CHECKED, check_server

_MODELS_SHOWN = 5


def servers(addresses: Sequence[str], model: str | None) -> Section:
    """Return the abilities of the servers, and whether a key is set (never the key)."""
    key = "set; it goes with every request" if os.environ.get(KEY_VARIABLE) else "not set"
    findings = [_server(address, model) for address in addresses]
    return Section("servers", "Servers", [Finding(KEY_VARIABLE, "ok", key), *findings])


def _server(address: str, model: str | None) -> Finding:
    try:
        facts = check_server(address, model)
    except ConfigError as error:
        label = str(without_secrets({"address": address})["address"])
        return Finding(label, "broken", str(error))
    refused = {refusal.features[0]: refusal for refusal in facts.refusals}
    values: dict[str, Scalar] = {
        "models": len(facts.models),
        "model": facts.model,
        "seconds": round(facts.seconds, 3),
        "logprobs": facts.logprobs,
        **{feature: feature not in refused for feature in CHECKED},
        **facts.says,
    }
    taken = [FEATURES[feature] for feature in CHECKED if feature not in refused]
    more = len(facts.models) - _MODELS_SHOWN
    listed = ", ".join(facts.models[:_MODELS_SHOWN]) + (f" and {more} more" if more > 0 else "")
    given = {
        None: "its reply was empty, so whether it gives log-probabilities is not known",
        False: "it gives no log-probabilities",
        True: "it gives log-probabilities",
    }
    text = (
        f"{facts.model} replied in {facts.seconds:.1f} s; it lists {listed or 'no models'}; "
        f"{given[facts.logprobs]}; it takes {', '.join(taken) or 'text alone'}"
    )
    fixes = [str(refusal) for refusal in refused.values()]
    if facts.logprobs is False:
        fixes.insert(0, "Take score=text there, not score=expected")
    return Finding(facts.address, "ok", text, "; ".join(fixes), values)
