"""Development tools: what measures and checks the project, and no part of what is installed."""
