"""The operator's commands: members, projects, rounds, offline matching and evaluation."""
