-- Many calls in one script. `commands.js` says how they are given (BATCHED). The calls to one key are decided in their
-- order, with the state of the key read and stored once. Different keys have nothing to do with each other.
local function batch(keys, arguments)
  local calls = read_batch_head(arguments)
  local state_keys = {}
  for i = 1, #keys, 2 do state_keys[#state_keys + 1] = keys[i] end
  local states = redis.call('MGET', unpack(state_keys))
  local replies = calls.replies
  for i, state_key in ipairs(state_keys) do
    local decided, at = #replies, calls.at
    calls.state_key, calls.buckets_key, calls.state = state_key, keys[2 * i], states[i]
    local terms = calls.terms[arguments[at + 1] + 0]
    local is_decided, failure = pcall(terms.hard_limit and decide_suppressed_incs or decide_absolute_incs, calls)
    -- A key that holds something else fails its own calls only. A replica can write none, and clients listen to that.
    if not is_decided then
      local text = type(failure) == 'table' and failure.err or tostring(failure)
      local readonly = text:match('READONLY.*')
      if readonly then return redis.error_reply(readonly) end
      skip_calls(calls, decided, at, text)
    end
  end
  return replies
end

-- What all calls have in common, and the place in the arguments where those of the first key begin.
local function read_batch_head(arguments)
  local at = 3
  local terms = {}
  for i = 1, arguments[2] + 0 do
    local own
    if arguments[at] == 's' then
      own = read_terms_of_suppressed_inc(arguments, at + 1)
      at = at + 1 + TERMS_OF_SUPPRESSED_INC
    else
      own = read_terms_of_absolute_inc(arguments, at + 1)
      at = at + 1 + TERMS_OF_ABSOLUTE_INC
    end
    terms[i] = own
  end
  local has_callers_clock = arguments[1] == '1'
  local now_ms = 0
  if not has_callers_clock then
    local time = redis.call('TIME')
    now_ms = time[1] * 1000 + time[2] / 1000
  end
  return {
    list = arguments,
    at = at,
    terms = terms,
    has_callers_clock = has_callers_clock,
    now_ms = now_ms,
    replies = {},
  }
end

-- The window of a key of a batch. MGET tells nothing for a key that holds something else, so GET has to fail for it.
local function open_window_of(window, calls)
  local terms = calls.terms[calls.list[calls.at + 1] + 0]
  window.state_key, window.buckets_key = calls.state_key, calls.buckets_key
  window.window_ms, window.bucket_ms = terms.window_ms, terms.bucket_ms
  window.now_ms, window.has_callers_clock = calls.now_ms, calls.has_callers_clock
  if window.has_callers_clock then window.now_ms = NEVER_MS end
  local state = calls.state or redis.call('GET', window.state_key)
  begin_window(window, state)
end

-- Sets the time of the next call, where the callers have clocks of their own. Returns the place after it.
local function read_time(window, list, at)
  local next = at
  if window.has_callers_clock then
    window.now_ms = list[at] + 0
    if window.total > 0 or window.holders > 0 or window.offset_ms > 0 or window.blocked_until_ms > 0 then
      settle_time(window)
    end
    next = at + 1
  end
  return next
end

-- Decides about the calls to one key under the absolute strategy.
local function decide_absolute_incs(calls)
  local window = {}
  open_window_of(window, calls)
  local list, at, replies = calls.list, calls.at, calls.replies
  local runs = list[at] + 0
  at = at + 1
  for _ = 1, runs do
    local terms = calls.terms[list[at] + 0]
    local count, limit, rate = terms.count, terms.limit, terms.rate
    local denial = false
    local left = list[at + 1] + 0
    at = at + 2
    while left > 0 do
      at = read_time(window, list, at)
      if not denial then
        expire(window)
        denial = decide_absolute(window, count, limit, rate)
      end
      replies[#replies + 1] = denial
      -- At the same time, what denies one call denies all calls like it. 0 says so, and costs the client less to read.
      if window.has_callers_clock or denial ~= 0 and type(denial) ~= 'table' then
        denial = false
      else
        denial = 0
      end
      left = left - 1
    end
  end
  if window.total > 0 or window.offset_ms > 0 then
    save(window)
  end
  calls.at = at
end

-- Decides about the calls to one key under the suppressed strategy.
local function decide_suppressed_incs(calls)
  local window = {}
  open_window_of(window, calls)
  local list, at, replies = calls.list, calls.at, calls.replies
  local runs = list[at] + 0
  at = at + 1
  for _ = 1, runs do
    local terms = calls.terms[list[at] + 0]
    local left = list[at + 1] + 0
    at = at + 2
    while left > 0 do
      local draw = list[at] + 0
      at = read_time(window, list, at + 1)
      expire(window)
      local replied = decide_suppressed(
        window,
        terms.count,
        terms.limit,
        terms.rate,
        terms.hard_limit,
        terms.suppression_cache_ms,
        draw
      )
      replies[#replies + 1] = replied
      left = left - 1
    end
  end
  save(window)
  calls.at = at
end

-- Replies with what failed to all calls of a key, and goes on to the next key.
local function skip_calls(calls, decided, at, failure)
  local list, replies = calls.list, calls.replies
  local text = '!' .. failure
  local runs = list[at] + 0
  at = at + 1
  local count = 0
  for _ = 1, runs do
    local terms, repeats = calls.terms[list[at] + 0], list[at + 1] + 0
    local arguments_of_call = (terms.hard_limit and 1 or 0) + (calls.has_callers_clock and 1 or 0)
    at = at + 2 + repeats * arguments_of_call
    count = count + repeats
  end
  for i = 1, math.max(count, #replies - decided) do
    replies[decided + i] = i <= count and text or nil
  end
  calls.at = at
end
