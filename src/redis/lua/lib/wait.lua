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
      wait_ms, freed = time_until_between_free(window, missing, wait_ms, freed)
    end
  end
  return wait_ms, freed
end

-- The same, where the last bucket that is needed is one of those between.
--
-- Only absolute limits need this wait, and nothing is declined in their windows. Under the suppressed strategy a
-- refund may take from buckets of the list, and `listed` doesn't follow that.
local function time_until_between_free(window, missing, wait_ms, freed)
  local back, freed_then = window.inline:sub(window.front * BYTES_OF_BUCKET + 1), window.total - window.newest_count
  wait_ms, freed, freed_then = time_until_string_free(window, missing, back, #back, freed_then, wait_ms, freed)
  if freed_then >= missing and window.chunks > 0 then
    wait_ms, freed, freed_then = time_until_listed_free(window, missing, freed_then, wait_ms, freed)
  end
  if freed_then >= missing then
    local inline, bytes = window.inline, window.front * BYTES_OF_BUCKET
    wait_ms, freed, freed_then = time_until_string_free(window, missing, inline, bytes, freed_then, wait_ms, freed)
  end
  return wait_ms, freed
end

-- The same, where it is one of those in the first bytes of a string. `freed_then` has expired with the last of them. It
-- returns as well how much has expired with the bucket before them.
local function time_until_string_free(window, missing, buckets, bytes, freed_then, wait_ms, freed)
  local at = bytes - BYTES_OF_BUCKET + 1
  while at > 0 and freed_then >= missing do
    local hit_ms, count = unpack_bucket(buckets, at)
    wait_ms, freed = hit_ms + window.window_ms - window.now_ms, freed_then
    freed_then, at = freed_then - count, at - BYTES_OF_BUCKET
  end
  return wait_ms, freed, freed_then
end

-- The same, where it is one of the list. `listed` of the last chunk and of another one say what the chunks after that
-- one count, and so how much has expired with it. So the list can be bisected. To read it from its head took Redis
-- 30 ms for a call that needed 86 400 buckets.
local function time_until_listed_free(window, missing, freed_then, wait_ms, freed)
  local from, to, found, found_freed, before = 0, window.chunks - 1, false, 0, 0
  local all_listed
  while from <= to do
    local middle = all_listed and math.floor((from + to) / 2) or to
    local chunk = redis.call('LINDEX', window.buckets_key, middle)
    local is_chunk, listed = pcall(cmsgpack.unpack, chunk)
    if is_chunk and type(listed) == 'number' then
      all_listed = all_listed or listed
      local after = difference_of_counts(all_listed, listed)
      if freed_then - after >= missing then
        found, found_freed, to = chunk, freed_then - after, middle - 1
      else
        from = middle + 1
      end
    else
      -- The server has evicted the list without the state.
      to = -1
    end
  end
  local buckets = read_chunk(found)
  if buckets then
    wait_ms, freed, before = time_until_string_free(window, missing, buckets, #buckets, found_freed, wait_ms, freed)
  end
  return wait_ms, freed, before
end
