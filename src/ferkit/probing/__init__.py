"""Probes of a frozen encoder: their data and encoders, what they permit, each protocol, and the report.

`settings` imports nothing, so that the command line can state the defaults.
"""
