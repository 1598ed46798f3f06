"""What everything stands on: errors, components, chance, statistics, files and the log."""
