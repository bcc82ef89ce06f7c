"""Chooses pages that link to each other.

First come the wanted pages and the shortest ways of links between them; then,
one by one, the page with the most links from and to those already chosen. So
the graph of the result is connected. The square root of a page's own number
of links keeps hubs from drawing everything in.
"""
import collections
import math


def neighbours(pages):
    """Undirected links among the given pages, by file name."""
    near = {name: set() for name in pages}
    for name, page in pages.items():
        for target in page.links:
            if target in near:
                near[name].add(target)
                near[target].add(name)
    return near


def _way(near, start, end):
    """The shortest way of links from start to end, or [] when there is none."""
    before, todo = {start: None}, collections.deque([start])
    while todo:
        name = todo.popleft()
        if name == end:
            way = []
            while name is not None:
                way.append(name)
                name = before[name]
            return way
        for other in sorted(near[name]):
            if other not in before:
                before[other] = name
                todo.append(other)
    return []


def choose(pages, wanted, limit):
    """At most `limit` file names: the wanted ones, then the best connected."""
    near = neighbours(pages)
    wanted = [name for name in wanted if name in pages] or sorted(pages)[:1]
    ways = [_way(near, wanted[0], name) for name in wanted]
    # Wanted ones first, in case the limit is smaller than all their ways.
    chosen = list(dict.fromkeys(wanted + sum(ways, [])))[:limit]
    while len(chosen) < min(limit, len(pages)):
        inside = set(chosen)

        def weight(name):
            links = near[name]
            return len(links & inside) / math.sqrt(len(links) + 4)

        # max() takes the first of equals: the same choice in every run.
        chosen.append(max(sorted(set(pages) - inside), key=weight))
    return sorted(chosen)


def components(pages, names):
    """Sizes of the parts that the chosen pages fall into, largest first."""
    near = neighbours({name: pages[name] for name in names})
    left, sizes = set(names), []
    while left:
        todo, size = [left.pop()], 1
        while todo:
            for other in near[todo.pop()] & left:
                left.discard(other)
                todo.append(other)
                size += 1
        sizes.append(size)
    return sorted(sizes, reverse=True)
