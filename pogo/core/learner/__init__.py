"""What a training loop drives, and what it trains on and says, apart from either framework."""
