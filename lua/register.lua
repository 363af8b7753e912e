--[[
Register: makes an Opportunity or a pool known, or brings its capacity and offers up to date (contract,
«Calls», rules 7 and 28).

USES clock, opportunity, lease
KEYS
  [1] seller       hash    its Seller
  [2] feed         zset    Opportunities by `modified`
  [3…] opportunity, holds  a pair for the Opportunity, and for every pool that it draws or drew on
ARGV
  [1] id           text    its @id
  [2] kind         text    its @type
  [3] seller_ref   text    the Seller's name in its key
  [4] seller_id    text    the Seller's @id
  [5] capacity     spaces
  [6] booked       spaces  booked before; counts at the first registration only
  [7] modified     version the front-end's own: a whole number, '=' and a text, or ''
  [8] pools        text    "<ref>:<spaces>" for every pool, parted by blanks
  [9] offers       count   offers on sale; 0: they are not known
  [10…] for every offer: text @id, text "<price> <currency>" or ''; then for every pair: ref text, count (0)
REPLY
  {1, gone}        registered (or registered again after a withdrawal); how many offers it has that are no
                   longer on sale
  {2, gone}        updated
  {3, gone}        unchanged, or older than what is known
  {0, refs…}       the keys of these pools are needed too; nothing was changed
  {-1, ref}        this pool is not registered
  {-2, ref}        too many Opportunities draw on this pool
  {-3}             an Opportunity cannot become a pool, nor a pool an Opportunity
RETRY
  Run again, it finds what it wrote and answers 3.
]]
local seller_key, feed_key = KEYS[1], KEYS[2]
local id, kind, seller_ref, seller_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local capacity, booked, modified, pools, offers = ARGV[5], ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9])

-- Every change of a pool moves all that draw on it, so there must be an end to them.
local MAXIMUM_DRAWS = 5000

-- Returns whether a version is older than another: of two whole numbers the lesser, which Lua's numbers would round;
-- a text is no older than anything.
local function is_older(version, other)
  local minus, digits = string.match(version, '^(%-?)(%d+)$')
  local other_minus, other_digits = string.match(other, '^(%-?)(%d+)$')
  if not digits or not other_digits or minus ~= other_minus then
    return digits and other_digits and minus == '-'
  elseif minus == '-' then
    digits, other_digits = other_digits, digits
  end
  return #digits < #other_digits or (#digits == #other_digits and digits < other_digits)
end

local groups = read_groups(3, 10 + offers * 2)
local missing = read_opportunities(groups)
if missing then
  return missing
end
local group = groups[1]
local known = read_hash(group.key)
if known.modified and is_older(modified, known.modified) then
  return { 3, 0 }
end
if known.type and (known.type == POOL) ~= (kind == POOL) then
  return { -3 }
end
for ref in string.gmatch(pools, '(%S+):%d+') do
  local pool = groups[ref]
  local _, draws = string.gsub(pool.draws or '', '%S+', '')
  if not pool.known or pool.type ~= POOL then
    return { -1, ref }
  elseif draws >= MAXIMUM_DRAWS and not string.find(pool.draws, group.ref, 1, true) then
    return { -2, ref }
  end
end

-- An offer that is no longer on sale keeps its number while leases may refer to it.
local on_sale, last_number = {}, 0
for index = 10, 9 + offers * 2, 2 do
  on_sale[ARGV[index]] = ARGV[index + 1]
end
local leased = tonumber(known.leased or 0)
local gone, returned = 0, 0
local set, unset, changed = {}, {}, known.capacity ~= capacity or known.type ~= kind
for name, value in pairs(known) do
  local offer = string.match(name, '^offer:(.*)$')
  if offer then
    local number = string.match(value, '^%d+')
    last_number = max(last_number, tonumber(number))
    local still = on_sale[offer] and number .. '\t' .. on_sale[offer] or number
    on_sale[offer] = nil
    changed = changed or still ~= value
    gone = gone + (still == number and 1 or 0)
    returned = returned + (value == number and still ~= number and 1 or 0)
    if still == number and leased == 0 then
      unset[#unset + 1] = name
      gone = gone - 1
    elseif still ~= value then
      set[#set + 1] = name
      set[#set + 1] = still
    end
  end
end
for index = 10, 9 + offers * 2, 2 do
  local offer, price = ARGV[index], on_sale[ARGV[index]]
  if price then
    last_number = last_number + 1
    set[#set + 1] = 'offer:' .. offer
    set[#set + 1] = last_number .. '\t' .. price
    on_sale[offer] = nil
    changed = true
  end
end

-- What was ever allowed is the bound that a lowered capacity is not (rule 7).
local allowed = max(tonumber(known.allowed or known.capacity or 0), (known.booked or booked) + leased)
for name, value in pairs({
  id = id,
  type = kind,
  seller = seller_ref,
  capacity = capacity,
  booked = known.booked or booked,
  before = known.before or not known.booked and booked or nil,
  allowed = allowed > tonumber(capacity) and allowed or nil,
  leased = leased,
  modified = modified ~= '' and modified or known.modified,
  offers = offers > 0 and offers or nil,
  pools = pools ~= '' and pools or nil,
  returned = returned > 0 and tonumber(known.returned or 0) + returned or nil,
}) do
  set[#set + 1] = name
  set[#set + 1] = value
end
if offers == 0 then
  unset[#unset + 1] = 'offers'
end
if allowed <= tonumber(capacity) then
  unset[#unset + 1] = 'allowed'
end
if pools == '' then
  unset[#unset + 1] = 'pools'
end
-- First, since it fails where the key has another type.
call('HSET', seller_key, 'id', seller_id)
call_in_portions('HSET', group.key, set)
call_in_portions('HDEL', group.key, unset)
if (known.pools or '') ~= pools then
  changed, group.moved = true, true
  for _, pool in ipairs(group.pools) do
    stop_drawing(groups[pool.ref], group.ref)
    groups[pool.ref].draws = call('HGET', groups[pool.ref].key, 'draws')
  end
  for ref in string.gmatch(pools, '(%S+):%d+') do
    local draws = groups[ref].draws or ''
    call('HSET', groups[ref].key, 'draws', draws == '' and group.ref or draws .. ' ' .. group.ref)
  end
end

group.type = kind
if known.capacity ~= capacity or known.type ~= kind then
  group.moved = true
end
local now, microseconds = clock()
move_in_feed(feed_key, groups, now, microseconds)
if not known.capacity then
  return { 1, gone }
end
return { changed and 2 or 3, gone }
