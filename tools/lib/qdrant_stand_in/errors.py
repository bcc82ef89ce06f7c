"""Refusals in Qdrant's own words and with its status codes."""


class ApiError(Exception):
    """Ends a request: an HTTP status and the text of `status.error`."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status
        self.text = text


def bad_format(text):
    """The body is no JSON, or not of the shape that the endpoint takes."""
    return ApiError(400, f"Format error in JSON body: {text}")


def wrong_input(text):
    return ApiError(400, f"Wrong input: {text}")


def bad_request(text):
    return ApiError(400, f"Bad request: {text}")


def invalid(field, text, where="JSON body"):
    """The shape is right and a value isn't: 422."""
    return ApiError(422, f"Validation error in {where}: [{field}: {text}]")


def not_found(text):
    return ApiError(404, f"Not found: {text}")


def not_served(what):
    """What the real server does and the stand-in doesn't; the text says so, to save somebody's afternoon."""
    return ApiError(501, f"Not served by this stand-in for Qdrant: {what}")


def from_engine(error):
    """The answer for an exception of the engine, which knows the server's texts but not its status codes."""
    text = str(error)
    if isinstance(error, (ValueError, TypeError, OverflowError)):
        return bad_format(text.splitlines()[0])
    if text.startswith("No point with id"):
        return not_found(f"{text} found")
    if text.startswith(("Vector dimension error", "Not existing vector name error")):
        return wrong_input(text)
    if text.startswith("No range index") or "index required" in text.lower():
        return bad_request(text)
    return ApiError(500, f"Service internal error: {text}")
