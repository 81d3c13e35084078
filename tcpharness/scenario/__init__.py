"""Pure: the YAML language: model, loading with line numbers, matrix, plan, schema."""
