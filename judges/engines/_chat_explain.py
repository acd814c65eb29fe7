"""Prompts as they reach the model behind a server of OpenAI's chat completions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from videojudge_bench.engine import Explanation

if TYPE_CHECKING:
    from videojudge_bench.engine import PromptGroup
    from videojudge_bench.judges.engines._chat_client import ChatClient
    from videojudge_bench.judges.engines._chat_messages import EncodedMedia
    from videojudge_bench.judges.engines._chat_requests import RequestFormat, Wire

_MEDIA = re.compile(rb'(data:[a-z/]+);base64,[^"]*')


async def explanations(
    client: ChatClient, form: RequestFormat, group: PromptGroup, media: EncodedMedia, wire: Wire
) -> list[Explanation]:
    """Return the messages of each request, with the server's own tokens where it shows them."""
    prompts = []
    for tail in group.continuations:
        body = form.body(
            client.endpoint.model,
            group,
            tail,
            media=media,
            wire=wire,
            more={"return_token_strs": True},
        )
        tokenised = await client.tokenised(body)
        request = _MEDIA.sub(rb"\1", b"".join(body.pieces))
        messages = request[request.index(b'"messages":') :].decode()
        prompts.append(
            Explanation(
                "request",
                messages,
                token_ids=tuple(tokenised.tokens) if tokenised else (),
                tokens=tuple(tokenised.token_strs) if tokenised else (),
                video=media.facts,
            )
        )
    return prompts
