-- The most frequent kinds of take, in short. Each of its limits is absolute, and each of its keys is unknown or has a
-- state of nothing but buckets. simple.lua is for such calls, and take.lua is for all other takes.

-- Decides about the next `takes.at_once` takes of the run, which ask the same: counts as many as are admitted; if none
-- is, all of them are denied. Replies to those that are decided. Returns false where they aren't simple, and undecided.
local function decide_simple_takes(takes)
  local times = takes.decide_from(takes, 1, takes.at_once)
  if times >= 0 then
    note_decided(takes, times > 0 and times or takes.at_once)
  end
  return times >= 0
end

-- Weighs the asks of the next takes from the ask at `place` on. Once all are weighed it counts them, on its way back.
-- So the window of an ask is in locals, and lasts until all are weighed. As a table it would cost more. Returns how
-- many takes were counted, which are `times` at most; 0 where the takes are denied; -1 where they aren't simple, and
-- undecided.
local function decide_from(takes, place, times)
  local window = {}
  local number, is_shared, block_ms = place, true, 0
  local count, limit, rate
  if takes.is_plain then
    window.window_ms, window.bucket_ms, count, limit = read_plain_ask(takes.plan, place)
    rate = limit * 1000 / window.window_ms
  else
    local plan, at = takes.plan, takes.at + 4 * place
    local terms
    number, terms = key_and_terms(takes, place)
    is_shared, block_ms = plan[at] == 0, plan[at + 2]
    window.window_ms, window.bucket_ms = terms.window_ms, terms.bucket_ms
    count, limit, rate = terms.count, terms.limit, terms.rate
  end
  local state = takes.states[number]
  window.now_ms = takes.now_ms
  if not state then
    -- MGET tells nothing for a key that holds something else either, so GET says whether it does.
    state = redis.pcall('GET', takes.keys[number])
    if type(state) == 'table' then state = '' end
  end
  local is_simple, is_shorter = open_simply(takes, window, number, state)
  local used, missing, begins = window.total, 0, false
  if is_simple and (used == 0 or window.rate == rate) then
    local cell_ms = cell_start_of(window.now_ms, window.bucket_ms)
    begins = window.newest_ms < cell_ms
    -- Up to there a reply is a number.
    local most = MOST_INTEGER / (window.window_ms + 2) - 1
    if limit < most then most = limit end
    local counted = times * count
    if counted == 0 or used + counted > most or begins and window.back == BUCKETS_OF_CHUNK then
      times, is_simple, missing = weigh_closely(window, limit, most, count, block_ms, times, begins)
    end
  else
    is_simple = false
  end
  if not is_simple then
    times = -1
  elseif place < takes.size then
    times = takes.decide_from(takes, place + 1, times)
  end
  local counted = times * count
  -- A key that no later take of the script asks is stored at once.
  local is_last = takes.is_last and times > 0 and (times == takes.left or not is_shared) and not takes.kept[number]
  if counted > 0 and not begins and not is_shorter then
    add_to_newest(window, counted)
    store_newest(takes, window, number, state, is_last)
  elseif counted > 0 or is_shorter then
    local keep_ms
    if counted > 0 and begins then
      keep_ms = begin_counted(takes, window, state, is_shorter, counted, rate)
    elseif counted > 0 then
      add_to_newest(window, counted)
    end
    store_all(takes, window, number, state, is_last, keep_ms)
  end
  if times > 0 then
    reply_counted(takes, window, place, times, used, count)
  elseif times == 0 then
    reply_denied(takes, window, place, limit, count, missing)
  end
  return times
end

-- How many of so many takes are admitted, where that may be fewer; 0 where the first one is denied. Returns also
-- whether they can be decided in short, and how much is missing for the first one: nothing if that is below 1.
local function weigh_closely(window, limit, most, count, block_ms, times, begins)
  local used, weight = window.total, count > 0 and count or 1
  local missing = used + weight - limit
  local is_simple = used + weight <= most
  if missing > 0 then
    -- A denial that begins no block and waits for the oldest bucket.
    is_simple = (block_ms == 0 or count == 0) and (missing <= window.oldest_count or window.oldest_count == 0)
    times = 0
  elseif count == 0 then
    -- An unknown key stays unknown.
    is_simple = is_simple and used > 0
  else
    -- To make a chunk may fail, so there has to be a place for one more inline bucket.
    is_simple = is_simple and (window.back < BUCKETS_OF_CHUNK or not begins)
    if used + times * count > most then times = math.floor((most - used) / count) end
  end
  return times, is_simple, missing
end

-- Reads a state and drops what has expired of it. Returns whether the key is unknown, or has live buckets and nothing
-- else; and whether a bucket was dropped. Then the state has to be stored, because its first chunk may be gone.
local function open_simply(takes, window, number, state)
  local is_simple = not state
  local is_shorter = false
  window.inline = ''
  if not state then
    window.rate, window.front, window.chunks, window.back = NO_RATE, 0, 0, 0
    window.oldest_ms, window.oldest_count = NEVER_MS, 0
    window.newest_ms, window.newest_count, window.total = NEVER_MS, 0, 0
  elseif #state >= BYTES_TO_NEWEST then
    unpack_head_to_newest(window, state)
    -- It has nothing but buckets, some of which are live.
    if #state == BYTES_TO_NEWEST + (window.front + window.back) * BYTES_OF_BUCKET and window.total > 0
      and window.newest_ms + window.window_ms > window.now_ms and window.now_ms >= window.newest_ms then
      is_simple = true
      if window.oldest_count == 0 then
        window.oldest_ms = window.newest_ms
      elseif window.oldest_ms + window.window_ms <= window.now_ms then
        window.buckets_key, window.inline = takes.keys[number + takes.key_count], state:sub(BYTES_TO_NEWEST + 1)
        is_shorter, is_simple = expire_simply(window)
        is_shorter, is_simple = is_shorter and is_simple, is_simple and window.total > 0
      end
    end
  end
  return is_simple, is_shorter
end

-- Counts takes in a bucket of their own. Returns how long Redis has to keep the key from now on; nil if that is to stay
-- as it is.
local function begin_counted(takes, window, state, is_shorter, counted, rate)
  local keep_ms
  local span_ms = keep_span(window.window_ms, window.bucket_ms)
  local span_start_ms = cell_start_of(window.now_ms, span_ms)
  if window.newest_ms < span_start_ms then
    keep_ms = keep_time(window.window_ms, span_ms, takes.has_callers_clock)
  end
  if not is_shorter and window.front + window.back > 0 then window.inline = state:sub(BYTES_TO_NEWEST + 1) end
  begin_simply(window, counted)
  if window.oldest_count == 0 then window.rate, window.oldest_ms = rate, window.now_ms end
  return keep_ms
end

-- Stores a state of which only the newest bucket has changed, or keeps it for later takes, which may change it again.
local function store_newest(takes, window, number, state, is_last)
  local newest = pack_newest(window)
  if is_last then
    redis.call('SETRANGE', takes.keys[number], TEXT_BYTES_TO_HEAD, newest)
  else
    takes.states[number] = state:sub(1, BYTES_TO_HEAD) .. newest .. state:sub(BYTES_TO_NEWEST + 1)
    takes.kept[number] = takes.kept[number] or { is_newest_only = true }
  end
end

-- The same for a state of which more has changed.
local function store_all(takes, window, number, state, is_last, keep_ms)
  local fields = pack_head_to_newest(window)
  local stored_bytes = state and #state or 0
  if is_last then
    store_state(takes.keys[number], fields .. window.inline, stored_bytes, keep_ms)
  else
    local kept = takes.kept[number]
    if kept and not kept.is_newest_only then
      stored_bytes, keep_ms = kept.stored_bytes, keep_ms or kept.keep_ms
    end
    takes.states[number] = fields .. window.inline
    takes.kept[number] = { stored_bytes = stored_bytes, keep_ms = keep_ms }
  end
end

-- Stores a state that was kept.
local function save_state(takes, number)
  local kept = takes.kept[number]
  if kept then
    local state, state_key = takes.states[number], takes.keys[number]
    if kept.is_newest_only then
      redis.call('SETRANGE', state_key, TEXT_BYTES_TO_HEAD, state:sub(BYTES_TO_HEAD + 1, BYTES_TO_NEWEST))
    else
      store_state(state_key, state, kept.stored_bytes, kept.keep_ms)
    end
    takes.kept[number] = nil
  end
end

-- Replies to the asks at a place of so many takes that were counted. At the same time each take leaves its count less,
-- so the replies are a row of numbers.
local function reply_counted(takes, window, place, times, used, count)
  local window_ms = window.window_ms
  if window_ms % 1 > 0 then window_ms = math.ceil(window_ms) end
  local left_ms = window.oldest_ms + window.window_ms - window.now_ms
  local more_ms = left_ms < window_ms and math.ceil(left_ms) or window_ms
  local replied, step = (used + count) * (window_ms + 1) + more_ms, count * (window_ms + 1)
  for at = takes.replied + place, takes.replied + times * takes.size, takes.size do
    takes.replies[at] = replied
    replied = replied + step
  end
end

-- Replies to the asks at a place of all next takes, which are denied. Where nothing is missing, another limit denies.
local function reply_denied(takes, window, place, limit, count, missing)
  local replied
  local left_ms, more_ms = 0, 0
  if window.total > 0 then
    left_ms = window.oldest_ms + window.window_ms - window.now_ms
    more_ms = math.ceil(left_ms < window.window_ms and left_ms or window.window_ms)
  end
  if missing <= 0 then
    replied = used_as_replied(window.total, window.window_ms, more_ms)
  else
    local wait, freed = -1, 0
    if count <= limit then
      window.has_callers_clock = takes.has_callers_clock
      wait = time_as_replied(window, left_ms)
      freed = window.oldest_count > 0 and window.oldest_count or window.total
    end
    local replied_used = whole_as_replied(window.total)
    local replied_freed = whole_as_replied(freed)
    replied = reply({ used = replied_used, wait = wait, freed = replied_freed, more_ms = more_ms })
  end
  for at = takes.replied + place, takes.replied + takes.at_once * takes.size, takes.size do
    takes.replies[at] = replied
  end
end

-- The shortest way: for a plain take that is alone, all of whose asks are admitted and counted in the newest bucket of
-- their keys. It makes no functions, so a take of three limits takes Redis a fifth less than in the way above. Returns
-- the replies; false for any other take, of which it counts nothing.
local function count_in_newests(keys, size, states, plan, now_ms)
  local replies, newests = { nil, nil, nil, nil }, { nil, nil, nil, nil }
  for place = 1, size do
    local state = states[place]
    if not state or #state < BYTES_TO_NEWEST then break end
    local window_ms, bucket_ms, count, limit = read_plain_ask(plan, place)
    local rate, front, _, back, oldest_ms, oldest_count, newest_ms, newest_count, total = head_to_newest(state)
    local used, age_ms, more_ms = total + count, now_ms - newest_ms, window_ms
    if oldest_count > 0 then more_ms = math.ceil(oldest_ms + window_ms - now_ms) end
    local admission = used * (window_ms + 1) + more_ms
    -- The key has nothing but buckets, all of them live, and the time is in the newest one's cell of the time grid.
    if not (used <= limit and age_ms >= 0 and age_ms <= now_ms % bucket_ms and more_ms > 0 and more_ms <= window_ms
      and total > 0 and #state == BYTES_TO_NEWEST + (front + back) * BYTES_OF_BUCKET
      and rate == limit * 1000 / window_ms and count > 0 and admission < MOST_INTEGER) then break end
    replies[place] = admission
    newests[place] = struct.pack('<ddd', now_ms, newest_count + count, used)
  end
  local replied = false
  -- Where the first write is refused, nothing has been written, and the way above says what was refused.
  if replies[size] and redis.pcall('SETRANGE', keys[1], TEXT_BYTES_TO_HEAD, newests[1]) == #states[1] then
    for place = 2, size do redis.call('SETRANGE', keys[place], TEXT_BYTES_TO_HEAD, newests[place]) end
    replied = replies
  end
  return replied
end
