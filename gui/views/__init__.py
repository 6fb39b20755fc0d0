"""What is on the screen.  A view shows what its presenter says and hands on what a person does; it decides nothing."""
