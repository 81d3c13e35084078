"""Pure: expectations against evidence, and the reconciliation of the witnesses."""
