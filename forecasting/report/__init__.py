"""Views of a run for a person: its report, and how a network uses its inputs."""
