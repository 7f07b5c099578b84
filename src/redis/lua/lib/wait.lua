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
    wait_ms, freed = window.newest_ms + window.window_ms - window.now_ms, window.total
    if window.oldest_count >= missing and window.oldest_count > 0 then
      wait_ms, freed = window.oldest_ms + window.window_ms - window.now_ms, window.oldest_count
    elseif missing <= window.total - window.newest_count then
      wait_ms, freed = time_until_listed_free(window, missing, wait_ms, freed)
    end
  end
  return wait_ms, freed
end

-- The same, where the last bucket that is needed is one of the list. `listed` of the window and of a bucket say what
-- the buckets after it count, and so how much has expired with it. So the list can be bisected. To read it from its
-- head took Redis 30 ms for a call that needed 86 400 buckets.
--
-- Only absolute limits need this wait, and nothing is declined in their windows. Under the suppressed strategy a
-- refund may take from buckets of the list, and `listed` doesn't follow that.
local function time_until_listed_free(window, missing, wait_ms, freed)
  local from, to = 0, window.between - 1
  while from <= to do
    local middle = math.floor((from + to) / 2)
    local packed = redis.call('LINDEX', window.buckets_key, middle)
    if packed then
      local hit_ms, count, declined, barren_before, listed = unpack_bucket(packed)
      local after = difference_of_counts(window.listed, listed)
      local freed_then = window.total - window.newest_count - after
      if freed_then >= missing then
        wait_ms, freed, to = hit_ms + window.window_ms - window.now_ms, freed_then, middle - 1
      else
        from = middle + 1
      end
    else
      -- The server has evicted the list without the state.
      to = -1
    end
  end
  return wait_ms, freed
end
