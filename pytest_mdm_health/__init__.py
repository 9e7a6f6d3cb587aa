"""pytest-mdm-health: is this ML Data Manager home healthy?"""

__version__ = "0.1.0"
