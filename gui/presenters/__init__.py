"""What the window knows and does, without Qt: a view shows what its presenter says, and hands on what a person does."""
