--[[
Cancel: gives back the spaces of OrderItems of an Order, all of those named or none (contract, rule 20).

USES clock, opportunity, lease, availability, order
KEYS
  [1] order        hash    the Order of this Order UUID
  [2] due          zset    Opportunities by when the sweeper has something to do
  [3] feed         zset    Opportunities by `modified`
  [4…] opportunity, holds  a pair for every Opportunity of the Order and its pools
ARGV
  [1] named        count   OrderItems that are named
  [2…] for every one of these: text "position" or "id", which one, status; then for every pair: ref text, count (0)
REPLY
  {1}              cancelled, now or before
  {0, refs…}       the keys of these Opportunities are needed too; nothing was changed
  {-7}             there is no such Order
  {-9, name}       the Order has no such OrderItem; nothing was changed
  {9, leases, reply}  any of these replies, and how many leases were found to have lapsed
RETRY
  Run again, it finds the OrderItems cancelled, writes the Order as it is and gives back nothing more.
]]
local order_key, due_key, feed_key = KEYS[1], KEYS[2], KEYS[3]
local named = tonumber(ARGV[1])

local now, microseconds = clock()
local order = read_order(order_key)
if order.state ~= 'booked' then
  return { -7 }
end
local groups = read_groups(4, 2 + named * 3)
local missing = read_opportunities(groups, refs_of(order.lines))
if missing then
  return missing
end

local rows = { position = {}, id = {} }
local lines = {}
for ref, line in pairs(order.lines) do
  local head, pools, line_rows = read_order_line(line)
  lines[ref] = { head = head, pools = pools, rows = line_rows, cancelled = 0 }
  for _, row in ipairs(line_rows) do
    rows.position[row[1]] = { row, lines[ref] }
    if row[4] ~= '' then
      rows.id[row[4]] = { row, lines[ref] }
    end
  end
end
for index = 2, 1 + named * 3, 3 do
  local found = rows[ARGV[index]][ARGV[index + 1]]
  if not found then
    return { -9, ARGV[index + 1] }
  elseif found[1][5] == '' then
    found[1][5] = ARGV[index + 2]
    found[2].cancelled = found[2].cancelled + 1
  end
end

assess(groups, nil, math.huge, due_key, now)
write_again(order_key, order)
for ref, line in pairs(lines) do
  if line.cancelled > 0 then
    local texts = { line.head }
    for index, row in ipairs(line.rows) do
      texts[index + 1] = table.concat(row, '\t')
    end
    call('HSET', order_key, ref, table.concat(texts, '\n'), 'at', instant(now, microseconds))
    count_booked(groups, groups[ref], line.pools, -line.cancelled)
  end
end
move_in_feed(feed_key, groups, now, microseconds)
return told({ 1 })
