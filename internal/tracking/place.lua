-- place.lua gives batches their places in the index of a login. The index consists of segments. A segment gives every
-- recipient a place: a number below 4,194,304. A segment has buckets, which are sets of 32-bit numbers. Each of these
-- numbers has 10 bits of an id's hash and the 22 bits of a place. enter.lua writes the buckets.
-- KEYS: 1 segments of the login
-- ARGV, in the order of placeArgs:
--   life        minimum time in ms for which the segments are kept
-- then for each batch, in the order of placedArgs:
--   batch       'campaign batch upload', with the token of the campaign's upload
--   batch_size  recipients of the batch
--   expected    recipients of the campaign: determines the size of a new segment
-- Returns for each batch its segment, the number of buckets in that segment, and the place of the batch's first
-- recipient. Running it again returns the same places, unless a segment has meanwhile become full or too old.
local life = unpack(ARGV, 1, 1)
local PLACES, FEWEST, MOST, USUAL, FULL, DAY = 4194304, 64, 65536, 64, 128, 86400000
local H, ms = KEYS[1], tonumber(life)
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function int(n) return string.format('%.0f', n) end
local n = tonumber(redis.call('HGET', H, 'n') or 0)

-- The record of a segment has the form 'buckets next-place opened until'.
local buckets, next_place, opened, till
local segment = n > 0 and redis.call('HGET', H, 's' .. int(n))
if segment then
  local a, b, c, d = string.match(segment, '^(%d+) (%d+) (%d+) (%d+)$')
  buckets, next_place, opened, till = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
end

-- The function "write" stores the segment if it has changed or expires too early. In the second case, the
-- new expiry is later than necessary, so that only a few of the next runs must extend the expiry again.
local changed = false
local function later() return now + ms + math.floor(ms / 8) end
local function write()
  if not buckets or not changed and till >= now + ms then return end
  if till < now + ms then till = later() end
  redis.call('HSET', H, 's' .. int(n), table.concat({int(buckets), int(next_place), int(opened), int(till)}, ' '))
  changed = false
end

-- The function "place" returns the place of a batch in the newest segment. If that segment is full or too old, it opens
-- a new segment.
local function place(batch, size, expected)
  local base
  if buckets and now < till then base = tonumber(redis.call('ZSCORE', H .. ':' .. int(n) .. ':t', batch) or nil) end
  if base then return base end
  local full = buckets and next_place + size > math.min(PLACES, buckets * FULL)
  if not buckets or full or now >= till or now - opened > DAY then
    if changed then write() end
    local expect = math.max(expected, size, (next_place or 0) * (full and 2 or 1))
    n, buckets = n + 1, math.max(FEWEST, math.min(MOST, math.ceil(expect / USUAL)))
    next_place, opened, till = 0, now, later()
    redis.call('HSET', H, 'n', int(n))
  end
  base, next_place, changed = next_place, next_place + size, true
  redis.call('ZADD', H .. ':' .. int(n) .. ':t', int(base), batch)
  return base
end

local out = {}
for i = 2, #ARGV, 3 do
  local batch, batch_size, expected = unpack(ARGV, i, i + 2)
  local base = place(batch, tonumber(batch_size), tonumber(expected))
  out[#out + 1], out[#out + 2], out[#out + 3] = int(n), int(buckets), int(base)
end
write()
return out
