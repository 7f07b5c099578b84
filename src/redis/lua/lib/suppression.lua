-- The suppression factor, as in strategy/suppressed.ts.

-- The rate of the buckets that were hit within the recent span. They may reach back further than the span, to where the
-- cell of the oldest of them begins, and then they are a rate over all of that time.
local function recent_per_second(count, oldest_hit_ms, bucket_ms, span_ms, now_ms)
  local start_ms = cell_start_of(oldest_hit_ms, bucket_ms)
  return count * 1000 / math.max(span_ms, now_ms - start_ms)
end

-- The share of the calls to deny, so that the others meet the rate: clamp(1 - rate / perceived, 0, 1). The perceived
-- rate is that of the window or the recent one, whichever is larger.
local function suppression_factor(rate, observed, window_ms, recent)
  local perceived = math.max(observed * 1000 / window_ms, recent)
  return math.max(0, 1 - rate / perceived)
end

-- The recent rate of a window. Buckets only ever leave the recent span from the oldest on, so the window remembers how
-- many have (`seen`) and what the others count (`recent`): each bucket is looked at once, however many there are. Where
-- that isn't known, or many have left since, the buckets of the span are counted from the newest on.
local function update_recent_rate(window)
  local span_ms = math.min(1000, window.window_ms)
  local rate = 0
  if window.total > 0 then
    local hit_ms
    if window.seen >= 0 then
      hit_ms = leave_recent(window, span_ms)
    end
    if not hit_ms then
      hit_ms = count_recent(window, span_ms)
    end
    if hit_ms + span_ms > window.now_ms then
      rate = recent_per_second(window.recent, hit_ms, window.bucket_ms, span_ms, window.now_ms)
    end
  end
  return rate
end

-- Moves `seen` on over the buckets that have left the span. Returns when the next bucket was hit: the oldest within the
-- span, or the newest if none is. Nil if a hundred have left and that isn't all, or if the server has evicted the list.
local function leave_recent(window, span_ms)
  local next_ms
  local last = window.seen + 100
  local is_known = true
  while is_known and not next_ms and window.seen <= last do
    local hit_ms, count = find_bucket_after_seen(window)
    if not hit_ms then
      is_known = false
    elseif hit_ms == window.newest_ms or count > 0 and hit_ms + span_ms > window.now_ms then
      next_ms = hit_ms
    else
      window.seen, window.recent = window.seen + 1, window.recent - count
    end
  end
  return next_ms
end

-- The hit time and the count of the bucket after the `seen` oldest ones; nil if the server has evicted the list.
local function find_bucket_after_seen(window)
  local hit_ms, count = window.newest_ms, window.newest_count
  local between = count_between(window)
  if window.seen == 0 and window.oldest_count > 0 then
    hit_ms, count = window.oldest_ms, window.oldest_count
  elseif window.seen > 0 and window.seen <= between then
    hit_ms, count = find_between(window, between - window.seen)
  end
  return hit_ms, count
end

-- Sets `seen` and `recent` by the buckets within the span, from the newest on. Returns when the oldest of them was hit;
-- when the newest was if none is. A span has a thousand buckets at most, because a bucket has a millisecond at least.
local function count_recent(window, span_ms)
  local hit_ms = window.newest_ms
  window.seen, window.recent = 0, window.newest_count
  if window.oldest_count > 0 then
    local between = count_between(window)
    window.seen = between + 1
    local is_within, inline, at = hit_ms + span_ms > window.now_ms, window.inline, 0
    hit_ms, is_within = count_recent_string(window, span_ms, inline, #inline, window.back, hit_ms, is_within)
    while is_within and at < window.chunks do
      local chunk = redis.call('LINDEX', window.buckets_key, -1 - at)
      local buckets = read_chunk(chunk)
      is_within, at = buckets ~= nil, at + 1
      local to, size = BYTES_OF_BUCKETS, BUCKETS_OF_CHUNK
      hit_ms, is_within = count_recent_string(window, span_ms, buckets, to, size, hit_ms, is_within)
    end
    local to, front = window.front * BYTES_OF_BUCKET, window.front
    hit_ms, is_within = count_recent_string(window, span_ms, inline, to, front, hit_ms, is_within)
    if is_within and window.oldest_ms + span_ms > window.now_ms then
      hit_ms, window.seen, window.recent = window.oldest_ms, 0, window.recent + window.oldest_count
    end
  end
  return hit_ms
end

-- Counts those of `size` buckets of a string that are within the span, from the last one on, which ends at byte `to`;
-- none unless all that are newer are. `hit_ms` is when the one after them was hit. Returns the same for the one before
-- them, and whether all of them are within the span.
local function count_recent_string(window, span_ms, buckets, to, size, hit_ms, is_within)
  while is_within and size > 0 do
    local before_ms, count = unpack_bucket(buckets, to - BYTES_OF_BUCKET + 1)
    is_within = before_ms + span_ms > window.now_ms
    if is_within then
      window.seen, window.recent = window.seen - 1, window.recent + count
      if count > 0 then hit_ms = before_ms end
    end
    to, size = to - BYTES_OF_BUCKET, size - 1
  end
  return hit_ms, is_within
end

-- Computes the factor anew, unless the last one may still be used.
local function refresh_factor(window, suppression_cache_ms)
  if window.now_ms - window.factor_ms >= suppression_cache_ms then
    local recent = update_recent_rate(window)
    window.factor = suppression_factor(window.rate, window.total, window.window_ms, recent)
    window.factor_ms, window.rest_changed = window.now_ms, true
  end
end
