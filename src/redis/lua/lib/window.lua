-- The window of one limited key: read at the start of a command, stored at its end. `commands.js` says what fields
-- there are.

-- Reads what is stored and what the time is. Drops nothing: see `expire`.
local function open_window(window, keys, arguments)
  window.state_key, window.buckets_key = keys.state, keys.buckets
  window.window_ms, window.bucket_ms = arguments.window_ms, arguments.bucket_ms
  window.now_ms, window.has_callers_clock = time_of_call(arguments)
  local state = redis.call('GET', window.state_key)
  begin_window(window, state)
end

-- Makes the window of what is stored, false for an unknown key. Its keys, its lengths and the time are there already.
local function begin_window(window, state)
  begin_rest(window)
  if state then
    read_state(window, state)
  else
    window.stored_bytes = 0
    window.oldest_count, window.newest_count, window.total = 0, 0, 0
    window.front, window.chunks, window.back, window.inline = 0, 0, 0, ''
  end
end

-- What a state that has nothing but buckets says of the rest, and that nothing has changed.
local function begin_rest(window)
  window.oldest_declined, window.newest_declined, window.declined, window.seen, window.recent = 0, 0, 0, -1, 0
  window.barren_before, window.factor, window.factor_ms = 0, 0, NEVER_MS
  window.reserved, window.headroom, window.lease_count, window.first_gone_ms, window.last_gone_ms = 0, 0, 0, 0, 0
  window.offset_ms, window.blocked_until_ms, window.head_changed, window.rest_changed = 0, NEVER_MS, false, false
end

-- The time, and whether the caller gave it.
local function time_of_call(arguments)
  local callers_ms = arguments.clock_ms
  local now_ms
  local is_callers = callers_ms ~= nil
  if is_callers then
    now_ms = callers_ms + 0
  else
    now_ms = time_of_server()
  end
  return now_ms, is_callers
end

local function time_of_server()
  local time = redis.call('TIME')
  return time[1] * 1000 + time[2] / 1000
end

local function read_state(window, state)
  window.stored_bytes = #state
  unpack_head_to_newest(window, state)
  local bytes = #state - (window.front + window.back) * BYTES_OF_BUCKET
  if bytes > BYTES_TO_NEWEST then
    unpack_suppression(window, state)
  end
  if bytes > BYTES_TO_SUPPRESSION then
    unpack_leases(window, state)
  end
  if bytes > BYTES_TO_LEASES then
    unpack_clock(window, state)
  end
  if bytes > BYTES_TO_CLOCK then
    unpack_block(window, state)
  end
  window.inline = state:sub(bytes + 1)
  -- A hit in the only bucket stores nothing of the head, so the time of the oldest bucket may be that of an older hit.
  if window.oldest_count == 0 then window.oldest_ms = window.newest_ms end
  settle_time(window)
end

-- Makes the time of the call that of the key, which never goes back. Drops leases and a block that are over by then.
local function settle_time(window)
  if window.now_ms < window.newest_ms or window.offset_ms > 0 then
    pause_clock(window)
  end
  if window.lease_count > 0 and window.last_gone_ms <= window.now_ms then
    window.reserved, window.headroom, window.lease_count, window.head_changed = 0, 0, 0, true
  end
  if window.blocked_until_ms > NEVER_MS and window.blocked_until_ms <= window.now_ms then
    window.blocked_until_ms, window.head_changed = NEVER_MS, true
  end
end

-- A server's clock that was set back, by a step or because another server is the master now, is a pause, as on Local:
-- the key's time stands still for the call and goes on from there. So what was counted lives for a window from now on
-- at most. That a clock is behind shows by the newest bucket only. So a step back by less than the time since then
-- passes unseen, and counts live that much longer. To be set forward again is to be set forward: counts expire.
--
-- Where the clock is behind by little, the key's time stands still until it isn't, and so it does for callers' clocks,
-- which take turns: they would all add to the offset with each turn, and the key's time would run away.
local function pause_clock(window)
  local clock_ms = window.now_ms
  window.now_ms = clock_ms + window.offset_ms
  if window.now_ms < window.newest_ms then
    local little_ms = little_time_of(window)
    if not window.has_callers_clock and window.now_ms + little_ms < window.newest_ms then
      window.offset_ms, window.head_changed = window.newest_ms - clock_ms, true
    end
    window.now_ms = window.newest_ms
    if window.head_changed then
      -- Redis would keep the key until its clock has caught up.
      keep(window)
      redis.call('PEXPIRE', window.buckets_key, window.keep_ms)
    end
  end
  window.factor_ms = math.min(window.factor_ms, window.now_ms)
end

-- How much too late a hit may expire where to be more exact would cost much.
local function little_time_of(window)
  return math.max(window.bucket_ms, window.window_ms / 100)
end

-- Drops the buckets that have expired.
local function expire(window)
  if window.total > 0 then
    local is_live = window.newest_ms + window.window_ms > window.now_ms
    while is_live and window.oldest_count > 0 and window.oldest_ms + window.window_ms <= window.now_ms do
      drop_oldest(window)
    end
    -- Where totals have stopped at the largest one, the newest bucket may count nothing.
    if not is_live or window.total == 0 then
      forget(window)
    end
  end
end

-- The next bucket that counts anything becomes the oldest.
local function drop_oldest(window)
  window.head_changed = true
  window.total = window.total - window.oldest_count
  window.declined = window.declined - window.oldest_declined
  repeat
    if window.seen > 0 then
      window.seen = window.seen - 1
    else
      window.recent = window.recent - window.oldest_count
    end
    local hit_ms, count, declined = shift_between(window)
    if hit_ms then
      window.oldest_ms, window.oldest_count, window.oldest_declined = hit_ms, count, declined
    else
      keep_newest_only(window)
    end
  until window.oldest_count > 0 or not hit_ms
end

-- Only the newest bucket is left.
local function keep_newest_only(window)
  window.front, window.chunks, window.back, window.inline = 0, 0, 0, ''
  window.oldest_ms, window.oldest_count, window.oldest_declined = window.newest_ms, 0, 0
  window.total, window.declined, window.barren_before = window.newest_count, window.newest_declined, 0
  if window.seen >= 0 then window.seen, window.recent = 0, window.newest_count end
end

-- Forgets all buckets. Leases still count as used, because the processes that have them may still spend them. An
-- offset stays, because the leases that Redis has are by the key's time, those that are gone included. And a block
-- stays.
local function forget(window)
  if window.lease_count > 0 or window.offset_ms > 0 or window.blocked_until_ms > NEVER_MS then
    redis.call('DEL', window.buckets_key)
    window.head_changed = true
  else
    redis.call('DEL', window.state_key, window.buckets_key)
    window.stored_bytes, window.head_changed, window.rest_changed = 0, false, false
  end
  window.oldest_count, window.newest_count, window.total = 0, 0, 0
  window.front, window.chunks, window.back, window.inline = 0, 0, 0, ''
  window.oldest_declined, window.newest_declined, window.declined, window.seen, window.recent = 0, 0, 0, -1, 0
  window.barren_before, window.factor_ms = 0, NEVER_MS
end

-- To set the time at which Redis forgets a key costs as much as to store it. So that is done for the first bucket only
-- that begins in a span of so many ms, and then for all that may begin in the span. A span has whole cells, because a
-- bucket may be hit until its cell ends, which would be after the span.
local function keep_span(window_ms, bucket_ms)
  return math.max(1, math.floor(window_ms / 16 / bucket_ms)) * bucket_ms
end

-- How long each hit lives that may come in this span of time, and every lease, and a block.
local function keep_time_of(window)
  local span_ms = keep_span(window.window_ms, window.bucket_ms)
  local live_ms = math.max(window.window_ms, window.blocked_until_ms - window.now_ms)
  if window.lease_count > 0 then live_ms = math.max(live_ms, window.last_gone_ms - window.now_ms) end
  local keep_ms = keep_time(live_ms, span_ms, window.has_callers_clock)
  return keep_ms
end

-- How long Redis has to keep a key, so that whatever comes in a span of time lives for `live_ms`. A caller's clock may
-- stand still while the server's goes on, as it does in tests. So there is a minute to spare then.
local function keep_time(live_ms, span_ms, has_callers_clock)
  return math.ceil(live_ms + span_ms) + (has_callers_clock and 60000 or 0)
end

-- Has Redis keep the key that long from now on.
local function keep(window)
  window.keep_ms = keep_time_of(window)
end

-- Gives the key a rate. A factor that was computed for another rate is of no use for this one.
local function set_rate(window, rate)
  window.rate, window.factor_ms, window.head_changed = rate, NEVER_MS, true
end

-- Stores what has changed.
local function save(window)
  if window.head_changed or window.rest_changed then
    local rest
    if window.declined > 0 or window.seen >= 0 or window.factor_ms > NEVER_MS or window.lease_count > 0
      or window.offset_ms > 0 or window.blocked_until_ms > NEVER_MS then
      rest = pack_newest_to_suppression(window)
      if window.blocked_until_ms > NEVER_MS then
        local others = pack_leases_to_block(window)
        rest = rest .. others
      elseif window.offset_ms > 0 then
        local others = pack_leases_to_clock(window)
        rest = rest .. others
      elseif window.lease_count > 0 then
        local leases = pack_leases(window)
        rest = rest .. leases
      end
    else
      rest = pack_newest(window)
    end
    if not window.head_changed and BYTES_TO_HEAD + #rest + #window.inline == window.stored_bytes then
      redis.call('SETRANGE', window.state_key, TEXT_BYTES_TO_HEAD, rest)
    else
      local head = pack_head(window)
      store_state(window.state_key, head .. rest .. window.inline, window.stored_bytes, window.keep_ms)
    end
  end
end

-- Stores a state; Redis keeps it for `keep_ms` from now on, or for as long as before where that is nil. To overwrite a
-- state of the same length takes Redis 0.9 µs, to set one 1.2 µs, and with the time at which to forget it 1.6 µs.
local function store_state(key, state, stored_bytes, keep_ms)
  if keep_ms then
    redis.call('SET', key, state, 'PX', keep_ms)
  elseif #state == stored_bytes then
    redis.call('SETRANGE', key, '0', state)
  else
    redis.call('SET', key, state, 'KEEPTTL')
  end
end

-- The accepted usage of the oldest bucket.
local function oldest_accepted(window)
  local accepted = window.newest_count - window.newest_declined
  if window.oldest_count > 0 then accepted = window.oldest_count - window.oldest_declined end
  return accepted
end
