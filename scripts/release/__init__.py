"""A release: gate, build, proof, push, promotion, and the ledger of every step."""
