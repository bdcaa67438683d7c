"""Shared tiers, one in each file."""
