"""What a run looks like to a person: its report, and what a network does with its inputs."""
