-- Exports that differ: each since another second, from the one that is named.
local second

function init(args)
  second = tonumber(args[1])
end

function request()
  second = second + 1
  return wrk.format(nil, wrk.path .. os.date("!%Y-%m-%dT%H:%M:%SZ", second))
end
