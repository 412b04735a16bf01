"""What trainings save, looked at without executing it."""
