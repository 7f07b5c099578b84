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
  elseif #state >= BYTES_TO_NEWEST then
    unpack_head_to_newest(window, state)
    local has_buckets_only = #state - (window.front + window.back) * BYTES_OF_BUCKET == BYTES_TO_NEWEST
    if has_buckets_only and window.rate == terms.rate and window.now_ms >= window.newest_ms then
      window.stored_bytes, window.inline = #state, state:sub(BYTES_TO_NEWEST + 1)
      local is_live = window.newest_ms + window.window_ms > window.now_ms
      local is_shorter, is_sound = false, true
      if is_live then
        is_shorter, is_sound = expire_simply(window)
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
        stored = overwrite(window, nil)
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
    if is_known and window.chunks > 0 then redis.call('DEL', window.buckets_key) end
    window.rate, window.front, window.chunks, window.back, window.oldest_count = terms.rate, 0, 0, 0, 0
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

-- Stores the window in place of its state. Returns the new state.
local function overwrite(window, keep_ms)
  local fields = pack_head_to_newest(window)
  local state = fields .. window.inline
  store_state(window.state_key, state, window.stored_bytes, keep_ms)
  return state
end

-- Drops the buckets before the newest that have expired. Returns whether there were any, and whether the list of
-- chunks has what the state says, as far as it was read.
local function expire_simply(window)
  local is_shorter, is_sound = false, true
  while is_sound and window.oldest_count > 0 and window.oldest_ms + window.window_ms <= window.now_ms do
    local oldest_ms, oldest_count = window.newest_ms, 0
    while is_sound and oldest_count == 0 and window.front + window.chunks + window.back > 0 do
      if window.front == 0 and window.chunks > 0 then
        local chunk = redis.pcall('LPOP', window.buckets_key)
        local buckets = read_chunk(chunk)
        is_sound = buckets ~= nil
        if is_sound then
          put_in_front(window, buckets)
        elseif type(chunk) == 'string' then
          -- The usual way comes next. It would take the chunk after this entry for the one that the state has first.
          redis.call('DEL', window.buckets_key)
        end
      end
      if is_sound then
        oldest_ms, oldest_count = shift_inline(window)
      end
    end
    if is_sound then
      if oldest_count == 0 then oldest_ms = window.newest_ms end
      window.total, is_shorter = window.total - window.oldest_count, true
      window.oldest_ms, window.oldest_count = oldest_ms, oldest_count
    end
  end
  return is_shorter, is_sound
end

local function count_in_newest(window, count, is_shorter)
  add_to_newest(window, count)
  if is_shorter then
    overwrite(window, nil)
  else
    local newest = pack_newest(window)
    redis.call('SETRANGE', window.state_key, TEXT_BYTES_TO_HEAD, newest)
  end
end

-- Counts calls in the newest bucket, which they may be in.
local function add_to_newest(window, count)
  window.newest_ms = window.now_ms
  window.newest_count = window.newest_count + count
  window.total = window.total + count
  if window.oldest_count == 0 then window.oldest_ms = window.now_ms end
end

-- Counts a call in a bucket of its own, and stores it. Returns false where the list of chunks isn't as the state says.
-- Then the list is as it was.
local function count_after_newest(window, count)
  local begins_span, is_sound = window.newest_ms < window.span_start_ms, true
  if window.back == BUCKETS_OF_CHUNK then
    window.barren_before = 0
    is_sound = list_back(window, window.buckets_key, window.simple_keep_ms)
  end
  if is_sound then
    begin_simply(window, count)
    overwrite(window, begins_span and window.simple_keep_ms or nil)
  end
  return is_sound
end

-- Counts a call in a bucket of its own, for which there is a place.
local function begin_simply(window, count)
  if window.oldest_count == 0 then
    window.oldest_ms, window.oldest_count = window.newest_ms, window.newest_count
  else
    push_between(window, 0)
  end
  window.newest_ms, window.newest_count, window.total = window.now_ms, count, window.total + count
end
