local function unblock(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  if window.blocked_until_ms > NEVER_MS then
    end_block(window)
  end
  -- Also where there was no block: what has expired may be gone from the list, so the state has to say so.
  save(window)
  return 1
end
