local function give_rate(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  if window.total == 0 then return '0' end
  local previous, rate = window.rate, arguments.rate
  if previous ~= rate then
    set_rate(window, rate)
  end
  save(window)
  return EXACT:format(previous)
end
