"""`perturb`: a generator without a model, whose drafts deserve a rating by construction."""

from videojudge_bench.training.bootstrap.perturb.generator import Perturb

__all__ = ["Perturb"]
