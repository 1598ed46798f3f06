"""What a plugin may extend: every family, and the registry that finds their members."""
