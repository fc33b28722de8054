"""What the services tell by themselves: received and kept at once, applied by a task."""
