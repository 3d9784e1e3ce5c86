"""Evaluation: how much expression, and how much identity, the vectors of a frozen encoder hold."""
