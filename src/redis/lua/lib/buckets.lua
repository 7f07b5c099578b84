-- Buckets: hits in one cell of the time grid. The window has the oldest and the newest of them in its state. Those
-- between are in lib/between.lua.

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
    if window.back == BUCKETS_OF_CHUNK then
      local keep_ms = keep_time_of(window)
      local is_listed = list_back(window, window.buckets_key, keep_ms)
      if not is_listed then
        drop_list(window)
        list_back(window, window.buckets_key, keep_ms)
      end
    end
    push_between(window, window.newest_declined)
  elseif window.total > 0 then
    window.oldest_ms, window.oldest_count = window.newest_ms, window.newest_count
    window.oldest_declined = window.newest_declined
  end
  window.newest_count, window.newest_declined = 0, 0
end

-- The newest bucket has lost all its counts. The one before it that counts anything is the newest from now on.
local function drop_newest(window)
  window.head_changed = true
  repeat
    local hit_ms, count, declined = pop_between(window)
    if hit_ms then
      window.newest_ms, window.newest_count, window.newest_declined = hit_ms, count, declined
      -- The newest bucket never leaves the recent span.
      local between = count_between(window)
      if window.seen > between + 1 then window.seen, window.recent = between + 1, window.newest_count end
    else
      window.newest_ms, window.newest_count, window.newest_declined =
        window.oldest_ms, window.oldest_count, window.oldest_declined
      keep_newest_only(window)
    end
  until window.newest_count > 0 or not hit_ms
end

-- The newest bucket from now on is one that was hit at `hit_ms`, which is later than all others.
local function append_bucket(window, hit_ms, count, declined)
  local counted, counted_declined = within_totals(window, count, declined)
  begin_bucket(window)
  window.newest_ms, window.newest_count, window.newest_declined = hit_ms, counted, counted_declined
  if window.oldest_count == 0 then window.oldest_ms = hit_ms end
  window.total, window.declined = window.total + counted, window.declined + counted_declined
end

-- Takes the buckets that were hit from `from_ms` on out of the window, the newest first, and adds them to a list.
local function set_aside(window, from_ms, aside)
  while window.total > 0 and window.newest_ms >= from_ms do
    aside[#aside + 1] = { window.newest_ms, window.newest_count, window.newest_declined }
    window.total, window.declined = window.total - window.newest_count, window.declined - window.newest_declined
    window.newest_count, window.newest_declined = 0, 0
    drop_newest(window)
  end
end
