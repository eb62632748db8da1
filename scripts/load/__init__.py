"""Load on a service that runs: scenarios, kills, what was measured, and targets."""
