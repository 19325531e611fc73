"""The rule that turns numbers into verdicts; imports nothing of the harness."""
