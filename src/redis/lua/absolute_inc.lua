local function absolute_inc(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  local count, limit, rate = arguments.count, arguments.limit, arguments.rate
  local taken = window.total + window.reserved
  if taken + count > limit then
    -- A denied call gives the key its rate all the same. An unknown key stays unknown.
    if window.total > 0 then
      if window.rate ~= rate then
        set_rate(window, rate)
      end
      save(window)
    end
    local wait_ms, freed, wait = 0, 0, -1
    if count <= limit then
      wait_ms, freed = time_until_free(window, taken + count - limit)
      wait = time_as_replied(window, wait_ms)
    end
    local replied_taken = whole_as_replied(taken)
    local replied_freed = whole_as_replied(freed)
    return reply({ taken = replied_taken, wait = wait, freed = replied_freed })
  end
  if window.rate ~= rate then
    set_rate(window, rate)
  end
  add_hit(window, count, 0)
  save(window)
  local replied = whole_as_replied(window.total + window.reserved)
  return replied
end
