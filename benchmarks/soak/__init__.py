"""`hypnogram bench soak`: what a server and an executor hold while clients do all they can, for as long as wanted."""
