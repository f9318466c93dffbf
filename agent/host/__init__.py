"""The only door to the operating system: files, programs, users, clock.  Everything takes a root directory."""

from agent.host.door import CannotStart, Host
from agent.host.files import MAX_CONTENT
from agent.host.programs import Completed

__all__ = ["MAX_CONTENT", "CannotStart", "Completed", "Host"]
