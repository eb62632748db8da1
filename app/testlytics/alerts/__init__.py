"""Telling people and programs what changed, once."""
