-- Makes wrk send the request of a file, for a new customer each time (see bench/traffic.py).
-- Arguments: the file, the first customer, how many Opportunities they choose from.
local parts, customer, opportunities = {}, 0, 1
local format, insert = string.format, table.insert

-- These as in traffic.py.
local function scattered()
  return customer % 2097152 * 2654435761 % 4294967296
end

local function uuid()
  return format('%08x-%04x-4000-8000-%012x', scattered(), customer % 65536, customer)
end

local function number()
  return format('%07d', scattered() % opportunities)
end

local function hex(width)
  return function()
    return format('%0' .. width .. 'x', customer)
  end
end

function init(arguments)
  local file = io.open(arguments[1], 'rb')
  local text = file:read('*a')
  file:close()
  customer, opportunities = tonumber(arguments[2]), tonumber(arguments[3])
  local end_of_last = 1
  for start, name, width, after in string.gmatch(text, '()@(%l+)(%d*)@()') do
    local fill = name == 'uuid' and uuid or name == 'number' and number or name == 'hex' and hex(width)
    if fill then
      insert(parts, string.sub(text, end_of_last, start - 1))
      insert(parts, fill)
      end_of_last = after
    end
  end
  insert(parts, string.sub(text, end_of_last))
end

function request()
  local text = {}
  for index, part in ipairs(parts) do
    text[index] = type(part) == 'function' and part() or part
  end
  customer = customer + 1
  return table.concat(text)
end

function done(summary, latency)
  local errors = summary.errors
  print(format(
    'result %d %d %d %d %d %d',
    summary.requests,
    summary.duration,
    errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50),
    latency:percentile(99)
  ))
end
