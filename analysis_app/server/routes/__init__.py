"""The REST routes, one file a subject, each with a function `routes(library, …)`. `/docs` lists them all."""
