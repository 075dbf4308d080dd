"""The project's entry: the HTTP app and the workflow, where the project file looks for them."""

from invention.web import app
from invention.workflow import InventionAnalysis

__all__ = ["InventionAnalysis", "app"]
