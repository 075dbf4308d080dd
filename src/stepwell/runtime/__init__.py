"""What a project is made of: its file, its secrets, its bindings and its code."""
