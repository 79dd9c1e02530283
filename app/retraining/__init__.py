"""The retrain command: networks that were found, or baselines, trained from scratch."""
