"""Plans among which none is better in everything."""
