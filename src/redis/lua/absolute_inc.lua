local function absolute_inc(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  local replied = decide_absolute(window, arguments.count, arguments.limit, arguments.rate)
  if window.total > 0 or window.offset_ms > 0 then
    save(window)
  end
  return replied
end

-- Decides about a call at the window's time, and counts it if it is admitted. The window has to be saved then, unless
-- it is that of an unknown key, which stays unknown.
local function decide_absolute(window, count, limit, rate)
  local replied
  local used = window.total + window.reserved
  if window.blocked_until_ms > NEVER_MS then
    if window.total > 0 and window.rate ~= rate then
      set_rate(window, rate)
    end
    replied = block_as_replied(window, used)
  elseif used + count > limit then
    -- A denied call gives the key its rate all the same.
    if window.total > 0 and window.rate ~= rate then
      set_rate(window, rate)
    end
    local wait_ms, freed, wait = 0, 0, -1
    if count <= limit then
      wait_ms, freed = time_until_free(window, used + count - limit)
      wait = time_as_replied(window, wait_ms)
    end
    local replied_used = whole_as_replied(used)
    local replied_freed = whole_as_replied(freed)
    local more_ms = time_until_more_free(window)
    replied = reply({ used = replied_used, wait = wait, freed = replied_freed, more_ms = more_ms })
  else
    if window.rate ~= rate then
      set_rate(window, rate)
    end
    add_hit(window, count, 0)
    replied = admission_as_replied(window, window.total + window.reserved)
  end
  return replied
end
