"""What `ferkit.workflows.probe` is made of: its data and encoders, what they permit, each protocol, and the report.

`settings` imports nothing, so that the command line can state the defaults.
"""
