-- The most frequent kinds of call, in short. The call is admitted, and its key is unknown or has a state of nothing but
-- buckets. The short way takes Redis two thirds to three quarters of the time for calls to many keys. The usual way is
-- for every kind of call.

-- Sets how long Redis keeps a key that is called next and has nothing but buckets. As text, because to make text of a
-- number takes some 1 000 of the 30 000 instructions of a call.
local function set_keep_time(window)
  local span_ms = keep_span(window.window_ms, window.bucket_ms)
  local keep_ms = keep_time(window.window_ms, span_ms, window.has_callers_clock)
  window.simple_keep_ms = EXACT:format(keep_ms)
end

-- Sets the time of the calls that come next, and in which cells of the time grid it is.
local function set_time(window, now_ms)
  window.now_ms = now_ms
  window.cell_ms = cell_start_of(now_ms, window.bucket_ms)
  local span_ms = keep_span(window.window_ms, window.bucket_ms)
  window.span_start_ms = cell_start_of(now_ms, span_ms)
end

-- Counts a call that is simple. Returns what it is replied; false for any other call. Such a call has counted nothing,
-- but what had expired may be gone from Redis. So the state as it is stored then is returned as well.
local function count_simply(window, state, terms)
  local replied, is_counted, stored = false, false, state
  local count = terms.count
  if not state then
    is_counted = count_first(window, terms, false)
  elseif #state == BYTES_TO_NEWEST then
    unpack_head_to_newest(window, state)
    if window.rate == terms.rate and window.now_ms >= window.newest_ms then
      local is_live = window.newest_ms + window.window_ms > window.now_ms
      local is_shorter, is_sound = false, true
      if is_live then
        is_shorter, is_sound = expire_simply(window, window.buckets_key, window.window_ms, window.now_ms)
        is_live = window.total > 0
      end
      local total = window.total + count
      local is_admitted = is_sound and total <= terms.limit and total <= MOST_TOTAL
      if not is_live then
        is_counted = count_first(window, terms, true)
      elseif is_admitted and window.newest_ms >= window.cell_ms then
        count_in_newest(window, count, is_shorter)
        is_counted = true
      elseif is_admitted then
        is_counted = count_after_newest(window, count)
      end
      if is_shorter and not is_counted then
        stored = overwrite(window)
      end
    end
  end
  if is_counted then
    replied = admission_as_replied(window, window.total)
  end
  return replied, stored
end

-- Counts the first call to a key, or the first after all that was known of it has expired. MGET tells nothing for a key
-- that holds something else either: NX leaves that as it is, and the call isn't simple.
local function count_first(window, terms, is_known)
  local count = terms.count
  local is_counted = count <= terms.limit and count <= MOST_TOTAL
  if is_counted then
    if is_known and window.between > 0 then redis.call('DEL', window.buckets_key) end
    window.rate, window.between, window.oldest_count, window.listed = terms.rate, 0, 0, 0
    window.oldest_ms, window.newest_ms, window.newest_count, window.total = window.now_ms, window.now_ms, count, count
    local state = pack_head_to_newest(window)
    if is_known then
      redis.call('SET', window.state_key, state, 'PX', window.simple_keep_ms)
    else
      is_counted = redis.call('SET', window.state_key, state, 'PX', window.simple_keep_ms, 'NX')
    end
  end
  return is_counted
end

-- Stores the window over its state, which is as long. Returns the new state.
local function overwrite(window)
  local state = pack_head_to_newest(window)
  redis.call('SETRANGE', window.state_key, '0', state)
  return state
end

-- Drops the buckets before the newest that have expired. Returns whether there were any, and whether the list of
-- buckets has what the state says, as far as it was read.
local function expire_simply(window, buckets_key, window_ms, now_ms)
  local is_shorter, is_sound = false, true
  while is_sound and window.oldest_count > 0 and window.oldest_ms + window_ms <= now_ms do
    local total, between = window.total - window.oldest_count, window.between
    local oldest_ms, oldest_count = window.newest_ms, 0
    while is_sound and oldest_count == 0 and between > 0 do
      local next = redis.pcall('LPOP', buckets_key)
      if next then
        is_sound, oldest_ms, oldest_count = pcall(cmsgpack.unpack, next)
        between = between - 1
      else
        -- The server has evicted the list without the state.
        total, between = window.newest_count, 0
      end
    end
    is_sound = is_sound and type(oldest_ms) == 'number' and type(oldest_count) == 'number'
    if oldest_count == 0 then oldest_ms = window.newest_ms end
    if is_sound then
      window.total, window.between, window.oldest_ms, window.oldest_count = total, between, oldest_ms, oldest_count
      is_shorter = true
    end
  end
  return is_shorter, is_sound
end

local function count_in_newest(window, count, is_shorter)
  window.newest_ms = window.now_ms
  window.newest_count, window.total = window.newest_count + count, window.total + count
  if window.oldest_count == 0 then window.oldest_ms = window.now_ms end
  if is_shorter then
    overwrite(window)
  else
    local newest = pack_newest(window)
    redis.call('SETRANGE', window.state_key, TEXT_BYTES_TO_HEAD, newest)
  end
end

-- Counts a call in a bucket of its own, and stores it. Returns false as `begin_simply` does.
local function count_after_newest(window, count)
  local begins_span = window.newest_ms < window.span_start_ms
  local is_sound = begin_simply(
    window,
    count,
    window.buckets_key,
    window.now_ms,
    begins_span,
    window.simple_keep_ms
  )
  if is_sound and begins_span then
    local state = pack_head_to_newest(window)
    redis.call('SET', window.state_key, state, 'PX', window.simple_keep_ms)
  elseif is_sound then
    overwrite(window)
  end
  return is_sound
end

-- Counts a call in a bucket of its own. Returns false where the list of buckets isn't as the state says. Then the list
-- is as it was.
local function begin_simply(window, count, buckets_key, now_ms, begins_span, keep_ms)
  local is_sound = true
  if window.oldest_count == 0 then
    window.oldest_ms, window.oldest_count = window.newest_ms, window.newest_count
  else
    local listed = sum_of_counts(window.listed, window.newest_count)
    local bucket = pack_bucket(window.newest_ms, window.newest_count, 0, 0, listed)
    local pushed = redis.pcall('RPUSH', buckets_key, bucket)
    is_sound = pushed == window.between + 1
    if is_sound then
      window.between, window.listed = pushed, listed
      if begins_span or pushed == 1 then redis.call('PEXPIRE', buckets_key, keep_ms) end
    elseif type(pushed) == 'number' then
      redis.call('RPOP', buckets_key)
    end
  end
  if is_sound then
    window.newest_ms, window.newest_count, window.total = now_ms, count, window.total + count
  end
  return is_sound
end
