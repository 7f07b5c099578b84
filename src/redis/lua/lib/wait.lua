-- How long until the oldest bucket expires; until the last lease does, if there is no bucket. 0 where nothing is used.
-- Without the bound a rounding could make it longer than the window.
local function oldest_expires_in(window)
  local gone_ms = window.lease_count > 0 and window.last_gone_ms or window.now_ms
  if window.total > 0 then gone_ms = window.oldest_ms + window.window_ms end
  return math.max(0, math.min(window.window_ms, gone_ms - window.now_ms))
end

-- The same in whole ms, rounded up.
local function time_until_more_free(window)
  local ms = oldest_expires_in(window)
  return math.ceil(ms)
end

-- How long until the oldest buckets that count `missing` together have expired, and how much has expired then. Where
-- all buckets are not enough, leases take the rest of the capacity: then the wait is that for all buckets, because
-- leases may be given back at any time. Where there is no bucket, it is that for the last lease.
local function time_until_free(window, missing)
  local wait_ms, freed = math.max(0, window.last_gone_ms - window.now_ms), window.reserved
  if window.total > 0 then
    wait_ms, freed = window.oldest_ms + window.window_ms - window.now_ms, window.oldest_count
    if window.oldest_count == 0 then freed = window.newest_count end
    if window.oldest_count > 0 and freed < missing then
      wait_ms, freed = time_until_more(window, missing, wait_ms, freed)
    end
  end
  return wait_ms, freed
end

-- The same, after the oldest bucket. The list is read a hundred buckets at a time, because a call seldom needs many.
local function time_until_more(window, missing, wait_ms, freed)
  local from = 0
  while from < window.between and freed < missing do
    for _, bucket in ipairs(redis.call('LRANGE', window.buckets_key, from, from + 99)) do
      local hit_ms, count = unpack_bucket(bucket)
      freed = freed + count
      wait_ms = hit_ms + window.window_ms - window.now_ms
      if freed >= missing then break end
    end
    from = from + 100
  end
  if freed < missing then
    freed = freed + window.newest_count
    wait_ms = window.newest_ms + window.window_ms - window.now_ms
  end
  return wait_ms, freed
end
