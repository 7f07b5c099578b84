-- Buckets: hits in one cell of the time grid. The window has the oldest and the newest of them in its state, and Redis
-- a list of those between, oldest first. So a call reads no list unless a bucket begins or expires.

-- Where the cell of the grid that has `ms` begins; never after `ms`, though a division may round up. Lua's % would cost
-- less, but it rounds once more: before the year 1970 the last bit may be another one than in strategy/bucket.ts.
local function cell_start_of(ms, bucket_ms)
  local start_ms = math.floor(ms / bucket_ms) * bucket_ms
  if start_ms > ms then start_ms = start_ms - bucket_ms end
  return start_ms
end

-- Counts `count` at the window's time, `declined` of it as declined.
local function add_hit(window, count, declined)
  local counted, counted_declined = within_totals(window, count, declined)
  local cell_ms = cell_start_of(window.now_ms, window.bucket_ms)
  if window.total == 0 or window.newest_ms < cell_ms then
    begin_bucket(window)
  end
  window.newest_ms = window.now_ms
  window.newest_count = window.newest_count + counted
  window.newest_declined = window.newest_declined + counted_declined
  window.total = window.total + counted
  window.declined = window.declined + counted_declined
  if window.oldest_count == 0 then window.oldest_ms = window.now_ms end
  window.recent = window.recent + counted
  window.rest_changed = true
end

-- Totals are exact integers, so they stop at the largest one. What is declined stops at half of it, so that there is
-- always room for counting what is accepted.
local function within_totals(window, count, declined)
  if declined > MOST_DECLINED - window.declined then
    count = count - declined
    declined = MOST_DECLINED - window.declined
    count = count + declined
  end
  if count > MOST_TOTAL - window.total then
    count = MOST_TOTAL - window.total
    if declined > count then declined = count end
  end
  return count, declined
end

-- The newest bucket from now on is an empty one; the one that was the newest joins the others.
local function begin_bucket(window)
  local span_ms = keep_span(window.window_ms, window.bucket_ms)
  local begins_span = window.total == 0
  if not begins_span then
    local span_start_ms = cell_start_of(window.now_ms, span_ms)
    begins_span = window.newest_ms < span_start_ms
  end
  if begins_span then
    keep(window)
  end
  window.head_changed = true
  if window.oldest_count > 0 then
    push_newest(window)
  elseif window.total > 0 then
    window.oldest_ms, window.oldest_count = window.newest_ms, window.newest_count
    window.oldest_declined = window.newest_declined
  end
  window.newest_count, window.newest_declined = 0, 0
end

local function push_newest(window)
  window.between = window.between + 1
  window.listed = sum_of_counts(window.listed, window.newest_count)
  local count, declined = window.newest_count, window.newest_declined
  local bucket = pack_bucket(window.newest_ms, count, declined, window.barren_before, window.listed)
  window.barren_before = window.newest_count == window.newest_declined and window.barren_before + 1 or 0
  if redis.call('RPUSH', window.buckets_key, bucket) ~= window.between then
    -- The server has evicted the state or the list without the other. What the list held is forgotten.
    redis.call('DEL', window.buckets_key)
    redis.call('RPUSH', window.buckets_key, bucket)
    window.between = 1
    window.total = window.oldest_count + window.newest_count
    window.declined = window.oldest_declined + window.newest_declined
    window.seen = -1
  end
  if window.keep_ms or window.between == 1 then
    local keep_ms = keep_time_of(window)
    redis.call('PEXPIRE', window.buckets_key, keep_ms)
  end
end

-- Sums of counts, and their differences, are modulo 2^53. So they are exact however long a key is in use.
local function sum_of_counts(sum, count)
  local left = MOST_TOTAL - sum
  return count > left and count - left - 1 or sum + count
end

local function difference_of_counts(sum, other)
  return sum < other and sum - other + MOST_TOTAL + 1 or sum - other
end

-- The newest bucket has lost all its counts. The one before it that counts anything is the newest from now on.
local function drop_newest(window)
  window.head_changed = true
  repeat
    local known = window.barren_before
    local before = window.between > 0 and redis.call('RPOP', window.buckets_key)
    if before then
      window.between = window.between - 1
      local hit_ms, count, declined, barren_before, listed = unpack_bucket(before)
      window.newest_ms, window.newest_count, window.newest_declined = hit_ms, count, declined
      window.listed = difference_of_counts(listed, count)
      -- What the newest bucket knew is more up to date.
      window.barren_before = math.max(barren_before, known - 1)
      -- The newest bucket never leaves the recent span.
      if window.seen > window.between + 1 then window.seen, window.recent = window.between + 1, window.newest_count end
    else
      window.newest_ms, window.newest_count, window.newest_declined =
        window.oldest_ms, window.oldest_count, window.oldest_declined
      keep_newest_only(window)
    end
  until window.newest_count > 0 or not before
end

-- The newest bucket from now on is one that was hit at `hit_ms`, which is later than all others.
local function append_bucket(window, hit_ms, count, declined)
  begin_bucket(window)
  window.newest_ms, window.newest_count, window.newest_declined = hit_ms, count, declined
  if window.oldest_count == 0 then window.oldest_ms = hit_ms end
  window.total, window.declined = window.total + count, window.declined + declined
end
