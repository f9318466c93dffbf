"""resize-agent: would a Nova resize or cold migration work on this compute node?"""

__version__ = "0.1.0"
