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
  keep(window)
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
  local bucket = pack_bucket(window.newest_ms, window.newest_count, window.newest_declined)
  if redis.call('RPUSH', window.buckets_key, bucket) ~= window.between then
    -- The server has evicted the state or the list without the other. What the list held is forgotten.
    redis.call('DEL', window.buckets_key)
    redis.call('RPUSH', window.buckets_key, bucket)
    window.between = 1
    window.total = window.oldest_count + window.newest_count
    window.declined = window.oldest_declined + window.newest_declined
    window.seen = -1
  end
  redis.call('PEXPIRE', window.buckets_key, window.keep_ms)
end

-- All live buckets, oldest first. Costs as much as there are.
local function read_buckets(window)
  local buckets = {}
  if window.oldest_count > 0 then
    buckets[1] = { window.oldest_ms, window.oldest_count, window.oldest_declined }
    for _, packed in ipairs(redis.call('LRANGE', window.buckets_key, 0, -1)) do
      local hit_ms, count, declined = unpack_bucket(packed)
      buckets[#buckets + 1] = { hit_ms, count, declined }
    end
  end
  if window.total > 0 then
    buckets[#buckets + 1] = { window.newest_ms, window.newest_count, window.newest_declined }
  end
  return buckets
end

-- Makes `buckets`, oldest first, all that the key has. Without any the key is forgotten. The recent rate and the factor
-- were computed for the buckets before, so they are forgotten too.
local function write_buckets(window, buckets)
  if #buckets == 0 then
    forget(window)
  else
    redis.call('DEL', window.buckets_key)
    window.total, window.declined = 0, 0
    for _, bucket in ipairs(buckets) do
      window.total = window.total + bucket[COUNT]
      window.declined = window.declined + bucket[DECLINED]
    end
    local newest, oldest = buckets[#buckets], buckets[1]
    window.newest_ms, window.newest_count, window.newest_declined = newest[HIT_MS], newest[COUNT], newest[DECLINED]
    window.oldest_ms, window.oldest_count, window.oldest_declined = newest[HIT_MS], 0, 0
    if #buckets > 1 then
      window.oldest_ms, window.oldest_count, window.oldest_declined = oldest[HIT_MS], oldest[COUNT], oldest[DECLINED]
    end
    keep(window)
    write_between(window, buckets)
    window.factor_ms, window.seen, window.head_changed = NEVER_MS, -1, true
  end
end

local function write_between(window, buckets)
  window.between = math.max(0, #buckets - 2)
  for i = 2, #buckets - 1 do
    local bucket = pack_bucket(buckets[i][HIT_MS], buckets[i][COUNT], buckets[i][DECLINED])
    redis.call('RPUSH', window.buckets_key, bucket)
  end
  if window.between > 0 then redis.call('PEXPIRE', window.buckets_key, window.keep_ms) end
end
