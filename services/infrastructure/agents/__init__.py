"""Agents from definition files."""
