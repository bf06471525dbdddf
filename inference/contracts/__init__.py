"""Checks served models against the contract that their own configuration states."""
