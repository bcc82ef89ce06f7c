"""The one exception that the store launcher raises for what a person can put right."""


class StoreError(Exception):
    """A store could not be fetched, started, reached or stopped; the text says what to do."""
