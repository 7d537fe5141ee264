"""The SMTP wing: grammar (octets and values), server (reception and submission), client (the courier)."""
