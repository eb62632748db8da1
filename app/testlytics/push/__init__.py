"""The client of the service: brings results there, and keeps them while it is away."""
