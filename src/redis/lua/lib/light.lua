-- Light windows of takes (see take.lua): what is done with them in short. lib/simple.lua does so for single calls.
-- `takes.lights` says what has changed of each, and `takes.keeps` how long Redis has to keep its key from now on, where
-- that changes.

-- Opens a light window, if the state of the key allows that, or if the key is unknown. MGET tells nothing for a key
-- that holds something else either, so GET says whether it does.
local function open_lightly(takes, number, terms)
  local state, now_ms = takes.states[number], takes.now_ms
  if not state then
    state = redis.pcall('GET', takes.keys[2 * number - 1])
    if not state then
      local window = { nil, nil, nil, nil, nil, nil, nil, nil, nil, nil }
      window.front, window.chunks, window.back, window.inline, window.oldest_count = 0, 0, 0, '', 0
      window.newest_ms, window.newest_count, window.total = NEVER_MS, 0, 0
      takes.windows[number], takes.lights[number] = window, LIGHT
    elseif type(state) == 'string' then
      takes.states[number] = state
    end
  elseif #state >= BYTES_TO_NEWEST then
    local window
    window = list_head_to_newest(state)
    window.inline = state:sub(BYTES_TO_NEWEST + 1)
    if window.oldest_count == 0 then window.oldest_ms = window.newest_ms end
    local has_buckets_only = #window.inline == (window.front + window.back) * BYTES_OF_BUCKET
    local is_live = window.newest_ms + terms.window_ms > now_ms
    if has_buckets_only and is_live and now_ms >= window.newest_ms then
      local is_shorter, is_sound = expire_simply(window, takes.keys[2 * number], terms.window_ms, now_ms)
      if is_sound and window.total > 0 then
        takes.windows[number], takes.lights[number] = window, is_shorter and LIGHT_BEGUN or LIGHT
      end
    end
  end
end

-- Counts an ask that a light window admits, if the take is taken. Returns what it is replied, and what has changed of
-- the window; false where the window is not enough for that, and then nothing has changed.
local function conclude_lightly(window, light, takes, number, terms, is_taken)
  local count, now_ms, window_ms, changes = terms.count, takes.now_ms, terms.window_ms, light
  local is_counted = is_taken and count > 0
  local is_enough = window.rate == terms.rate and window.total > 0 or window.total == 0 and is_counted
  is_enough = is_enough and window.total + count <= MOST_TOTAL
  if is_enough and is_counted then
    local is_newest = window.newest_ms == now_ms
    if not is_newest then
      local cell_ms = cell_start_of(now_ms, terms.bucket_ms)
      is_newest = window.newest_ms >= cell_ms
    end
    if is_newest then
      window.newest_ms = now_ms
      window.newest_count, window.total = window.newest_count + count, window.total + count
      if window.oldest_count == 0 then window.oldest_ms = now_ms end
      if light == LIGHT then changes = LIGHT_CHANGED end
    else
      local span_ms = keep_span(window_ms, terms.bucket_ms)
      local span_start_ms = cell_start_of(now_ms, span_ms)
      local keep_ms = keep_time(window_ms, span_ms, takes.has_callers_clock)
      local begins_span = window.newest_ms < span_start_ms
      is_enough = begin_simply(window, count, takes.keys[2 * number], now_ms, keep_ms)
      if is_enough then
        changes = LIGHT_BEGUN
        if window.oldest_count == 0 then window.rate, window.oldest_ms = terms.rate, now_ms end
        if begins_span then takes.keeps[number] = keep_ms end
      end
    end
  end
  local replied = false
  if is_enough then
    local left_ms = window.oldest_ms + window_ms - now_ms
    local more_ms = math.ceil(left_ms < window_ms and left_ms or window_ms)
    replied = window.total * (math.ceil(window_ms) + 1) + more_ms
    if replied >= MOST_INTEGER then
      replied = EXACT:format(window.total) .. ' ' .. EXACT:format(more_ms)
    end
  end
  return replied, changes
end

-- How many of the next `left` takes are sure to be admitted, which are like the one that was counted last. They are
-- where all its windows are light. Then the newest bucket of each was hit at this very time, so another take adds to
-- the counts and changes nothing else.
local function times_again(takes, left)
  local plan, first, size = takes.plan, takes.at + 3, takes.plan[takes.at + 1]
  local times = left
  for i = 1, size do
    local number, terms = plan[first + 3 * i - 3], takes.terms[plan[first + 3 * i - 2]]
    local window, replied = takes.windows[number], takes.replies[takes.replied - size + i]
    if not takes.lights[number] or takes.run_of[number] == first or type(replied) ~= 'number' then
      times = 0
    elseif terms.count > 0 then
      local most = math.min(terms.limit, math.floor(MOST_INTEGER / (terms.window_ms + 2)) - 1)
      times = math.min(times, math.floor((most - window.total) / terms.count))
    end
    -- A key that has two asks is none to be counted so.
    takes.run_of[number] = first
  end
  return times
end

-- Counts the take that was counted last so many times again, and replies to it.
local function repeat_take(takes, times)
  local plan, replies, first, size = takes.plan, takes.replies, takes.at + 3, takes.plan[takes.at + 1]
  for i = 1, size do
    local window, terms = takes.windows[plan[first + 3 * i - 3]], takes.terms[plan[first + 3 * i - 2]]
    local count, replied = terms.count, replies[takes.replied - size + i]
    local step = count * (math.ceil(terms.window_ms) + 1)
    for at = takes.replied + i, takes.replied + times * size, size do
      replied = replied + step
      replies[at] = replied
    end
    window.newest_count, window.total = window.newest_count + times * count, window.total + times * count
  end
  takes.replied = takes.replied + times * size
end
