-- Adds the denials of one process to those that all processes share: see core/limited-keys.ts. Replies with the shared
-- ones, those of this span of time and those of the span before.
--
-- KEYS has their name. ARGV: how long a span is, in ms · how many keys are kept of each span · 1 to be replied, else 0
-- · the caller's time in ms, or nothing for the server's · the denials of the process.
--
-- Denials are a list: the floor, and then id, count and error of each key, as core/sketch.ts describes them.
local function limited_keys(keys, arguments)
  local span_ms, size = arguments[1] + 0, arguments[2] + 0
  local now_ms
  if arguments[4] == '' then
    local time = redis.call('TIME')
    now_ms = time[1] * 1000 + time[2] / 1000
  else
    now_ms = arguments[4] + 0
  end
  local span = math.floor(now_ms / span_ms)
  local this_span, span_before = { 0 }, { 0 }
  local stored = redis.call('GET', keys[1])
  if stored then
    local shared = cmsgpack.unpack(stored)
    if shared[1] == span then
      this_span, span_before = shared[2], shared[3]
    elseif shared[1] == span - 1 then
      span_before = shared[2]
    end
  end
  if #arguments > 5 then
    local own = { arguments[5] + 0 }
    for i = 6, #arguments, 3 do
      own[#own + 1] = arguments[i]
      own[#own + 1] = arguments[i + 1] + 0
      own[#own + 1] = arguments[i + 2] + 0
    end
    this_span = merge_denials(this_span, own, size)
    local left_ms = math.ceil((span + 2) * span_ms - now_ms)
    redis.call('SET', keys[1], cmsgpack.pack({ span, this_span, span_before }), 'PX', math.max(1, left_ms))
  end
  if arguments[3] == '1' then return { this_span, span_before } end
  return 1
end

-- What `merged` of core/sketch.ts does.
local function merge_denials(one, other, size)
  local floor = one[1] + other[1]
  local ids, counts, errors = {}, {}, {}
  for _, denials in ipairs({ one, other }) do
    for i = 2, #denials, 3 do
      local id = denials[i]
      if not counts[id] then
        ids[#ids + 1] = id
        counts[id], errors[id] = floor, floor
      end
      counts[id] = counts[id] + denials[i + 1] - denials[1]
      errors[id] = errors[id] + denials[i + 2] - denials[1]
    end
  end
  table.sort(ids, function(a, b) return counts[a] > counts[b] end)
  local merged = { ids[size + 1] and counts[ids[size + 1]] or floor }
  for i = 1, math.min(size, #ids) do
    local id = ids[i]
    merged[#merged + 1] = id
    merged[#merged + 1] = counts[id]
    merged[#merged + 1] = errors[id]
  end
  return merged
end
