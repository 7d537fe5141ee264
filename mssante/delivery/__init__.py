"""From reception to delivery: the one way in, who may write to whom, the queue and its roads out."""
