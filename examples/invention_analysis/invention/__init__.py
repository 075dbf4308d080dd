"""The invention analysis: from a conversation to a report on prior art."""
