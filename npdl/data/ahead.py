"""ahead: what a function makes of one argument after the other, made by threads before it is asked for."""

from collections import deque


def ahead(function, arguments, workers):
    """function(*one) for each in arguments, in their order; `workers` threads are at work on the next ones meanwhile.

    An error comes where the result would have come. Arguments are taken by the calling thread, never more than
    `workers` ahead; who stops early waits for no more than what is being made.

    >>> list(ahead(pow, [(2, 3), (3, 2), (5, 2)], workers=2))
    [8, 9, 25]
    """
    from concurrent.futures import ThreadPoolExecutor  # here, since with its logging it takes long to import

    coming = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="npdl-data") as pool:
        try:
            for one in arguments:
                coming.append(pool.submit(function, *one))
                if len(coming) > workers:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for one in coming:
                one.cancel()
