"""Budget of a run: a number of requests, and money."""

from __future__ import annotations

from dataclasses import dataclass, field

PER_PRICE = 1_000_000
"""Prices are for a million tokens."""

_GO_ON = "raise it and run the same command again: what was judged is kept"


@dataclass
class Budget:
    """Counts requests and money, and says no before a limit is passed.

    Attributes:
        max_requests: None is no limit. A request that is tried again counts again.
        max_cost: in the unit of the prices; None is no limit.
        price_in: of a million tokens of a prompt.
        price_out: of a million tokens of a reply.
    """

    max_requests: int | None = None
    max_cost: float | None = None
    price_in: float | None = None
    price_out: float | None = None
    requests: int = field(default=0, init=False)
    spent: float = field(default=0.0, init=False)
    _held: float = field(default=0.0, init=False)

    def problems(self) -> list[str]:
        problems: list[str] = []
        if self.max_requests is not None and self.max_requests < 1:
            problems.append(f"max_requests={self.max_requests}: expected a number from 1 up")
        if self.max_cost is not None and not self.max_cost > 0:
            problems.append(f"max_cost={self.max_cost}: expected a number above 0")
        for name, price in (("price_in", self.price_in), ("price_out", self.price_out)):
            if price is not None and price < 0:
                problems.append(f"{name}={price}: expected a number from 0 up")
            if price is None and self.max_cost is not None:
                problems.append(f"max_cost needs {name}=…, the price of a million tokens")
        return problems

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """Return what so many tokens cost; 0 without prices."""
        prices = (self.price_in or 0.0, self.price_out or 0.0)
        return (input_tokens * prices[0] + output_tokens * prices[1]) / PER_PRICE

    def take(self, most: float) -> str | None:
        """Count a request and hold `most`, its highest cost; else return the limit against it."""
        if self.max_requests is not None and self.requests >= self.max_requests:
            return f"budget: max_requests={self.max_requests} is used up; {_GO_ON}"
        if self.max_cost is not None and self.spent + self._held + most > self.max_cost:
            return (
                f"budget: this request may cost up to {most:.4f}, which would pass "
                f"max_cost={self.max_cost} ({self.spent:.4f} spent, {self._held:.4f} held for "
                f"requests in flight); {_GO_ON}"
            )
        self.requests += 1
        self._held += most
        return None

    def settle(self, most: float, cost: float) -> None:
        """Give back what `take` held for a request, and count what it cost."""
        self._held -= most
        self.spent += cost
