-- Light windows of takes (see take.lua), in which the most frequent kind of take is counted in short. lib/simple.lua
-- does so for single calls. `window` is the light window at hand. The packer writes it out into locals, because
-- to look at a place of a table takes Redis 110 instructions. Between the asks a light window is a table all the same.

-- Counts the next takes that light windows are sure to admit, and replies to them.
local function take_lightly(takes, window)
  local times = 0
  if not takes.is_denied then
    times = weigh_lightly(takes, window)
  end
  if times > 0 then
    count_lightly(takes, window, times)
    takes.replied, takes.left = takes.replied + times * takes.size, takes.left - times
  end
end

-- How many of the next takes light windows are sure to admit. Each of these windows has a place for one more inline
-- bucket, because to make a chunk may fail. A key that has two asks is none to be counted so.
local function weigh_lightly(takes, window)
  local first, times = takes.at + 3, takes.left
  for at = first, takes.at + 3 * takes.size, 3 do
    local number, terms = takes.plan[at], takes.plan[at + 1]
    local count, light = terms.count, takes.lights[number]
    if not light and not takes.windows[number] and terms.hard_limit == 0 then
      light = open_lightly(takes, window, number, terms)
      takes.lights[number] = light
    end
    local is_enough = light and light.asked_at ~= first
    is_enough = is_enough and (light.total > 0 and light.rate == terms.rate or light.total == 0 and count > 0)
    if is_enough and (light.back < BUCKETS_OF_CHUNK or light.newest_ms >= light.cell_ms) then
      light.asked_at = first
      -- Up to there a reply is a number.
      local most, total = MOST_INTEGER / (terms.window_ms + 2) - 1, light.total
      if terms.limit < most then most = terms.limit end
      if total + times * count > most or count == 0 and total >= most then
        times = count > 0 and math.max(0, math.floor((most - total) / count)) or 0
      end
    else
      times = 0
    end
  end
  return times
end

-- Returns the light window of a key, if the state of the key allows one, or if the key is unknown; else false. MGET
-- tells nothing for a key that holds something else either, so GET says whether it does.
local function open_lightly(takes, window, number, terms)
  place_window(window, takes, number, terms)
  local state, light = takes.states[number], false
  if not state then
    state = redis.pcall('GET', window.state_key)
    if type(state) == 'table' then state = '' end
  end
  window.asked_at, window.keep_ms, window.changes = 0, nil, LIGHT
  window.cell_ms = cell_start_of(window.now_ms, window.bucket_ms)
  if not state then
    window.rate, window.front, window.chunks, window.back, window.inline = NO_RATE, 0, 0, 0, ''
    window.oldest_ms, window.oldest_count = NEVER_MS, 0
    window.newest_ms, window.newest_count, window.total, window.stored_bytes = NEVER_MS, 0, 0, 0
    light = list_light(window)
  elseif #state >= BYTES_TO_NEWEST then
    unpack_head_to_newest(window, state)
    local has_buckets_only = #state - (window.front + window.back) * BYTES_OF_BUCKET == BYTES_TO_NEWEST
    local is_live = window.newest_ms + window.window_ms > window.now_ms
    if has_buckets_only and is_live and window.now_ms >= window.newest_ms then
      window.inline, window.stored_bytes = state:sub(BYTES_TO_NEWEST + 1), #state
      if window.oldest_count == 0 then window.oldest_ms = window.newest_ms end
      local is_shorter, is_sound = expire_simply(window)
      if is_shorter then window.changes = LIGHT_BEGUN end
      if is_sound and window.total > 0 then
        light = list_light(window)
      end
    end
  end
  return light
end

-- Counts so many takes at once. At the same time each leaves its count less, so their replies are a row of numbers.
local function count_lightly(takes, window, times)
  for i = 1, takes.size do
    local at = takes.at + 3 * i
    local number, terms = takes.plan[at], takes.plan[at + 1]
    local light, count, window_ms = takes.lights[number], terms.count, terms.window_ms
    local total = light.total + count
    if count > 0 and light.newest_ms >= light.cell_ms then
      light.newest_ms = takes.now_ms
      light.newest_count, light.total = light.newest_count + times * count, light.total + times * count
      if light.oldest_count == 0 then light.oldest_ms = takes.now_ms end
      if light.changes == LIGHT then light.changes = LIGHT_CHANGED end
    elseif count > 0 then
      light = begin_lightly(takes, window, number, terms, times * count)
    end
    local more_ms = light_more_after(takes, light, window_ms)
    local replied = total * (math.ceil(window_ms) + 1) + more_ms
    takes.replies[takes.replied + i] = replied
    if times > 1 then
      local step = count * (math.ceil(window_ms) + 1)
      for place = takes.replied + takes.size + i, takes.replied + times * takes.size, takes.size do
        replied = replied + step
        takes.replies[place] = replied
      end
    end
  end
end

-- Counts in a bucket of its own, for which there is a place. Returns the light window.
local function begin_lightly(takes, window, number, terms, count)
  local known = takes.lights[number]
  copy_light(window, known)
  place_window(window, takes, number, terms)
  local span_ms = keep_span(window.window_ms, window.bucket_ms)
  local span_start_ms = cell_start_of(window.now_ms, span_ms)
  if window.newest_ms < span_start_ms then
    window.keep_ms = keep_time(window.window_ms, span_ms, window.has_callers_clock)
  end
  begin_simply(window, count)
  if window.oldest_count == 0 then window.rate, window.oldest_ms = terms.rate, window.now_ms end
  window.changes = LIGHT_BEGUN
  local light = list_light(window)
  takes.lights[number] = light
  return light
end

-- How long until the oldest bucket of a light window expires that has one, in whole ms.
local function light_more_after(takes, light, window_ms)
  local left_ms = light.oldest_ms + window_ms - takes.now_ms
  return math.ceil(left_ms < window_ms and left_ms or window_ms)
end

-- What an ask is replied that a light window admits, and that isn't counted.
local function light_as_replied(takes, light, terms)
  local more_ms = 0
  if light.total > 0 then
    more_ms = light_more_after(takes, light, terms.window_ms)
  end
  local replied = used_as_replied(light.total, terms.window_ms, more_ms)
  return replied
end

-- Stores what has changed of the light windows.
local function save_lightly(takes, window)
  for number = 1, #takes.keys / 2 do
    local light = takes.lights[number]
    local state_key = takes.keys[2 * number - 1]
    if light and light.changes == LIGHT_CHANGED then
      window.newest_ms, window.newest_count, window.total = light.newest_ms, light.newest_count, light.total
      local newest = pack_newest(window)
      redis.call('SETRANGE', state_key, TEXT_BYTES_TO_HEAD, newest)
    elseif light and light.changes == LIGHT_BEGUN then
      copy_light(window, light)
      local fields = pack_head_to_newest(window)
      store_state(state_key, fields .. window.inline, window.stored_bytes, window.keep_ms)
    end
  end
end
