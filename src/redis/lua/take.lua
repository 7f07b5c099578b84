-- Takes: each is several asks, calls which are all admitted and counted, or none is. `commands.js` says how they are
-- given (see BATCHED). First all asks of a take are weighed, and nothing is counted; then each is concluded.
--
-- The takes are decided in their order. Most are simple, and decided in short: see lib/simple_takes.lua. For the
-- others, the window of a key is opened for its first ask, stays for the asks of all takes, and is stored once. So here
-- a window is a table, which the packer makes of it (see `packTake` there).
--
-- A function that is called by another name, as `store(takes)` below, stays a function. The packer writes all others
-- out where they are called, which would make these too long. To make the functions takes a tenth of a take of
-- three limits, so they are made where they are needed: those for takes that aren't simple when the first of these
-- comes, and all others unless the only take is counted without them (see `count_in_newests`).

local function take(keys, arguments)
  local size = #keys / 2
  local states = read_states(keys, size)
  local plan, clock, now_ms = arguments[1], arguments[2], nil
  if clock and clock ~= '' then
    now_ms = clock + 0
  else
    now_ms = time_of_server()
  end
  local replied = false
  if plan:byte() == ONE_PLAIN and clock ~= '' then
    replied = count_in_newests(keys, size, states, plan, now_ms)
  end
  if not replied then
    local decide = functions(decide_takes)
    local is_done
    is_done, replied = pcall(decide, keys, arguments, states, now_ms)
    -- What the server refuses is replied as it says it, because clients listen to what a replica says.
    if not is_done then
      local text, readonly = failure_as_text(replied)
      local refusal = readonly or text:match('^[A-Z]+ .*')
      if not refusal then error(text, 0) end
      replied = redis.error_reply(refusal)
    end
  end
  return replied
end

-- MGET reads the states of a thousand keys at most, because Lua passes on so many values at once and not many more.
local function read_states(keys, size)
  local most = size
  if most > 1000 then most = 1000 end
  return redis.call('MGET', unpack(keys, 1, most))
end

local function decide_takes(keys, arguments, states, now_ms)
  local takes = {}
  read_takes(takes, keys, arguments, states, now_ms)
  takes.decide_from = decide_from
  local decide, store
  if takes.is_plain then
    decide_plain_takes(takes)
  end
  while takes.at < takes.last do
    set_time_of_run(takes, arguments, store)
    local next = begin_run(takes)
    local kind = takes.plan[takes.at + 2]
    while takes.left > 0 do
      takes.at_once = kind == ROW and 1 or takes.left
      local is_simple = false
      if kind == ALIKE or kind == ROW then
        is_simple = decide_simple_takes(takes)
      end
      if not is_simple then
        if not decide then
          takes.windows = {}
          decide, store = functions(decide_others, save_windows)
        end
        decide(takes)
      end
    end
    takes.at = next
  end
  save_all(takes, store)
  if arguments[2] == '' then takes.replies[takes.replied + 1] = EXACT:format(takes.now_ms) end
  return takes.replies
end

-- Decides about plain takes while they are simple. For what is left then it makes a plan.
local function decide_plain_takes(takes)
  local is_simple = true
  while is_simple and takes.left > 0 do
    takes.at_once = takes.left
    is_simple = decide_simple_takes(takes)
  end
  takes.at, takes.last = 0, 0
  if not is_simple then
    make_plan(takes)
  end
end

-- What all takes have in common.
local function read_takes(takes, keys, arguments, states, now_ms)
  takes.keys, takes.key_count = keys, #keys / 2
  takes.states, takes.now_ms = states, now_ms
  takes.has_callers_clock = arguments[2] ~= nil and arguments[2] ~= ''
  takes.done, takes.times_read = 0, 0
  takes.plan = arguments[1]
  local first = takes.plan:byte()
  takes.is_plain = first ~= START_OF_JSON
  if takes.is_plain then
    takes.left = first - ZERO
    takes.size = takes.key_count
    takes.is_last = true
  else
    takes.plan = cjson.decode(takes.plan)
    takes.at, takes.last = takes.plan[1], #takes.plan
  end
  takes.kept, takes.replies, takes.replied = {}, { nil, nil, nil, nil }, 0
end

-- Begins the run whose place in the plan is `takes.at`. Returns the place of the next one.
local function begin_run(takes)
  takes.done, takes.left, takes.size = 0, takes.plan[takes.at], takes.plan[takes.at + 1]
  local next = takes.at + 3 + 4 * takes.size
  takes.is_last = next > takes.last
  return next
end

-- The key of an ask of the take that is decided, and where the plan has its terms.
local function key_and_terms(takes, place)
  local plan, at = takes.plan, takes.at + 4 * place
  return plan[at - 1] + takes.done * plan[at], plan[at + 1]
end

-- Makes the plan of takes that were given without one, for those that turned out not to be simple.
local function make_plan(takes)
  local plan = {}
  for place = 1, takes.size do
    local at = 7 * place - 7
    local window_ms, bucket_ms, count, limit = read_plain_ask(takes.plan, place)
    plan[at + 1], plan[at + 2], plan[at + 3] = window_ms, bucket_ms, count
    plan[at + 4], plan[at + 5], plan[at + 6], plan[at + 7] = limit, limit * 1000 / window_ms, 0, 0
  end
  takes.at = #plan + 1
  plan[takes.at], plan[takes.at + 1], plan[takes.at + 2] = takes.left, takes.size, OTHER
  for place = 1, takes.size do
    local at = takes.at + 4 * place
    plan[at - 1], plan[at], plan[at + 1], plan[at + 2] = place, 0, 7 * place - 7, 0
  end
  takes.plan, takes.last = plan, #plan
end

-- Sets the time of a run, where callers have clocks. At another time each window is another one.
local function set_time_of_run(takes, arguments, store)
  if takes.has_callers_clock then
    takes.times_read = takes.times_read + 1
    local now_ms = arguments[takes.times_read + 1] + 0
    if now_ms ~= takes.now_ms then
      save_all(takes, store)
      takes.windows, takes.states, takes.now_ms = {}, {}, now_ms
    end
  end
end

-- Stores all that has changed. What a server refuses to a script it refuses at the first write, and then nothing has
-- been written: OOM, READONLY and MISCONF are not raised any more once a script has written. The states are strings,
-- which GET has read. So either all is stored, or nothing is, and then the script fails as a whole.
local function save_all(takes, store)
  for number = 1, takes.key_count do
    save_state(takes, number)
  end
  if store then
    store(takes)
  end
end

-- Stores the whole windows.
local function save_windows(takes)
  for number = 1, takes.key_count do
    local window = takes.windows[number]
    if window then
      save_window(window)
    end
  end
end

-- Decides about the next `takes.at_once` takes of a run.
local function decide_others(takes)
  takes.admitted, takes.factors = {}, {}
  while takes.at_once > 0 do
    takes.counted = 0
    local is_done, failure = pcall(decide_take, takes)
    -- A key that holds something else fails its own takes only.
    if not is_done then
      local text, readonly = failure_as_text(failure)
      if readonly then error(failure, 0) end
      undo_take(takes)
      for i = 1, takes.size do takes.replies[takes.replied + i] = '!' .. text end
    end
    note_decided(takes, 1)
  end
end

local function note_decided(takes, times)
  takes.done = takes.done + times
  takes.left = takes.left - times
  takes.at_once = takes.at_once - times
  takes.replied = takes.replied + times * takes.size
end

-- Decides about the take whose place in the plan is `takes.at`, and replies to its asks after the first `takes.replied`
-- replies. If it fails, `takes.failing` is the key that it was at, and its first `takes.counted` asks were counted.
local function decide_take(takes)
  local plan, replies = takes.plan, takes.replies
  local is_taken = plan[takes.at + 2] ~= DENIED_ELSEWHERE
  for i = 1, takes.size do
    local number, terms = key_and_terms(takes, i)
    open_whole(takes, number, terms)
    local window = takes.windows[number]
    local admits
    if terms.hard_limit > 0 then
      admits, takes.factors[i] = weigh_suppressed(window, terms, plan[takes.at + 4 * i + 2])
    else
      admits = weigh_absolute(window, terms)
    end
    takes.admitted[i] = admits
    is_taken = is_taken and admits
  end
  for i = 1, takes.size do
    local number, terms = key_and_terms(takes, i)
    takes.failing = number
    local window, replied = takes.windows[number], nil
    if terms.hard_limit > 0 then
      local conclude = conclude_suppressed
      replied = conclude(window, terms, is_taken, takes.admitted[i], takes.factors[i])
    elseif takes.admitted[i] then
      replied = conclude_admitted(window, terms, is_taken)
    else
      local deny = deny_absolute
      replied = deny(window, terms, plan[takes.at + 4 * i + 2])
    end
    replies[takes.replied + i] = replied
    if is_taken then takes.counted = i end
  end
end

-- Has the window of a key be a whole one, without what has expired.
--
-- The take may fail at a list of chunks that is something else, and then what earlier takes have counted would be lost
-- with the window. So the list of a window that they have changed is looked at first. If it is something else, the
-- window is stored and opened anew.
local function open_whole(takes, number, terms)
  save_state(takes, number)
  if takes.windows[number] then
    store_if_risky(takes, number)
  end
  takes.failing = number
  if not takes.windows[number] then
    local window = {}
    place_window(window, takes, number, terms)
    -- MGET tells nothing for a key that holds something else, so GET has to fail for it.
    local state = takes.states[number] or redis.call('GET', window.state_key)
    begin_window(window, state)
    expire(window)
    takes.windows[number], takes.states[number] = window, WHOLE
  end
end

local function store_if_risky(takes, number)
  local window = takes.windows[number]
  if (window.head_changed or window.rest_changed) and not window.is_list_sound then
    local chunk = redis.pcall('LINDEX', window.buckets_key, '0')
    window.is_list_sound = type(chunk) ~= 'table'
    if not window.is_list_sound then
      save_window(window)
      takes.windows[number], takes.states[number] = nil, nil
    end
  end
end

-- Gives a window its keys, its lengths and the time.
local function place_window(window, takes, number, terms)
  window.state_key, window.buckets_key = takes.keys[number], takes.keys[number + takes.key_count]
  window.window_ms, window.bucket_ms = terms.window_ms, terms.bucket_ms
  window.now_ms, window.has_callers_clock = takes.now_ms, takes.has_callers_clock
end

-- Takes back what a take has counted that failed. The window that it failed at may be anything by now. In Redis it is
-- as it was before the take: other takes have changed nothing of it, or else the take would not have failed there (see
-- `open_whole`). Where `store_if_risky` was refused to write, another key is taken for the failing one. That doesn't
-- matter, because then the script fails as a whole: see `save_all`.
local function undo_take(takes)
  takes.windows[takes.failing], takes.states[takes.failing] = nil, nil
  for place = 1, takes.counted do
    local number, terms = key_and_terms(takes, place)
    local window = takes.windows[number]
    if window then pcall(undo_ask, window, terms.count) end
  end
end

local function undo_ask(window, count)
  if window.total > 0 and count > 0 then
    refund(window, count)
  end
end

-- An unknown key stays unknown, unless something is counted or it is blocked.
local function save_window(window)
  if window.stored_bytes > 0 or window.total > 0 or window.blocked_until_ms > NEVER_MS then
    save(window)
  end
end

-- Says whether an absolute limit admits an ask. A count of 0 asks for a call of 1.
local function weigh_absolute(window, terms)
  local weight = math.max(1, terms.count)
  return window.blocked_until_ms == NEVER_MS and window.total + window.reserved + weight <= terms.limit
end

-- Concludes an ask that an absolute limit admits.
local function conclude_admitted(window, terms, is_taken)
  local count, rate = terms.count, terms.rate
  local is_counted = is_taken and count > 0
  if window.rate ~= rate and (is_counted or window.total > 0) then
    set_rate(window, rate)
  end
  if is_counted then
    add_hit(window, count, 0)
  end
  local replied = admission_as_replied(window, window.total + window.reserved)
  return replied
end

-- Concludes an ask that an absolute limit denies.
local function deny_absolute(window, terms, block_ms)
  local count = terms.count
  if block_ms > 0 and count > 0 and window.blocked_until_ms == NEVER_MS then
    block_for(window, block_ms)
  end
  local replied = decide_absolute(window, math.max(1, count), terms.limit, terms.rate)
  return replied
end

-- Says whether a suppressed limit admits an ask, and the factor that the ask meets; -1 under the soft limit.
local function weigh_suppressed(window, terms, draw)
  local used = window.total - window.declined + window.reserved + math.max(1, terms.count)
  local admits, factor = true, -1
  if window.blocked_until_ms > NEVER_MS then
    admits = false
  elseif used > terms.limit then
    if window.rate ~= terms.rate then
      set_rate(window, terms.rate)
    end
    factor = 1
    if used + window.headroom <= terms.hard_limit then
      refresh_factor(window, terms.suppression_cache_ms)
      factor = window.factor
      -- A factor is kept beside counts, as on Local. A state without counts is what a block or leases have left.
      if window.total == 0 then window.factor_ms = NEVER_MS end
    end
    admits = factor < 1 and draw >= factor
  end
  return admits, factor
end

local function conclude_suppressed(window, terms, is_taken, admits, factor)
  local count, rate = terms.count, terms.rate
  local accepted = window.total - window.declined + window.reserved
  if window.rate ~= rate and (window.total > 0 or count > 0 and window.blocked_until_ms == NEVER_MS) then
    set_rate(window, rate)
  end
  if window.blocked_until_ms == NEVER_MS and count > 0 then
    add_hit(window, count, is_taken and 0 or count)
  end
  -- By the count and not by the total, which may have stopped at the largest one.
  local used = is_taken and accepted + count or accepted
  local replied = suppressed_as_replied(window, accepted, used, factor, admits)
  return replied
end
