"""From stored counts to rows, ranks, tables and verdicts."""
