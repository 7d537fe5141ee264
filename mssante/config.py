"""TOML to frozen values."""
