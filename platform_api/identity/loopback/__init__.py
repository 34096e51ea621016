"""The embedded default's own identity provider: one button per sample user, on loopback and in development only."""
