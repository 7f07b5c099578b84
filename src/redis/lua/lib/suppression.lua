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
-- many have (`seen`) and what the others count (`recent`): each bucket is looked at once, however many there are.
local function update_recent_rate(window)
  local span_ms = math.min(1000, window.window_ms)
  local rate = 0
  if window.total > 0 then
    if window.seen < 0 then
      window.seen, window.recent = 0, window.total
    end
    local hit_ms = leave_recent(window, span_ms)
    if hit_ms + span_ms > window.now_ms then
      rate = recent_per_second(window.recent, hit_ms, window.bucket_ms, span_ms, window.now_ms)
    end
  end
  return rate
end

-- Moves `seen` on over the buckets that have left the span. Returns when the next bucket was hit: the oldest within the
-- span, or the newest if none is.
local function leave_recent(window, span_ms)
  local next_ms = window.newest_ms
  while window.oldest_count > 0 and window.seen <= window.between do
    local hit_ms, count = find_bucket_after_seen(window)
    if not hit_ms then
      -- The server has evicted the list. Of what is counted, only the newest bucket's time is known.
      window.seen, window.recent = window.between + 1, window.newest_count
    elseif hit_ms + span_ms > window.now_ms then
      next_ms = hit_ms
      break
    else
      window.seen, window.recent = window.seen + 1, window.recent - count
    end
  end
  return next_ms
end

-- The hit time and the count of the bucket after the `seen` oldest ones; nil if it isn't in the list.
local function find_bucket_after_seen(window)
  local hit_ms, count = window.oldest_ms, window.oldest_count
  if window.seen > 0 then
    hit_ms = nil
    local packed = redis.call('LINDEX', window.buckets_key, window.seen - 1 - window.between)
    if packed then
      hit_ms, count = unpack_bucket(packed)
    end
  end
  return hit_ms, count
end

-- Computes the factor anew, unless the last one may still be used.
local function refresh_factor(window, suppression_cache_ms)
  if window.now_ms - window.factor_ms >= suppression_cache_ms then
    local recent = update_recent_rate(window)
    window.factor = suppression_factor(window.rate, window.total, window.window_ms, recent)
    window.factor_ms, window.rest_changed = window.now_ms, true
  end
end
