"""What somebody may do, by the names of the rights: each has those before it too."""

RIGHTS = ("read", "control", "settings", "admin")
