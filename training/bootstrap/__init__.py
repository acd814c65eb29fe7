"""The generator-evaluator loop: from seeds to responses that deserve ratings 1 to 5."""
