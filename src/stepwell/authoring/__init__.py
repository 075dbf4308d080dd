"""What authors of workflows import; it knows nothing of how a workflow is run."""
