"""Sources: where documents come from. Each is read only, and never leaves its own root.

- ``protocol``  what a source offers
- ``folder``    a folder on this machine
"""
