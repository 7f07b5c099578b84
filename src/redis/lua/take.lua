-- Takes: each is several asks, calls which are all admitted and counted, or none is. `commands.js` says how they are
-- given (see BATCHED). First all asks of a take are weighed, and nothing is counted; then each is concluded.
local function take(keys, arguments)
  local terms, plan = cjson.decode(arguments[1]), cjson.decode(arguments[2])
  local callers_ms = arguments[3]
  local now_ms
  if not callers_ms then
    now_ms = time_of_server()
  end
  local replies = {}
  local at, key_at = 1, 1
  while key_at < #keys do
    if callers_ms then now_ms = arguments[3 + #replies] + 0 end
    local is_done, replied = pcall(decide_take, keys, key_at, terms, plan, at, now_ms, callers_ms ~= nil)
    -- A key that holds something else fails its own take only. A replica can write none, and clients listen to that.
    if not is_done then
      local text, readonly = failure_as_text(replied)
      if readonly then return redis.error_reply(readonly) end
      replied = '!' .. text
    end
    replies[#replies + 1] = replied
    local size = plan[at]
    at, key_at = at + 2 + 2 * size, key_at + 2 * size
  end
  return replies
end

-- Decides about the take that begins at the place `at` of the plan. Its keys begin at `key_at`.
local function decide_take(keys, key_at, all_terms, plan, at, now_ms, has_callers_clock)
  local size, is_denied = plan[at], plan[at + 1] == 1
  local states = {}
  local replied = false
  if not is_denied then
    replied = take_in_newest(keys, key_at, all_terms, plan, at, now_ms, states)
  end
  if not replied then
    local asks = {}
    for i = 1, size do
      asks[i] = {
        terms = all_terms[plan[at + 2 * i]],
        own = plan[at + 2 * i + 1],
        state_key = keys[key_at + 2 * i - 2],
        buckets_key = keys[key_at + 2 * i - 1],
        state = states[i],
        now_ms = now_ms,
        has_callers_clock = has_callers_clock,
      }
    end
    replied = decide_asks(asks, is_denied)
  end
  return replied
end

-- Most takes of a busy key are admitted by absolute limits, and each call falls into the newest bucket of its key. To
-- count such a take here saves Redis a fifth to a third of its time. Returns false for any other take, and nothing is
-- counted then. What was read so far is in `states`.
local function take_in_newest(keys, key_at, all_terms, plan, at, now_ms, states)
  local window = {}
  window.now_ms, window.holders = now_ms, 0
  local size = plan[at]
  local newests, replies = {}, {}
  local is_simple = true
  local i = 0
  while is_simple and i < size do
    i = i + 1
    local terms = all_terms[plan[at + 2 * i]]
    local state = redis.call('GET', keys[key_at + 2 * i - 2])
    states[i] = state
    is_simple = state and #state == BYTES_TO_NEWEST and not terms.hard_limit
    if is_simple then
      local count = terms.count
      window.window_ms = terms.window_ms
      unpack_head_to_newest(window, state)
      local is_admitted = is_admitted_simply(window, terms)
      local cell_ms = cell_start_of(now_ms, terms.bucket_ms)
      is_simple = is_admitted and count > 0 and window.newest_ms >= cell_ms
      window.total, window.newest_count = window.total + count, window.newest_count + count
      window.newest_ms = now_ms
      if window.oldest_count == 0 then window.oldest_ms = now_ms end
      newests[i] = pack_newest(window)
      replies[i] = admission_as_replied(window, window.total)
    end
  end
  for n = 1, is_simple and size or 0 do
    redis.call('SETRANGE', keys[key_at + 2 * n - 2], TEXT_BYTES_TO_HEAD, newests[n])
  end
  return is_simple and replies
end

-- Decides about one take. `is_denied` says that another part of it, elsewhere, was denied.
local function decide_asks(asks, is_denied)
  local is_taken = not is_denied
  for _, ask in ipairs(asks) do
    local weigh = ask.terms.hard_limit and weigh_suppressed or weigh_absolute
    weigh(ask)
    is_taken = is_taken and ask.admits
  end
  local replies = {}
  for i, ask in ipairs(asks) do
    ask.is_taken = is_taken
    local is_done, replied = pcall(ask.terms.hard_limit and conclude_suppressed or conclude_absolute, ask)
    if not is_done then
      -- The list of buckets is something else. What the take has counted already is given back.
      for counted = 1, is_taken and i - 1 or 0 do pcall(undo_ask, asks[counted]) end
      error(replied, 0)
    end
    replies[i] = replied
  end
  return replies
end

-- The window of an ask, without what has expired. What was read is read again only if it was stored since: then the
-- state is nil, and it is false for a key that has none.
local function open_window_of_ask(window, ask)
  local terms = ask.terms
  window.state_key, window.buckets_key = ask.state_key, ask.buckets_key
  window.window_ms, window.bucket_ms = terms.window_ms, terms.bucket_ms
  window.now_ms, window.has_callers_clock = ask.now_ms, ask.has_callers_clock
  read_state_of_ask(ask)
  begin_window(window, ask.state)
  expire(window)
end

local function read_state_of_ask(ask)
  if ask.state == nil then ask.state = redis.call('GET', ask.state_key) end
end

-- Stores what has expired, because buckets may be gone from the list.
local function save_weighed(window, ask)
  if window.stored_bytes == 0 then
    ask.state = false
  elseif window.head_changed or window.rest_changed then
    ask.state = nil
    save(window)
  end
end

-- Says whether an absolute limit admits an ask. A count of 0 asks for a call of 1.
local function weigh_absolute(ask)
  local window = {}
  local terms = ask.terms
  local weight = math.max(1, terms.count)
  read_state_of_ask(ask)
  local state = ask.state
  local is_simple = false
  if state and #state == BYTES_TO_NEWEST then
    unpack_head_to_newest(window, state)
    local oldest_ms = window.oldest_count > 0 and window.oldest_ms or window.newest_ms
    is_simple = ask.now_ms >= window.newest_ms and oldest_ms + terms.window_ms > ask.now_ms
  end
  if is_simple then
    -- Nothing has expired, and there is no more than buckets. To make a window of it would take twice as long.
    ask.admits = window.total + weight <= terms.limit
  else
    open_window_of_ask(window, ask)
    ask.admits = window.blocked_until_ms == 0 and window.total + window.reserved + weight <= terms.limit
    save_weighed(window, ask)
  end
end

local function conclude_absolute(ask)
  local window = {}
  open_window_of_ask(window, ask)
  local terms = ask.terms
  local count, rate, block_ms = terms.count, terms.rate, ask.own
  local replied
  if ask.admits then
    local is_counted = ask.is_taken and count > 0
    if window.rate ~= rate and (is_counted or window.total > 0) then
      set_rate(window, rate)
    end
    if is_counted then
      add_hit(window, count, 0)
    end
    replied = admission_as_replied(window, window.total + window.reserved)
  else
    if block_ms > 0 and count > 0 and window.blocked_until_ms == 0 then
      block_for(window, block_ms)
    end
    replied = decide_absolute(window, math.max(1, count), terms.limit, rate)
  end
  if window.total > 0 or window.offset_ms > 0 or window.blocked_until_ms > 0 then
    save(window)
  end
  return replied
end

-- Says whether a suppressed limit admits an ask, and the factor that the ask meets; -1 under the soft limit.
local function weigh_suppressed(ask)
  local window = {}
  open_window_of_ask(window, ask)
  local terms, draw = ask.terms, ask.own
  local taken = window.total - window.declined + window.reserved + math.max(1, terms.count)
  local factor = -1
  if window.blocked_until_ms > 0 then
    ask.admits = false
  elseif taken <= terms.limit then
    ask.admits = true
  else
    if window.rate ~= terms.rate then
      set_rate(window, terms.rate)
    end
    factor = 1
    if taken + window.headroom <= terms.hard_limit then
      refresh_factor(window, terms.suppression_cache_ms)
      factor = window.factor
      -- A factor is kept beside counts, as on Local. A state without counts is what a block or leases have left.
      if window.total == 0 then window.factor_ms = NEVER_MS end
    end
    ask.admits = factor < 1 and draw >= factor
  end
  ask.factor = factor
  save_weighed(window, ask)
end

local function conclude_suppressed(ask)
  local window = {}
  open_window_of_ask(window, ask)
  local terms = ask.terms
  local count, rate = terms.count, terms.rate
  local accepted = window.total - window.declined + window.reserved
  if window.rate ~= rate and (window.total > 0 or count > 0 and window.blocked_until_ms == 0) then
    set_rate(window, rate)
  end
  if window.blocked_until_ms == 0 and count > 0 then
    add_hit(window, count, ask.is_taken and 0 or count)
  end
  local taken = window.total - window.declined + window.reserved
  local replied = suppressed_as_replied(window, accepted, taken, ask.factor, ask.admits)
  if window.stored_bytes > 0 or window.total > 0 then
    save(window)
  end
  return replied
end

-- Gives back what an ask has counted.
local function undo_ask(ask)
  local window = {}
  ask.state = nil
  open_window_of_ask(window, ask)
  if window.total > 0 and ask.terms.count > 0 then
    refund(window, ask.terms.count)
    save(window)
  end
end
