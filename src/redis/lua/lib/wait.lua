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

-- The same, where it is a bucket of the list that is needed last. How much has expired with a bucket follows from what
-- the buckets after it count, and that from `listed` of the bucket and of the window. So the list is bisected, because
-- to read it from its head would cost the more, the more buckets a heavy call needs: 30 ms for 86 400 of them.
--
-- Nothing is declined in a window where anyone needs to know: under the suppressed strategy the wait is that for the
-- oldest bucket. There a refund may take from buckets of the list, and leaves what `listed` says as it was.
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
