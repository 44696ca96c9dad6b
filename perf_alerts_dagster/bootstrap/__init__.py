"""From settings to real adapters; the only wiring.

Heavy libraries are imported by the adapters' own functions, or by the module that needs them.
"""
