"""From reception to delivery: how messages come in, who may write to whom, and how the queue is emptied."""
