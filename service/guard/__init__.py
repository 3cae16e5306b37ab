"""Who may call: tokens, rights and limits; it knows neither gRPC nor HTTP."""
