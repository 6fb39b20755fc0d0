"""Life of a filling: what the reservoir still holds by the balance, and what the pump says of it."""
