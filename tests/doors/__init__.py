"""Programs written for hosted products, against this server."""
