"""Brings a new version of a model into service without losing a request."""
