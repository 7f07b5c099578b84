local function delete(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  local previous = window.total
  forget(window)
  save(window)
  return EXACT:format(previous)
end
