"""pytest-mdm-health: is this ML Data Manager home healthy?"""

__version__ = "0.1.0"

SUITE = "mdm-health"
"""The part before `::` in the node ids of the health suite."""
