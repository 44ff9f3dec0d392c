"""`wabalake check` of an address on a store: what it finds out, and that it leaves nothing behind."""
