"""A measured curve against the closed form: limits on C and D, the certificate, the verdict."""
