"""The HTTP service: many clients, one store, one writer."""
