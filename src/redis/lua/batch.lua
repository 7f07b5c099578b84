-- Many calls in one script. `commands.js` says how they are given (BATCHED). The calls to one key are decided in their
-- order, with the state of the key read and stored once. Different keys have nothing to do with each other. Where each
-- key has one call, most of these calls are simple: see `count_simply`.
local function batch(keys, arguments)
  local state_keys = {}
  for i = 1, #keys, 2 do state_keys[#state_keys + 1] = keys[i] end
  local states = redis.call('MGET', unpack(state_keys))
  local calls = read_calls(arguments)
  local plan, replies = calls.plan, calls.replies
  local window = {}
  window.lease_count = 0
  window.has_callers_clock = calls.has_callers_clock
  local key_at = 0
  while key_at < #state_keys do
    local last_key = key_at + plan[calls.at]
    calls.runs_at = calls.at + 1
    calls.at = calls.runs_at + 1 + 2 * plan[calls.runs_at]
    local terms = calls.terms[plan[calls.runs_at + 1]]
    window.window_ms, window.bucket_ms = terms.window_ms, terms.bucket_ms
    set_keep_time(window)
    if not calls.has_callers_clock then
      set_time(window, calls.now_ms)
    end
    local is_one_each = plan[calls.runs_at] == 1 and plan[calls.runs_at + 2] == 1
    local draws, times = terms.hard_limit and 1 or 0, calls.has_callers_clock and 1 or 0
    while key_at < last_key do
      key_at = key_at + 1
      window.state_key, window.buckets_key = state_keys[key_at], keys[2 * key_at]
      local replied = false
      if is_one_each then
        if times == 1 then
          set_time(window, plan[calls.at + draws])
        end
        replied, states[key_at] = count_simply(window, states[key_at], terms)
      end
      if replied then
        replies[#replies + 1] = replied
        calls.at = calls.at + draws + times
      else
        calls.state_key, calls.buckets_key, calls.state = window.state_key, window.buckets_key, states[key_at]
        local readonly = decide_calls_of_key(calls, terms)
        if readonly then return redis.error_reply(readonly) end
      end
    end
  end
  return replies
end

-- Decides about the calls to one key. Returns what failed on a replica, which can write nothing: clients listen to
-- that.
local function decide_calls_of_key(calls, terms)
  local decided = #calls.replies
  local is_decided, failure = pcall(terms.hard_limit and decide_suppressed_incs or decide_absolute_incs, calls)
  local readonly
  -- A key that holds something else fails its own calls only.
  if not is_decided then
    local text
    text, readonly = failure_as_text(failure)
    skip_calls(calls, decided, text)
  end
  return readonly
end

-- What all calls have in common, and the place in the plan where those of the first keys begin.
local function read_calls(arguments)
  local terms, plan = cjson.decode(arguments[1]), cjson.decode(arguments[2])
  local has_callers_clock = plan[1] == 1
  local now_ms = NEVER_MS
  if not has_callers_clock then
    now_ms = time_of_server()
  end
  return { plan = plan, at = 2, terms = terms, has_callers_clock = has_callers_clock, now_ms = now_ms, replies = {} }
end

-- The window of a key of a batch. MGET tells nothing for a key that holds something else, so GET has to fail for it.
local function open_window_of(window, calls)
  local terms = calls.terms[calls.plan[calls.runs_at + 1]]
  window.state_key, window.buckets_key = calls.state_key, calls.buckets_key
  window.window_ms, window.bucket_ms = terms.window_ms, terms.bucket_ms
  window.now_ms, window.has_callers_clock = calls.now_ms, calls.has_callers_clock
  local state = calls.state or redis.call('GET', window.state_key)
  begin_window(window, state)
end

-- Sets the time of the next call, where the callers have clocks of their own. Returns the place after it.
local function read_time(window, plan, at)
  local next = at
  if window.has_callers_clock then
    window.now_ms = plan[at]
    if window.total > 0 or window.lease_count > 0 or window.offset_ms > 0 or window.blocked_until_ms > NEVER_MS then
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
  local plan, at, replies = calls.plan, calls.at, calls.replies
  for run_at = calls.runs_at + 1, calls.runs_at + 2 * plan[calls.runs_at], 2 do
    local terms = calls.terms[plan[run_at]]
    local count, limit, rate = terms.count, terms.limit, terms.rate
    local denial = false
    for _ = 1, plan[run_at + 1] do
      at = read_time(window, plan, at)
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
  local plan, at, replies = calls.plan, calls.at, calls.replies
  for run_at = calls.runs_at + 1, calls.runs_at + 2 * plan[calls.runs_at], 2 do
    local terms = calls.terms[plan[run_at]]
    local count, limit, rate = terms.count, terms.limit, terms.rate
    local hard_limit, suppression_cache_ms = terms.hard_limit, terms.suppression_cache_ms
    local denied_at_factor = false
    for _ = 1, plan[run_at + 1] do
      local draw = plan[at]
      at = read_time(window, plan, at + 1)
      expire(window)
      local accepted, factor, is_admitted = decide_suppressed(
        window,
        count,
        limit,
        rate,
        hard_limit,
        suppression_cache_ms,
        draw
      )
      -- A denied call takes nothing. So at the same time and factor, the next one that is denied is replied the same.
      local replied = 0
      if is_admitted or factor ~= denied_at_factor then
        replied = suppressed_as_replied(window, accepted, accepted + count, factor, is_admitted)
      end
      replies[#replies + 1] = replied
      denied_at_factor = not is_admitted and not window.has_callers_clock and factor
    end
  end
  save(window)
  calls.at = at
end

-- Replies with what failed to all calls of a key, and goes on to the next key.
local function skip_calls(calls, decided, failure)
  local plan, replies = calls.plan, calls.replies
  local text = '!' .. failure
  local count = 0
  for run_at = calls.runs_at + 1, calls.runs_at + 2 * plan[calls.runs_at], 2 do
    local terms, repeats = calls.terms[plan[run_at]], plan[run_at + 1]
    local numbers_of_call = (terms.hard_limit and 1 or 0) + (calls.has_callers_clock and 1 or 0)
    calls.at = calls.at + repeats * numbers_of_call
    count = count + repeats
  end
  for i = 1, math.max(count, #replies - decided) do
    replies[decided + i] = i <= count and text or nil
  end
end
