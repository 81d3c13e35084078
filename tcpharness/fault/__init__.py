"""Pure: when -> do, in virtual time; the ledger; crafted segments."""
