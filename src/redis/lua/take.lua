-- Takes: each is several asks, calls which are all admitted and counted, or none is. `commands.js` says how they are
-- given (see BATCHED). First all asks of a take are weighed, and nothing is counted; then each is concluded.
--
-- The takes are decided in their order. The window of a key is opened for its first ask, stays for the asks of all
-- takes, and is stored once. So here a window is a table, which the packer makes of it (see `packTake` there).
--
-- To make a whole window costs Redis about what a command does. So most windows are *light*: they have no more fields
-- than a state that has nothing but buckets. It is enough for takes that are sure to be admitted (see lib/light.lua).
-- For any other take, the windows that deny or count are widened first.
--
-- A function that is called by another name, as `store(takes)` below, stays a function. The packer writes all others
-- out where they are called, which would make these too long. To make the functions takes a fifteenth of a take of
-- three limits, so they are made when the first take comes that needs them.

local function take(keys, arguments)
  local is_done, replied = pcall(decide_takes, keys, arguments)
  -- What the server refuses is replied as it says it, because clients listen to what a replica says.
  if not is_done then
    local text, readonly = failure_as_text(replied)
    local refusal = readonly or text:match('^[A-Z]+ .*')
    if not refusal then error(text, 0) end
    replied = redis.error_reply(refusal)
  end
  return replied
end

local function decide_takes(keys, arguments)
  local takes = {}
  local window = {}
  read_takes(takes, keys, arguments)
  local decide, store
  local last, time_at = #takes.plan, 2
  takes.at = takes.plan[1]
  while takes.at < last do
    if takes.has_callers_clock then
      local now_ms = arguments[time_at] + 0
      time_at = time_at + 1
      -- At another time each window is another one.
      if now_ms ~= takes.now_ms then
        save_all(takes, window, store)
        takes.now_ms = now_ms
      end
    end
    takes.left, takes.size = takes.plan[takes.at], takes.plan[takes.at + 1]
    takes.is_denied = takes.plan[takes.at + 2] == 1
    take_lightly(takes, window)
    if takes.left > 0 then
      if not decide then
        decide, store = functions(decide_others, save_windows)
      end
      decide(takes)
    end
    takes.at = takes.at + 3 + 3 * takes.size
  end
  save_all(takes, window, store)
  return takes.replies
end

-- What all takes have in common. MGET reads the states of a thousand keys at most, because Lua passes on so many values
-- at once and not many more.
local function read_takes(takes, keys, arguments)
  local state_keys = { nil, nil, nil, nil }
  for i = 1, #keys, 2 do state_keys[(i + 1) / 2] = keys[i] end
  takes.keys = keys
  takes.states = redis.call('MGET', unpack(state_keys, 1, math.min(1000, #state_keys)))
  takes.plan = cjson.decode(arguments[1])
  takes.has_callers_clock = arguments[2] ~= nil
  if takes.has_callers_clock then
    takes.now_ms = arguments[2] + 0
  else
    takes.now_ms = time_of_server()
  end
  takes.windows, takes.lights = {}, { nil, nil, nil, nil }
  takes.replies, takes.replied = { nil, nil, nil, nil }, 0
end

-- Stores all windows. What a server refuses to a script it refuses at the first write, and then nothing has been
-- written: OOM, READONLY and MISCONF are not raised any more once a script has written. The states are strings, which
-- GET has read. So either all windows are stored, or none is, and then the script fails as a whole.
local function save_all(takes, window, store)
  save_lightly(takes, window)
  if store then
    store(takes)
  end
  takes.lights, takes.windows, takes.states = {}, {}, {}
end

-- Stores the whole windows.
local function save_windows(takes)
  for number = 1, #takes.keys / 2 do
    local window = takes.windows[number]
    if window then
      save_window(window)
    end
  end
end

-- Decides about the takes that are left of a run.
local function decide_others(takes)
  takes.admitted, takes.factors = {}, {}
  while takes.left > 0 do
    takes.counted = 0
    local is_done, failure = pcall(decide_take, takes)
    -- A key that holds something else fails its own takes only.
    if not is_done then
      local text, readonly = failure_as_text(failure)
      if readonly then error(failure, 0) end
      undo_take(takes)
      for i = 1, takes.size do takes.replies[takes.replied + i] = '!' .. text end
    end
    takes.replied, takes.left = takes.replied + takes.size, takes.left - 1
  end
end

-- Decides about the take whose place in the plan is `takes.at`, and replies to its asks after the first `takes.replied`
-- replies. If it fails, `takes.failing` is the key that it was at, and its first `takes.counted` asks were counted.
local function decide_take(takes)
  local plan, replies, first, is_taken = takes.plan, takes.replies, takes.at + 3, not takes.is_denied
  for i = 1, takes.size do
    local at = first + 3 * i - 3
    local number, terms = plan[at], plan[at + 1]
    local light = takes.lights[number]
    local admits = light and light.total + math.max(1, terms.count) <= terms.limit
    if not admits then
      open_whole(takes, number, terms)
      local window = takes.windows[number]
      if terms.hard_limit > 0 then
        admits, takes.factors[i] = weigh_suppressed(window, terms, plan[at + 2])
      else
        admits = weigh_absolute(window, terms)
      end
    end
    takes.admitted[i] = admits
    is_taken = is_taken and admits
  end
  for i = 1, takes.size do
    local at = first + 3 * i - 3
    local number, terms = plan[at], plan[at + 1]
    takes.failing = number
    local light, replied = takes.lights[number], nil
    if light and not is_taken and (light.rate == terms.rate or light.total == 0) then
      replied = light_as_replied(takes, light, terms)
    else
      if light then
        local make_whole = widen
        make_whole(takes, number, terms)
      end
      local window = takes.windows[number]
      if terms.hard_limit > 0 then
        local conclude = conclude_suppressed
        replied = conclude(window, terms, is_taken, takes.admitted[i], takes.factors[i])
      elseif takes.admitted[i] then
        replied = conclude_admitted(window, terms, is_taken)
      else
        local deny = deny_absolute
        replied = deny(window, terms, plan[at + 2])
      end
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
  if takes.lights[number] then
    local make_whole = widen
    make_whole(takes, number, terms)
  end
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
    takes.windows[number] = window
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

-- Makes a whole window of a light one.
local function widen(takes, number, terms)
  local light = takes.lights[number]
  local window = {}
  place_window(window, takes, number, terms)
  begin_rest(window)
  copy_light(window, light)
  window.head_changed, window.rest_changed = window.changes == LIGHT_BEGUN, window.changes ~= LIGHT
  takes.windows[number], takes.lights[number] = window, nil
end

-- Gives a window its keys, its lengths and the time.
local function place_window(window, takes, number, terms)
  window.state_key, window.buckets_key = takes.keys[2 * number - 1], takes.keys[2 * number]
  window.window_ms, window.bucket_ms = terms.window_ms, terms.bucket_ms
  window.now_ms, window.has_callers_clock = takes.now_ms, takes.has_callers_clock
end

-- Takes back what a take has counted that failed. The window that it failed at may be anything by now. In Redis it is
-- as it was before the take: other takes have changed nothing of it, or else the take would not have failed there (see
-- `open_whole`). Where `store_if_risky` was refused to write, another key is taken for the failing one. That doesn't
-- matter, because then the script fails as a whole: see `save_all`.
local function undo_take(takes)
  local plan, failing = takes.plan, takes.failing
  takes.windows[failing], takes.lights[failing] = nil, nil
  for i = 1, takes.counted do
    local at = takes.at + 3 * i
    local window, terms = takes.windows[plan[at]], plan[at + 1]
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
