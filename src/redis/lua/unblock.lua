local function unblock(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  if window.blocked_until_ms > 0 then
    end_block(window)
    save(window)
  end
  return 1
end
