local function block(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  block_for(window, arguments.ms)
  save(window)
  return 1
end
