"""Networks that were found, or others for comparison, trained from scratch on their own."""
