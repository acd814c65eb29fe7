"""What of a request reaches the model behind a server of OpenAI's chat completions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from videojudge_bench.engine import Explanation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from videojudge_bench._util.options import Scalar
    from videojudge_bench.judges.engines._chat_messages import Body
    from videojudge_bench.judges.engines._chat_replies import Tokenised

_MEDIA = re.compile(rb'(data:[a-z/]+);base64,[^"]*')


def explanation_of(
    body: Body, tokenised: Tokenised | None, video: Mapping[str, Scalar]
) -> Explanation:
    """Return what a request asks: its messages, and the server's own tokens where it shows them."""
    request = _MEDIA.sub(rb"\1", b"".join(body.pieces))
    messages = request[request.index(b'"messages":') :].decode()
    if tokenised is None:
        return Explanation("request", messages, video=video)
    return Explanation(
        "request",
        messages,
        token_ids=tuple(tokenised.tokens),
        tokens=tuple(tokenised.token_strs),
        video=video,
    )
