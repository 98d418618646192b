"""Exact top-k search over postings, and what bounds it: compiled code.

Two steps in one pass over the blocks of a corpus, best block first:

1. an upper bound of every passage's score, added up term by term in float32
   from a small table (count × rough length). Once k passages are known, terms
   that even together cannot lift a passage into the top k are left out of
   this (MaxScore: Turtle and Flood, "Query evaluation: strategies and
   optimizations", 1995), as are blocks whose bound is too low (block-max:
   Ding and Suel, "Faster top-k document retrieval using block-max indexes",
   2011);
2. passages whose bound reaches the k-th best score are scored in float64 with
   rank_bm25's operations in its order. Only these scores are compared, ties go
   to the lower row, so the result is that of scoring everything.

Why compiled: a query has some 90 terms (words, grams, pairs), and NumPy takes
some microseconds for each array operation on each term and block, which alone
is more than the time that such a query may take.

Positions come from files and are checked here before they are followed; a
wrong one makes the kernel return False. All compiled functions that call each
other are in this file, because Numba notices changes by file.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from retrieval_cache.sparse.compiled import compiled

_BLOCK = 1 << 16
_MANY = 255
_FEW_POSTINGS = 1 << 13
"""Below this many it is quicker to visit the passages of the postings than all of the block."""

_SHARE = 0.6
"""What of the k-th score the terms left out may reach together: the less, the more postings are read; the more, the
more passages have to be looked at one by one."""


class Postings(NamedTuple):
    """The arrays of `layout`, and beside them:

    level     uint8 [blocks · 65536]   rough length of each passage
    part      float32 [256, levels]    upper bound of the term part for a count and a level
    """

    first_segment: np.ndarray
    segment_block: np.ndarray
    segment_start: np.ndarray
    segment_bound: np.ndarray
    offset: np.ndarray
    count: np.ndarray
    overflow_at: np.ndarray
    overflow_count: np.ndarray
    length: np.ndarray
    level: np.ndarray
    part: np.ndarray


class Formula(NamedTuple):
    """k1, b and the average length, as floats."""

    k1: float
    b: float
    average: float


@compiled
def term_part(count, norm, k1):
    """What a term adds before its idf is multiplied; at most k1 + 1."""
    return count * (k1 + 1) / (count + norm)


class Terms(NamedTuple):
    """The distinct terms of queries and the places where they stand.

    Query i has the distinct terms `first_term[i]` to `first_term[i + 1] - 1`, of
    which `number` says which term of the index each is and `idf` its weight, not
    negative. `place[first_place[i] : first_place[i + 1]]` are the terms in the
    order of the query, as often as they stand there, counted from `first_term[i]`.
    """

    first_term: np.ndarray
    number: np.ndarray
    idf: np.ndarray
    first_place: np.ndarray
    place: np.ndarray


@compiled
def search_queries(terms, postings, formula, rows, scores):
    """Fill rows and scores [queries, k]; False: the files lead nowhere.

    Rows without a term in common score 0 and take the places that are left, lowest first.
    """
    bounds = np.zeros(_BLOCK, np.float32)
    seen = np.empty(_BLOCK, np.int32)
    for query in range(len(rows)):
        mine = slice(terms.first_term[query], terms.first_term[query + 1])
        place = terms.place[terms.first_place[query] : terms.first_place[query + 1]]
        asked = (terms.number[mine], terms.idf[mine], place)
        if not _search(asked, postings, formula, bounds, seen, rows[query], scores[query]):
            return False
    return True


@compiled
def _search(asked, postings, formula, bounds, seen, rows, scores):
    """One query; `bounds` float32 [65536] is zero before and after, `seen` is scratch."""
    distinct, idf, place = asked
    weight = np.zeros(len(distinct))
    for term in place:
        weight[term] += idf[term]
    blocks = len(postings.level) // _BLOCK
    begin = np.zeros((blocks, len(distinct)), np.int64)
    end = np.zeros((blocks, len(distinct)), np.int64)
    limit = np.zeros((blocks, len(distinct)))
    if not _locate(distinct, weight, postings, formula.k1, begin, end, limit):
        return False
    top_rows = np.full(len(rows), -1, np.int64)
    top_scores = np.zeros(len(rows))
    # float32 sums may fall short by half a unit in the last place per term.
    slack = 1 + 1e-6 + 1.2e-7 * (len(distinct) + 2)
    total = np.zeros(blocks)
    for block in range(blocks):
        for term in range(len(distinct)):
            total[block] += limit[block, term] * slack
    floor = -1.0
    for block in _falling(total):
        if total[block] == 0 or total[block] < max(floor, top_scores[-1]):
            break
        terms = (idf, place, weight, begin[block], end[block], limit[block])
        if floor < 0:
            floor = _floor(block, terms, len(rows), postings, formula, bounds, seen)
        if not _search_block(block, terms, slack, floor, postings, formula, bounds, seen, top_rows, top_scores):
            return False
    _fill_up(top_rows, len(postings.length))
    for i in range(len(rows)):
        rows[i] = top_rows[i]
        scores[i] = top_scores[i] if top_rows[i] >= 0 else np.nan
    return True


@compiled
def _locate(distinct, weight, postings, k1, begin, end, limit):
    """Per block where each term's postings begin and end and the most it can add; False if a position is wrong."""
    segments, size = len(postings.segment_block), len(postings.offset)
    for term in range(len(distinct)):
        first = np.int64(postings.first_segment[distinct[term]])
        stop = np.int64(postings.first_segment[distinct[term] + 1])
        if first < 0 or stop > segments:
            return False
        for i in range(first, stop):
            block = np.int64(postings.segment_block[i])
            low, high = np.int64(postings.segment_start[i]), np.int64(postings.segment_start[i + 1])
            if block >= len(begin) or low < 0 or low >= high or high > size or high - low > _BLOCK:
                return False
            begin[block, term], end[block, term] = low, high
            limit[block, term] = weight[term] * (postings.segment_bound[i] / 255 * (k1 + 1))
    return True


@compiled
def _floor(block, terms, k, postings, formula, bounds, seen):
    """A score that k passages of the block reach, found by the terms that add most and stand in few; 0 if none."""
    begin, end, limit = terms[3], terms[4], terms[5]
    level = postings.level[block * _BLOCK : (block + 1) * _BLOCK]
    order = _falling(limit)
    stop, touched = 0, 0
    while stop < len(order) and (touched < _FEW_POSTINGS // 4 or touched < 8 * k):
        touched += end[order[stop]] - begin[order[stop]]
        stop += 1
    found = _gather(order[:stop], touched, terms, level, np.float32(0), postings, bounds, seen)
    values = _take(seen[:found], order[:stop], touched, begin, end, postings, bounds)
    if found < k:
        return 0.0
    contribution = np.empty(len(limit))
    floor = np.inf
    for i in _best_first(values, k)[:k]:
        row = block * _BLOCK + np.int64(seen[i])
        if row < len(postings.length):
            floor = min(floor, _score(row, terms, postings, formula, contribution))
        else:
            return 0.0
    return floor


@compiled
def _gather(chosen, touched, terms, level, need, postings, bounds, seen):
    """Add up the bounds of the chosen terms; the offsets that reach `need` go to `seen`, returns how many."""
    _, _, weight, begin, end, _ = terms
    for term in chosen:
        _add_up(postings, begin[term], end[term], np.float32(weight[term]), level, bounds)
    if touched < _FEW_POSTINGS:
        return _gather_by_postings(postings.offset, chosen, begin, end, bounds, need, seen)
    return _gather_all(bounds, need, seen)


@compiled
def _take(candidates, chosen, touched, begin, end, postings, bounds):
    """The bounds of the candidates; all bounds are set to zero again."""
    values = bounds[candidates]
    if touched < _FEW_POSTINGS:
        for term in chosen:
            for i in range(begin[term], end[term]):
                bounds[postings.offset[i]] = 0
    else:
        bounds[:] = 0
    return values


@compiled
def _search_block(block, terms, slack, floor, postings, formula, bounds, seen, top_rows, top_scores):
    """Let the passages of one block into the top k; False if a position is wrong."""
    idf, _, _, begin, end, limit = terms
    level = postings.level[block * _BLOCK : (block + 1) * _BLOCK]
    order = _falling(limit)[::-1]
    # The terms before `cut` cannot lift a passage into the top k by themselves, by far.
    least = max(floor, top_scores[-1])
    cut, rest = 0, 0.0
    while cut < len(order) and (rest + limit[order[cut]]) * slack < _SHARE * least:
        rest += limit[order[cut]]
        cut += 1
    others, essential = order[:cut], order[cut:]
    touched = 0
    for term in essential:
        touched += end[term] - begin[term]
    need = np.float32(max(0.0, (least / slack - rest) * (1 - 1e-6)))
    found = _gather(essential, touched, terms, level, need, postings, bounds, seen)
    candidates = seen[:found]
    values = _take(candidates, essential, touched, begin, end, postings, bounds)
    contribution = np.empty(len(idf))
    # The most promising first: the sooner the k-th score is high, the more of the others fall out.
    for i in _best_first(values, len(top_rows)):
        offset = np.int64(candidates[i])
        least = max(floor, top_scores[-1])
        bound = values[i] + rest
        if bound * slack < least or not _may_enter(offset, bound, others, terms, level, slack, postings, least):
            continue
        row = block * _BLOCK + offset
        if row >= len(postings.length):
            return False
        _enter(row, _score(row, terms, postings, formula, contribution), top_rows, top_scores)
    return True


@compiled
def _add_up(postings, begin, end, weight, level, bounds):
    """Add one term to the bounds of the passages that have it."""
    offset, count, part = postings.offset, postings.count, postings.part
    for i in range(begin, end):
        row = offset[i]
        bounds[row] += weight * part[count[i], level[row]]


@compiled
def _gather_by_postings(offset, essential, begin, end, bounds, need, seen):
    """Write the offsets whose bound is above 0 and at least `need` to `seen`, returns how many."""
    found = 0
    for term in essential:
        for i in range(begin[term], end[term]):
            row = offset[i]
            if bounds[row] >= need and bounds[row] > 0:
                seen[found] = row
                found += 1
                bounds[row] = -bounds[row]  # marks it as seen
    for i in range(found):
        bounds[seen[i]] = -bounds[seen[i]]
    return found


@compiled
def _gather_all(bounds, need, seen):
    """The same by visiting the whole block, 64 at a time: floats from 0 on compare like their bits as integers."""
    bits = bounds.view(np.int32)
    one = np.empty(1, np.float32)
    one[0] = need
    least = max(1, one.view(np.int32)[0])
    found = 0
    for start in range(0, _BLOCK, 64):
        some = False
        for row in range(start, start + 64):
            some |= bits[row] >= least
        if some:
            for row in range(start, start + 64):
                if bits[row] >= least:
                    seen[found] = row
                    found += 1
    return found


@compiled
def _best_first(values, k):
    """An order of `values` that begins with the k highest, highest first; the others follow as they come."""
    order = np.arange(len(values))
    if len(values) <= k:
        return _sorted_falling(values, order)
    heap = order[:k]
    for i in range(k // 2 - 1, -1, -1):
        _sift(values, heap, i, k)
    for i in range(k, len(values)):
        if values[order[i]] > values[heap[0]]:
            heap[0], order[i] = order[i], heap[0]
            _sift(values, heap, 0, k)
    _sorted_falling(values, heap)
    return order


@compiled
def _falling(values):
    """The order of `values`, highest first."""
    return _sorted_falling(values, np.arange(len(values)))


@compiled
def _sorted_falling(values, order):
    """Sort the indices `order` in place, highest value first (heapsort; Numba's own sorts take long to compile)."""
    for i in range(len(order) // 2 - 1, -1, -1):
        _sift(values, order, i, len(order))
    for last in range(len(order) - 1, 0, -1):
        order[0], order[last] = order[last], order[0]
        _sift(values, order, 0, last)
    return order


@compiled
def _sift(values, heap, i, size):
    """Let heap[i] sink until no child has a lower value."""
    while 2 * i + 1 < size:
        child = 2 * i + 1
        if child + 1 < size and values[heap[child + 1]] < values[heap[child]]:
            child += 1
        if values[heap[i]] <= values[heap[child]]:
            return
        heap[i], heap[child] = heap[child], heap[i]
        i = child


@compiled
def _may_enter(offset, bound, others, terms, level, slack, postings, least):
    """Whether the bound of a passage still reaches `least` when the terms left out are looked up, highest first."""
    _, _, weight, begin, end, limit = terms
    for term in others[::-1]:
        if bound * slack < least:
            return False
        bound -= limit[term]
        place = _find(offset, begin[term], end[term], postings.offset)
        if place >= 0:
            bound += weight[term] * postings.part[postings.count[place], level[offset]]
    return bound * slack >= least


@compiled
def _find(value, low, end, values):
    """Where `value` stands in the growing values[low:end], or -1."""
    high = end
    while low < high:
        middle = (low + high) // 2
        if values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low if low < end and values[low] == value else -1


@compiled
def _score(row, terms, postings, formula, contribution):
    """The score of one passage in float64, added up in the order of the query's terms."""
    idf, place, _, begin, end, _ = terms
    norm = formula.k1 * (1 - formula.b + formula.b * np.int64(postings.length[row]) / formula.average)
    for term in range(len(idf)):
        contribution[term] = 0.0
        found = _find(row % _BLOCK, begin[term], end[term], postings.offset)
        if found >= 0:
            count = np.int64(postings.count[found])
            if count == _MANY:
                more = _find(found, 0, len(postings.overflow_at), postings.overflow_at)
                count = postings.overflow_count[more] if more >= 0 else count
            contribution[term] = idf[term] * term_part(float(count), norm, formula.k1)
    total = 0.0
    for term in place:
        total += contribution[term]
    return total


@compiled
def _enter(row, score, top_rows, top_scores):
    """Insert into the top k, sorted by score and row, if it belongs there; a score of 0 never does."""
    i = len(top_rows) - 1
    if score <= 0 or score < top_scores[i] or (score == top_scores[i] and 0 <= top_rows[i] < row):
        return
    while i > 0 and (score > top_scores[i - 1] or (score == top_scores[i - 1] and row < top_rows[i - 1])):
        top_scores[i], top_rows[i] = top_scores[i - 1], top_rows[i - 1]
        i -= 1
    top_scores[i], top_rows[i] = score, row


@compiled
def _fill_up(top_rows, passages):
    """Give the empty places to the lowest rows that are not in yet; their score is 0."""
    filled = 0
    taken = np.zeros(2 * len(top_rows), np.bool_)  # no row beyond these is reached
    while filled < len(top_rows) and top_rows[filled] >= 0:
        if top_rows[filled] < len(taken):
            taken[top_rows[filled]] = True
        filled += 1
    for row in range(min(passages, len(taken))):
        if filled < len(top_rows) and not taken[row]:
            top_rows[filled] = row
            filled += 1
