"""float32 as Qdrant prints it: the shortest decimal that reads back as the same float32."""

import array
import math


def shortest(vector):
    """The engine's float32 values, widened by Python, as the doubles with the fewest digits; not finite: None."""
    exact = array.array("f", vector)
    found = [float(f"{value:.7g}") for value in exact]
    for digits in (8, 9):
        back = array.array("f", found)
        if back == exact:
            break
        for place, (one, other) in enumerate(zip(exact, back, strict=True)):
            if one != other:
                found[place] = float(f"{one:.{digits}g}")
    if not math.isfinite(sum(found)):
        return [value if math.isfinite(value) else None for value in found]
    return found


def is_number_list(values):
    """Whether this is a list of JSON numbers (true and false are none, though Python thinks so)."""
    return isinstance(values, list) and set(map(type, values)) <= {int, float}


def has_overflow(values):
    """Whether a literal was too large for a double: Python reads 1e400 as infinity, Qdrant refuses it."""
    try:
        return not math.isfinite(sum(values)) and any(math.isinf(value) for value in values)
    except OverflowError:
        return True
