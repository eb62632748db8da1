"""How often our verdicts are wrong, beside the rules of others on the same histories."""
