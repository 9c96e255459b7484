"""Who may use the service: keys and tokens, what each opens, and which addresses and origins are believed."""
