"""What a catheter's run says: every result is that with the catheter less that with a bridge in its place."""
